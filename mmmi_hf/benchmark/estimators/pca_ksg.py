"""Principal components, then KSG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.neighbours import flat, measured_ksg
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


@register_estimator("pca-ksg")
@final
@dataclass
class PCAKSG(Estimator):
    """KSG of each block's first principal components, those of the training rows scaled to variance 1.

    ψ(k) + ψ(n) − ⟨ψ(n_a + 1) + ψ(n_b + 1)⟩ (Kraskov, Stögbauer and Grassberger 2004, eq. 8); see `neighbours.ksg`.
    What the other components tell is lost: at its best it reads the information of those that are kept.
    """

    order = 210
    components: Positive = 4
    neighbours: Positive = 3

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._maps = [self._components(flat(block)) for block in (train.a, train.b)]
        return []

    def measure(self, test: Pairs) -> Measured:
        a, b = ((flat(block) - mean) @ axes for (mean, axes), block in zip(self._maps, (test.a, test.b), strict=True))
        if 0 in (a.shape[1], b.shape[1]):
            return Measured(0.0, 0.0, {"dimensions": [a.shape[1], b.shape[1]]})
        return measured_ksg(a, b, self.neighbours)

    def _components(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = rows.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(rows.T).reshape(rows.shape[1], rows.shape[1]))
        # what is left of constant or repeated coordinates is rounding, which division would make the loudest of all
        count = min(self.components, int(np.sum(values > values[-1] * len(values) * np.finfo(np.float64).eps)))
        return mean, vectors[:, ::-1][:, :count] / np.sqrt(values[::-1][:count])
