"""Second moments that a dense model declares, by dense algebra. Imports NumPy and this room only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws.dense.latents import DenseStandardizer
from mmmi_hf.causal.laws.dense.rows import DenseRows
from mmmi_hf.causal.laws.moments import Regression
from mmmi_hf.causal.queries import TARGET


class DenseMoments:
    """Moments of (y, z) = A u; C = R_i R_jᵀ of the whitened rows R of A."""

    def __init__(self, rows: DenseRows, whitener: Callable[[str], DenseStandardizer]) -> None:
        self._model, self._whitener = rows, whitener
        target = rows.block(TARGET)
        self._rows: dict[str, Array] = {TARGET: target / np.sqrt(np.sum(target**2))}

    def directions(self, name: str) -> list[Array]:
        """The covariance of the latent with y, (d,)."""
        return [self._model.block(name) @ self._model.block(TARGET)[0]]

    def covariance(self, loadings: Mapping[str, Array]) -> Array:
        """Covariance of (y, loadings @ latent of every modality)."""
        factor = np.concatenate(
            [self._model.block(TARGET), *(rows @ self._model.block(name) for name, rows in loadings.items())]
        )
        return np.asarray(factor @ factor.T)

    def between(self, first: str, second: str) -> Regression | None:
        """Of whitened modality `second` on `first`."""
        inside = self._whitened(first) @ self._whitened(second).T
        return Regression(0.0, (np.eye(inside.shape[0]), np.eye(inside.shape[1])), inside)

    def gain(self, name: str) -> float:
        """Size of the latent over its smallest standard deviation in any direction."""
        lengths = np.linalg.svd(self._model.block(name), compute_uv=False)
        return math.sqrt(float(np.mean(lengths**2))) / float(lengths[-1]) if lengths[-1] > 0.0 else math.inf

    def loaded(self, rows: Array, name: str) -> Array:
        """Rows of the length of Cov(z)^{1/2} z."""
        return np.asarray(rows @ self._model.block(name))

    def _whitened(self, name: str) -> Array:
        if name not in self._rows:
            columns = np.ascontiguousarray(self._model.block(name).T)
            self._rows[name] = self._whitener(name).apply(columns).T
        return self._rows[name]
