"""Where in a latent the information sits: the mutual information of every single coordinate.

Owns maps of I(z_a[c]; y) and I(z_a[c]; z_b[c]) over the coordinates c of a modality. They describe latents, not images,
and do not add up to the information of the whole latent. Imports NumPy and this room only.

With z'_c = λ_cᵀ ũ + n_c one coordinate of a standardised latent, its loadings λ_c (K,) and its noise are needed: the
variance of n_c and, for pairs, n_c over two independent sources in a frame of both modalities' templates, O(d K).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.canonical import EPSILON, Array, information_of
from mmmi_hf.causal.errors import BeyondFloat64Error
from mmmi_hf.causal.laws.dense.dense_law import DenseLaw
from mmmi_hf.causal.laws.structured.latents import StructuredStandardizer
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw


def map_of_target(law: StructuredLaw | DenseLaw, name: str, kind: str) -> Array:
    """I(z_a[c]; y) of every coordinate, (d,): ½ ln(Var(z'_c) / Var(z'_c | y)), in nats."""
    if isinstance(law, DenseLaw):
        direction = law.matrix[0] / law.scales[0]
        rows = _dense_rows(law, name, kind)
    else:
        direction = law.covariance.direction
        rows = _Coordinates.of(law, name, kind).loadings
    direction = direction / np.sqrt(direction @ direction)
    along = rows @ direction
    rest = np.add.reduce((rows - np.multiply.outer(along, direction)) ** 2, axis=1)
    lost = (8.0 * EPSILON) ** 2 * along * along if np.count_nonzero(direction) > 1 else np.zeros(len(along))
    if isinstance(law, StructuredLaw):
        rest = rest + _Coordinates.of(law, name, kind).noise
    if not np.all(rest > lost):
        raise BeyondFloat64Error(
            f"a coordinate of {name} came out with the variance {float(rest.min())} beside y; its noise is below "
            "rounding: make the mixing larger or the weights smaller"
        )
    return np.asarray(0.5 * np.log1p(along * along / rest))


def map_of_pair(law: StructuredLaw | DenseLaw, a: str, b: str, kind: str) -> Array:
    """I(z_a[c]; z_b[c]) of every coordinate, (d,): -½ ln(1 - ρ_c²), in nats."""
    if isinstance(law, DenseLaw):
        first, second = _dense_rows(law, a, kind), _dense_rows(law, b, kind)
    else:
        first, second = _Coordinates.of(law, a, kind).beside(_Coordinates.of(law, b, kind))
    first, second = (rows / np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True)) for rows in (first, second))
    cosines = np.add.reduce(first * second, axis=1, keepdims=True)
    sines = np.sqrt(np.add.reduce((second - cosines * first) ** 2, axis=1))
    if not np.all(sines > _SMALLEST_SINE):
        raise BeyondFloat64Error(
            f"a coordinate of {a} and {b} came out with the correlation {float(np.abs(cosines).max())!r}; their "
            "noise is below rounding: make the mixing larger or the weights smaller"
        )
    return information_of(np.abs(cosines[:, 0]), sines)


_SMALLEST_SINE = 1e-8
"""Between two coordinates: a sine is known to ε, and so 18 nats to one part in 1e9."""


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """The coordinates of one standardised latent: z' = (z + basisᵀ change (basis z)) / scale.

    loadings: (d, K) on the causes; row: (J,), its vector sources over `scale`.
    """

    standard: StructuredStandardizer
    loadings: Array
    row: Array

    @classmethod
    def of(cls, law: StructuredLaw, name: str, kind: str) -> _Coordinates:
        covariance = law.covariance
        i = covariance.position[name]
        standard = StructuredStandardizer.of(covariance, i, kind)
        if kind == "whiten":
            loadings = standard.basis.T @ standard.causes
        else:
            loadings = np.zeros((standard.basis.shape[1], len(covariance.eta)))
            for k in np.flatnonzero(covariance.weights[i]):
                template = covariance.bank.template(i, int(k))
                if template is not None:
                    loadings[:, k] = covariance.weights[i, k] * template.values / standard.scale
        return cls(standard, loadings, covariance.mixing[i] / standard.scale)

    @property
    def noise(self) -> Array:
        """Variance of the vector sources in every coordinate, (d,)."""
        basis = self.standard.basis
        inside = np.add.reduce((self.standard.kept @ basis) ** 2, axis=0)
        return np.asarray((self.row @ self.row) * (_outside(basis) + inside))

    def beside(self, other: _Coordinates) -> tuple[Array, Array]:
        """Both modalities' coordinates over the same independent sources, each (d, sources).

        The noise of coordinate c is row_j A e_c in each vector source: A acts inside the frame of both bases, and one
        more entry is the length of what e_c has outside of it.
        """
        one, two = self.standard, other.standard
        frame = np.linalg.qr(np.concatenate([one.basis, two.basis]).T)[0].T
        outside = np.sqrt(_outside(frame))
        rows = np.linalg.qr(np.stack([self.row, other.row], axis=1))[1].T  # both in the plane that they span
        both = []
        for coordinates, row in zip((self, other), rows, strict=True):
            part = coordinates.standard.basis @ frame.T
            beside = frame - part.T @ coordinates.standard.basis
            inner = np.concatenate(
                [beside + part.T @ (coordinates.standard.kept @ coordinates.standard.basis), [outside]]
            )
            noise = np.multiply.outer(row, inner).reshape(-1, inner.shape[1])
            both.append(np.concatenate([coordinates.loadings, noise.T], axis=1))
        return both[0], both[1]


def _outside(basis: Array) -> Array:
    """1 - ‖basis e_c‖² of every coordinate c, (d,); what is rounding is 0: such a unit vector lies in the span."""
    outside = 1.0 - np.add.reduce(basis * basis, axis=0)
    return np.where(outside > 8.0 * EPSILON * (1 + len(basis)), outside, 0.0)


def _dense_rows(law: DenseLaw, name: str, kind: str) -> Array:
    """(d, N): every coordinate of a standardised latent over the sources."""
    return np.ascontiguousarray(law.standardizer(name, kind).apply(np.ascontiguousarray(law.block(name).T)).T)
