"""KSG on exact sufficient statistics: what the sampling of the test rows alone costs, a floor and no competitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.neighbours import Scaling, measured_ksg
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


@register_estimator("oracle-ksg")
@final
@dataclass
class OracleKSG(Estimator):
    """KSG on exact sufficient statistics of the latents: one number per cause instead of an image.

    ψ(k) + ψ(n) − ⟨ψ(n_a + 1) + ψ(n_b + 1)⟩ (Kraskov, Stögbauer and Grassberger 2004, eq. 8); see `neighbours.ksg`.
    """

    order = 300
    uses_exact = True
    neighbours: Positive = 3

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._scalings = [Scaling.of(side) for side in train.known().sufficient()]
        return []

    def measure(self, test: Pairs) -> Measured:
        sides = test.known().sufficient()
        if 0 in (sides[0].shape[1], sides[1].shape[1]):
            return Measured(0.0, 0.0, {"dimensions": [0, 0]})
        a, b = (scaling(side) for scaling, side in zip(self._scalings, sides, strict=True))
        return measured_ksg(a, b, self.neighbours)
