"""Second moments that a categorical law declares. Imports NumPy and this room only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws.moments import Regression


class CategoricalMoments:
    """Of the mixture; blocks given others are not Gaussian, so that no regression leaves independent normals.

    Args:
        directions: modality → its unit template. means: (M, C), centred. probabilities: (C,).
    """

    def __init__(self, directions: Mapping[str, Array], means: Array, probabilities: Array) -> None:
        self._directions, self._position = directions, {name: i for i, name in enumerate(directions)}
        numbers = np.arange(len(probabilities)) - probabilities @ np.arange(len(probabilities))
        rows = np.concatenate([numbers[None], means])
        self._between = (rows * probabilities) @ rows.T
        """Covariance of y and the means along the templates."""

    def directions(self, name: str) -> list[Array]:
        """The template."""
        return [self._directions[name] * math.sqrt(self._variance(name))]

    def covariance(self, loadings: Mapping[str, Array]) -> Array:
        """Covariance of (y, loadings @ latent of every modality)."""
        shares = [np.ones(1), *(rows @ self._directions[name] for name, rows in loadings.items())]
        places = [0, *(1 + self._position[name] for name in loadings)]
        noise = [np.zeros((1, 1)), *(rows @ rows.T for rows in loadings.values())]
        return np.block(
            [
                [
                    self._between[a, b] * np.multiply.outer(one, other) + (noise[i] if i == j else 0.0)
                    for j, (b, other) in enumerate(zip(places, shares, strict=True))
                ]
                for i, (a, one) in enumerate(zip(places, shares, strict=True))
            ]
        )

    def between(self, first: str, second: str) -> Regression | None:
        """None."""
        return None

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction."""
        return math.sqrt(1.0 + self._variance(name) / len(self._directions[name]))

    def loaded(self, rows: Array, name: str) -> Array:
        """Cov(z)^{1/2} z."""
        direction = self._directions[name]
        stretch = math.sqrt(1.0 + self._variance(name)) - 1.0
        return np.asarray(rows + stretch * (rows @ direction)[:, None] * direction)

    def _variance(self, name: str) -> float:
        place = 1 + self._position[name]
        return float(self._between[place, place])
