"""Latents of a dense model: standardisation of one modality and sampling.

Owns the maps of one row. Imports NumPy and this room only. The bits of whitened latents follow the linear algebra
library here; those of rms and none do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.dense.rows import DenseRows
from mmmi_hf.causal.laws.rowwise import combine
from mmmi_hf.causal.queries import TARGET

_CHUNK_NUMBERS = 1 << 18


@dataclass(frozen=True, eq=False)
class DenseStandardizer:
    """z' = forward z and z = backward z', both (d, d), or division by `scale` where they are None."""

    scale: float
    forward: Array | None = None
    backward: Array | None = None

    @classmethod
    def of(cls, name: str, block: Array, kind: str) -> DenseStandardizer:
        """The standardiser of a modality with these rows of A: whitening is U S⁻¹ Uᵀ for the SVD block = U S Vᵀ."""
        if kind == "none":
            return cls(1.0)
        if kind == "rms":
            return cls(math.sqrt(float(np.mean(np.add.reduce(block * block, axis=1)))))
        directions, lengths, _ = np.linalg.svd(block, full_matrices=False)
        if lengths[-1] <= 8.0 * EPSILON * max(block.shape) * lengths[0]:
            raise InvalidQueryError(
                f"{name} has a singular covariance and cannot be whitened; use standardize='rms' or 'none'"
            )
        return cls(1.0, (directions / lengths) @ directions.T, (directions * lengths) @ directions.T)

    def apply(self, latent: Array) -> Array:
        """z to z', (n, d)."""
        return latent / self.scale if self.forward is None else combine(latent, self.forward)

    def undo(self, latent: Array) -> Array:
        """z' to z, (n, d)."""
        return latent * self.scale if self.backward is None else combine(latent, self.backward)


class DenseSampler:
    """Draws standardised latents as one linear map of the row's N sources, which are its stream 0."""

    def __init__(self, rows: DenseRows, standardizer: Callable[[str], DenseStandardizer]) -> None:
        self._target = rows.block(TARGET)
        self._maps: dict[str, Array] = {}
        for name in rows.shapes:
            standard, block = standardizer(name), rows.block(name)
            self._maps[name] = block / standard.scale if standard.forward is None else standard.forward @ block
        self.rows_at_once = max(1, _CHUNK_NUMBERS // max(rows.matrix.shape))

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and the target of some rows; sums run over sources in increasing order."""
        sources = np.empty((len(rows), self._target.shape[1]))
        normals.fill(0, rows, sources)
        target[:] = combine(sources, self._target)[:, 0]
        for name, linear in self._maps.items():
            out[name][:] = combine(sources, linear)
