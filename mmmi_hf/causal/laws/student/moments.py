"""Second moments that a law with a common scale declares. Imports NumPy and this room only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws.moments import Moments, Regression
from mmmi_hf.causal.laws.student.parts import ScaledParts


class StudentMoments:
    """E s² times those of the scaled directions, and those of the rest; blocks given others are not Gaussian."""

    def __init__(self, base: Moments, parts: ScaledParts, factor: float) -> None:
        self._base, self._parts, self._factor = base, parts, factor

    def directions(self, name: str) -> list[Array]:
        """The templates of the causes that the modality uses."""
        return self._base.directions(name)

    def covariance(self, loadings: Mapping[str, Array]) -> Array:
        """Covariance of (y, loadings @ latent of every modality)."""
        rest = {name: self._rest(name, rows) for name, rows in loadings.items()}
        scaled = {name: rows - rest[name] for name, rows in loadings.items()}
        found = self._factor * self._base.covariance(scaled)
        found[1:, 1:] += self._base.covariance(rest)[1:, 1:]
        return np.asarray(found)

    def between(self, first: str, second: str) -> Regression | None:
        """None."""
        return None

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction, at most."""
        return math.sqrt(self._factor) * self._base.gain(name)

    def loaded(self, rows: Array, name: str) -> Array:
        """Cov(z)^{1/2} z."""
        rest = self._rest(name, rows)
        return np.asarray(
            math.sqrt(self._factor) * self._base.loaded(rows - rest, name) + self._base.loaded(rest, name)
        )

    def _rest(self, name: str, rows: Array) -> Array:
        return self._parts.stretch(name, rows, np.zeros(len(rows)))
