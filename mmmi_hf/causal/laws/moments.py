"""Second moments that a law declares, and what they leave of one block given another.

Owns the records for tests of latents that were recovered from images: directions in which the law says that something
shows, their covariance, and the regression of one whitened block on another. Imports NumPy and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from mmmi_hf.causal.arguments import Array


@dataclass(frozen=True, eq=False)
class Regression:
    """Two whitened blocks with Cov(first, second) = α (I - F₁ᵀ F₁) + F₁ᵀ B F₂.

    outside: α, not 0 only where F₁ = F₂; frames: F₁ (r₁, d₁) and F₂ (r₂, d₂) with orthonormal rows; inside: B (r₁, r₂).
    """

    outside: float
    frames: tuple[Array, Array]
    inside: Array

    @property
    def sines(self) -> tuple[float, float]:
        """Smallest standard deviation of second given first, outside the frames and inside."""
        largest = float(self._variates[0].max(initial=0.0))
        return math.sqrt(max(0.0, 1.0 - self.outside**2)), math.sqrt(max(0.0, 1.0 - largest**2))

    def residual(self, first: Array, second: Array) -> Array:
        """v = (I - CᵀC)^{-1/2} (second - Cᵀ first), (n, d₂): independent N(0, 1) given first, (n, d₁).

        With B = P R Qᵀ the inverse root is I + Q ((1 - R²)^{-1/2} - 1) Qᵀ inside the frame and (1 - α²)^{-1/2} outside.
        """
        cosines, right = self._variates
        stretch = 1.0 / np.sqrt(1.0 - cosines**2) - 1.0
        before, after = first @ self.frames[0].T, second @ self.frames[1].T
        rest = after - before @ self.inside
        rest += ((rest @ right.T) * stretch) @ right
        scale = math.sqrt(1.0 - self.outside**2)
        if self.outside == 0.0:
            return np.asarray(second + (rest - after) @ self.frames[1])
        outer = (second - self.outside * first) / scale
        return np.asarray(outer + (rest - (after - self.outside * before) / scale) @ self.frames[1])

    @cached_property
    def _variates(self) -> tuple[Array, Array]:
        """R and Qᵀ of B = P R Qᵀ."""
        _, cosines, right = np.linalg.svd(self.inside, full_matrices=False)
        return cosines, right


class Moments(Protocol):
    """What tests of recovered latents ask of a law; blocks are modalities in the units of the model, and y."""

    def directions(self, name: str) -> list[Array]:
        """Covariances of a latent with y and the causes, (d,) each: directions in which the law says they show."""

    def covariance(self, loadings: Mapping[str, Array]) -> Array:
        """Covariance of (y, loadings @ latent of every modality), (1 + Σ p_i, 1 + Σ p_i).

        loadings: modality → (p_i, d_i), in the order of the result.
        """

    def between(self, first: str, second: str) -> Regression | None:
        """Of whitened modality `second` on `first`, a modality or y; None where float64 cannot tell it."""

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction; infinite where that is 0."""

    def loaded(self, rows: Array, name: str) -> Array:
        """Rows as long as Cov(z)^{1/2} z, for rows z (n, d)."""
