"""Nearest neighbours between continuous rows and class labels, after Ross (2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.spatial import KDTree
from scipy.special import digamma

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.labels import Labelled
from mmmi_hf.benchmark.neighbours import Scaling, flat, subsample_error
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


def ross(rows: np.ndarray, labels: np.ndarray, neighbours: int = 3) -> float:
    """Ross (2014, PLoS ONE 9, e87357), in nats: ψ(n) - ⟨ψ(n_c)⟩ + ⟨ψ(k)⟩ - ⟨ψ(m)⟩.

    n_c rows have the row's label; m rows of any label lie as near as its k-th neighbour of the same label. A class of
    fewer than k + 1 rows uses the neighbours that it has, a single row is left out.

    Args:
        rows: (n, d). labels: (n,).

    Raises:
        ValueError: no class has two rows.
    """
    used, sizes, looked = np.zeros(len(rows), dtype=bool), np.zeros(len(rows)), np.zeros(len(rows))
    radius = np.zeros(len(rows))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        if len(mine) < 2:
            continue
        k = min(neighbours, len(mine) - 1)
        distance = KDTree(rows[mine]).query(rows[mine], k=k + 1, p=np.inf)[0]
        used[mine], sizes[mine], looked[mine], radius[mine] = True, len(mine), k, np.asarray(distance)[:, -1]
    if not used.any():
        raise ValueError("no class has two rows; give more rows")
    kept = rows[used]
    # the row itself is counted in the place of its k-th neighbour
    inside = KDTree(kept).query_ball_point(kept, np.nextafter(radius[used], 0.0), p=np.inf, return_length=True)
    return float(
        digamma(len(kept)) + np.mean(digamma(looked[used]) - digamma(sizes[used]) - digamma(np.maximum(inside, 1)))
    )


@register_estimator("ross")
@final
@dataclass
class Ross(Estimator):
    """ψ(n) - ⟨ψ(n_c)⟩ + ⟨ψ(k)⟩ - ⟨ψ(m)⟩ from nearest neighbours within classes and among all rows (Ross 2014).

    All coordinates are standardised; see `ross`.
    """

    order = 210
    of_labels = True
    neighbours: Positive = 3

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._scaling = Scaling.of(flat(Labelled.of(train, "train").rows))
        return []

    def measure(self, test: Pairs) -> Measured:
        known = Labelled.of(test, "test")
        rows = self._scaling(flat(known.rows))
        error = subsample_error(lambda part: ross(rows[part], known.labels[part], self.neighbours), len(rows))
        return Measured(ross(rows, known.labels, self.neighbours), error, {"dimensions": rows.shape[1]})
