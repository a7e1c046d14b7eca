"""Several numbers: Y = H ũ, a vector of linear combinations of the causes.

Owns their Gaussian algebra. Imports NumPy and this room only. With Hᵀ = Q R and Qᵀ F = U S Vᵀ, F Fᵀ = Cov(ũ | x_S), the
coordinates Uᵀ Qᵀ ũ are independent N(0, 1), and independent with standard deviations S given the modalities, so that
I = -Σ ln S.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import Array, read_coefficients
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.laws.rowwise import combine
from mmmi_hf.causal.targets.fields import arguments_of
from mmmi_hf.causal.targets.target import Target, View, causes_heard

_DEPENDENT = 1e-10
_ROUNDING = 2e-15


class Several(Target):
    """y = H ũ, (m,) numbers of every row.

    Args:
        coefficients: H, (m, K), with independent rows.

    Raises:
        InvalidModelError: H is no such matrix.
    """

    kind = "several"
    example = "several: {coefficients: [[1, 0], [1, 1]]}"

    def __init__(self, *, coefficients: Any) -> None:
        meaning = "(m, K), a row for each number of y, a column for each cause, such as [[1, 0], [1, 1]]"
        self.coefficients = read_coefficients("coefficients", coefficients, 2, meaning)
        scale = np.abs(self.coefficients).max(axis=1, keepdims=True)
        if not scale.all():
            row = int(np.argmin(scale))
            raise InvalidModelError(f"coefficients[{row}] is all zero, so that this number of y is 0; leave it out")
        rows = self.coefficients / np.where(scale > 0.0, scale, 1.0)
        if len(rows) > rows.shape[1] or np.linalg.svd(rows, compute_uv=False)[-1] < _DEPENDENT:
            raise InvalidModelError(
                f"coefficients has dependent rows, {len(rows)} of {rows.shape[1]} columns: numbers of y fix each "
                "other; leave some out"
            )
        self.shape = (len(rows),)

    @property
    def made_of(self) -> tuple[int, ...]:
        """All causes."""
        return tuple(range(self.coefficients.shape[1]))

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Several:
        """The target of its arguments."""
        return cls(**arguments_of("several", fields, ("coefficients",), ("coefficients",), example=cls.example))

    def write(self) -> dict[str, Any]:
        """H."""
        return {"coefficients": self.coefficients.tolist()}

    def equation(self, gaussian: str) -> str:
        """H."""
        count, causes = self.coefficients.shape
        return f"H ũ: {count} numbers, combinations of {causes} causes"

    def check(self, law: Law) -> None:
        """Whether the law has as many causes as H has columns."""
        if law.structure is None or not law.is_gaussian:
            raise NotExactError(
                f"y can be made of causes that are Gaussian numbers, which a {law.kind} model has not; give eta, "
                "weights, mixing"
            )
        if self.coefficients.shape[1] != len(law.structure.eta):
            raise InvalidModelError(
                f"coefficients has {self.coefficients.shape[1]} columns but the model has "
                f"{len(law.structure.eta)} causes; give one per cause"
            )

    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """y of every row, (n, m)."""
        causes = np.empty((len(rows), self.coefficients.shape[1]))
        normals.fill(0, rows, causes)
        return combine(causes, self.coefficients)

    def view(self, law: Law, blocks: tuple[str, ...]) -> SeveralView:
        """What modalities tell of y."""
        return SeveralView(self.coefficients, law, blocks)


class SeveralView(View):
    """What modalities tell of several numbers."""

    def __init__(self, coefficients: Array, law: Law, blocks: tuple[str, ...]) -> None:
        self._posterior = law.posterior_of_causes(blocks)
        basis, triangle = np.linalg.qr(coefficients.T)
        turn, self._sines, _ = np.linalg.svd(basis.T @ self._posterior.factor)
        if not np.any(coefficients[:, causes_heard(law, blocks)]):
            self._sines = np.ones(len(coefficients))
        self._of_causes = turn.T @ basis.T
        self._of_target = np.linalg.solve(triangle, turn).T
        rows = coefficients / np.abs(coefficients).max(axis=1, keepdims=True)  # squares of 1e-300 would vanish
        sizes = np.square(rows).sum(axis=1)
        self._r2 = float(np.mean(1.0 - np.square(rows @ self._posterior.factor).sum(axis=1) / sizes))
        turning = np.finfo(np.float64).eps * float(np.linalg.cond(rows / np.sqrt(sizes)[:, None]))
        self._error = _ROUNDING * len(rows) + turning * float((1.0 / self._sines).sum())
        """Of Σ ln S: rows that nearly depend on each other turn their basis by rounding."""

    def information(self) -> Exact:
        """-Σ ln S."""
        return Exact(float(-np.log(self._sines).sum()), self._error)

    def variance(self) -> Exact:
        """Σ ρ² = Σ (1 - S²)."""
        return Exact(float((1.0 - self._sines**2).sum()), 2.0 * self._error)

    def correlations(self) -> Array:
        """√(1 - S²), in descending order."""
        return np.sort(np.sqrt((1.0 - self._sines) * (1.0 + self._sines)))[::-1]

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln N(y; mean, Cov) - ln N(y; 0, H Hᵀ)."""
        means = combine(self._posterior.mean(values), self._of_causes)
        found = combine(target, self._of_target)
        scaled = (found - means) / self._sines
        return np.asarray((0.5 * (found * found - scaled * scaled) - np.log(self._sines)).sum(axis=1))

    def r2_ceiling(self) -> Exact:
        """The mean of the R² of every number."""
        return Exact(self._r2, _ROUNDING)


KIND = Several
