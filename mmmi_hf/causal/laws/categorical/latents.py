"""Latents of a categorical law: standardisation of one modality, and sampling.

Owns the maps of one row. Imports NumPy, SciPy and this room only. Stream 0 of a row has the normal number whose place
among the categories' probabilities says which it is, stream 1 + i the noise of modality i.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.categorical.form import mean_number
from mmmi_hf.causal.laws.categorical.mixture import Mixture
from mmmi_hf.causal.laws.rowwise import project

_CHUNK_NUMBERS = 1 << 16


@dataclass(frozen=True, eq=False)
class CategoricalStandardizer:
    """z' = z / scale, or z + T (u - t) with t = Tᵀ z, u = Φ⁻¹(F(t)) where latents are whitened.

    direction: T, (d,), of unit length.
    """

    direction: Array
    mixture: Mixture | None
    scale: float

    @classmethod
    def of(cls, direction: Array, mixture: Mixture, kind: str) -> CategoricalStandardizer:
        """The standardiser of one modality."""
        if kind == "whiten":
            return cls(direction, mixture, 1.0)
        mean = float(mixture.probabilities @ mixture.means)
        variance = float(mixture.probabilities @ (mixture.means - mean) ** 2)
        return cls(direction, None, math.sqrt(1.0 + variance / len(direction)) if kind == "rms" else 1.0)

    def apply(self, latent: Array) -> Array:
        """z to z', (n, d)."""
        if self.mixture is None:
            return latent / self.scale
        t = project(latent, self.direction[None])[:, 0]
        return np.asarray(latent + (self.mixture.normal(t) - t)[:, None] * self.direction)

    def undo(self, latent: Array) -> Array:
        """z' to z, (n, d)."""
        if self.mixture is None:
            return latent * self.scale
        u = project(latent, self.direction[None])[:, 0]
        return np.asarray(latent + (self.mixture.undo(u) - u)[:, None] * self.direction)


class CategoricalSampler:
    """Draws latents in the units of the law and standardises them."""

    def __init__(
        self, probabilities: Array, means: Array, standardizers: Mapping[str, CategoricalStandardizer]
    ) -> None:
        self._steps, self._mean = np.cumsum(probabilities)[:-1], mean_number(probabilities)
        self._means, self._standardizers = means, standardizers
        self.rows_at_once = max(1, _CHUNK_NUMBERS // max(len(each.direction) for each in standardizers.values()))

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and y of some rows."""
        own = np.empty((len(rows), 1))
        normals.fill(0, rows, own)
        category = (scipy.special.ndtr(own) >= self._steps).sum(axis=1)
        target[:] = category - self._mean
        for i, (name, standard) in enumerate(self._standardizers.items()):
            latent = out[name]
            normals.fill(1 + i, rows, latent)
            latent += self._means[i, category][:, None] * standard.direction
            latent[:] = standard.apply(latent)
