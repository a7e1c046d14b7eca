"""KSG on all coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.neighbours import Scaling, flat, measured_ksg
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


@register_estimator("ksg")
@final
@dataclass
class KSG(Estimator):
    """ψ(k) + ψ(n) − ⟨ψ(n_a + 1) + ψ(n_b + 1)⟩ from nearest neighbours (Kraskov, Stögbauer and Grassberger 2004, eq. 8).

    Of all coordinates, standardised with constants of the training rows; see `neighbours.ksg`.
    """

    order = 200
    neighbours: Positive = 3

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._scalings = [Scaling.of(flat(block)) for block in (train.a, train.b)]
        return []

    def measure(self, test: Pairs) -> Measured:
        a, b = (scaling(flat(block)) for scaling, block in zip(self._scalings, (test.a, test.b), strict=True))
        return measured_ksg(a, b, self.neighbours)
