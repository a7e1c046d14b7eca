"""Which directions of every modality have the common scale, and quadratic forms in them.

Owns the frames. Imports NumPy and this room only.

With own vector sources the scaled numbers of some modalities have the covariance D + L Lᵀ, D = g_i I for each modality
and L_i = w_ik T_ik in its frame, so that q = Σ ‖b_i‖²/g_i - hᵀ (I + Q)⁻¹ h, h = Σ L_iᵀ b_i/g_i, Q = Σ L_iᵀ L_i/g_i, and
(I + Q)⁻¹ h is the mean of the causes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.rowwise import add_expansion, project
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.template_bank import Frame


class ScaledParts:
    """The scaled directions of all modalities.

    Args:
        base: the structured law. dimensions: of every modality; None for all.

    Raises:
        InvalidModelError: fewer than the templates need, or more than there are.
    """

    def __init__(self, base: StructuredLaw, dimensions: int | None) -> None:
        parts = base.structure
        self._eta = parts.eta
        self._noise = {name: float(row @ row) for name, row in zip(base.shapes, parts.mixing, strict=True)}
        self._loadings: dict[str, Array] = {}
        self._frames: dict[str, Array | None] = {}
        for i, (name, shape) in enumerate(base.shapes.items()):
            size = math.prod(shape)
            templates = [parts.bank.template(i, k) if parts.weights[i, k] else None for k in range(len(parts.eta))]
            self._loadings[name] = np.stack(
                [
                    np.zeros(size) if t is None else w * t.values
                    for t, w in zip(templates, parts.weights[i], strict=True)
                ]
            )
            self._frames[name] = _frame(name, [t.values for t in templates if t is not None], size, dimensions)

    def count(self, name: str) -> int:
        """How many directions of a modality are scaled."""
        frame = self._frames[name]
        return self._loadings[name].shape[1] if frame is None else len(frame)

    def split(self, name: str, rows: Array) -> tuple[Array, Array]:
        """Rows (n, d) as their part in the scaled directions, in coordinates of these, and its squared length, (n,)."""
        frame = self._frames[name]
        part = rows if frame is None else project(rows, frame)
        return part, np.add.reduce(part * part, axis=1)

    def stretch(self, name: str, rows: Array, factor: Array) -> Array:
        """Rows (n, d) with the scaled directions times a factor of each row, (n,)."""
        frame = self._frames[name]
        if frame is None:
            return rows * factor[:, None]
        out = np.array(rows)
        add_expansion(out, project(rows, frame) * (factor - 1.0)[:, None], frame)
        return out

    def quadratic(self, names: tuple[str, ...], values: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        """q of some modalities, (n,), the mean of y given them, (n,), and the variance of y given them, ()."""
        causes = len(self._eta)
        count = len(values[names[0]]) if names else 1
        h, precision, total = np.zeros((count, causes)), np.eye(causes), np.zeros(count)
        for name in names:
            loadings, noise = self._loadings[name], self._noise[name]
            h += project(values[name], loadings) / noise
            precision += loadings @ loadings.T / noise
            total += self.split(name, values[name])[1] / noise
        factor = np.linalg.cholesky(precision)
        scaled = np.linalg.solve(factor, h.T)
        direction = np.linalg.solve(factor, self._eta)
        return total - np.square(scaled).sum(axis=0), direction @ scaled, np.asarray(direction @ direction)


def _frame(name: str, templates: list[Array], size: int, dimensions: int | None) -> Array | None:
    """Orthonormal rows: the span of the templates, then the lowest cosines of the raster; None for all directions."""
    if dimensions is None or dimensions == size:
        return None
    own = Frame.reproducible(templates, size).basis
    basis = np.zeros((0, size)) if own is None else own
    if not len(basis) <= dimensions <= size:
        raise InvalidModelError(
            f"dimensions is {dimensions}, expected {len(basis)} … {size} of {name}: its templates among them"
        )
    more = np.cos(np.multiply.outer(np.arange(1, dimensions + 1), math.pi * (np.arange(size) + 0.5) / size))
    found = Frame.reproducible([*basis, *more], size).basis
    return basis if found is None else np.ascontiguousarray(found[:dimensions])
