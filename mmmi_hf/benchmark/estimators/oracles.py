"""Oracles: what the sampling of the test rows alone costs.

Owns the exact facts of rows whose latents are known, and two estimators that are told them. Imports the causal room;
needs no network. An oracle's error is a floor, not a competitor's result.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.benchmark.estimators.classical import Scaling, measured_ksg
from mmmi_hf.benchmark.estimators.contract import Estimator, History, Measured, Pairs, derangement, register_estimator
from mmmi_hf.causal import CausalModel, Latents

TARGET = "y"


@dataclass(frozen=True, eq=False)
class ExactPairs:
    """What is known of rows of two blocks: the model, the latents, and which latents stand side by side.

    rows_a, rows_b: (n,), the latent row of each block in every pair; they differ where pairs were deranged.
    """

    model: CausalModel
    latents: Latents
    first: str
    second: str
    rows_a: NDArray[np.intp]
    rows_b: NDArray[np.intp]
    independent: bool = False

    @classmethod
    def of(cls, model: CausalModel, latents: Latents, first: str, second: str) -> ExactPairs:
        """Every row paired with itself."""
        rows = np.arange(len(latents))
        return cls(model, latents, first, second, rows, rows)

    def take(self, rows: NDArray[np.intp]) -> ExactPairs:
        """These pairs, in this order."""
        return replace(self, rows_a=self.rows_a[rows], rows_b=self.rows_b[rows])

    def deranged(self, partner: NDArray[np.intp]) -> ExactPairs:
        """Every first block with another row's second block."""
        return replace(self, rows_b=self.rows_b[partner], independent=True)

    def sufficient(self) -> tuple[np.ndarray, np.ndarray]:
        """Sufficient statistics of each block for the other, (n, p) and (n, q).

        For y it is y itself, and E[y | x]. Between modalities that share causes only, it is E[ũ_k | x] of every cause.

        Raises:
            ValueError: the modalities share a vector source, so that as many numbers as coordinates are needed.
        """
        return self._statistic(self.first, self.second, self.rows_a), self._statistic(
            self.second, self.first, self.rows_b
        )

    def densities(self, partner: NDArray[np.intp] | None = None) -> np.ndarray:
        """ln p(a, b) / p(a) p(b) of every pair, (n,), in nats; with a partner, of the first blocks with the second
        blocks of other pairs."""
        rows_b = self.rows_b if partner is None else self.rows_b[partner]
        side = {self.first: self.rows_a, self.second: rows_b}
        z = {name: self.latents.z[name][rows] for name, rows in side.items() if name != TARGET}
        y = self.latents.y[side[TARGET]] if TARGET in side else np.zeros(len(rows_b))
        paired = Latents(z, y, self.latents.standardize)
        return self.model.pointwise_mutual_information(paired, self.first, self.second)

    def _statistic(self, block: str, other: str, rows: NDArray[np.intp]) -> np.ndarray:
        if block == TARGET:
            return self.latents.y[rows, None]
        latents = Latents({block: self.latents.z[block][rows]}, self.latents.y[rows], self.latents.standardize)
        if other == TARGET:
            return self.model.decode(latents, block)[:, None]
        columns = [each.decode(latents, block) for each in self.model.of_shared_causes(block, other)]
        return np.stack(columns, axis=1)


def _known(pairs: Pairs) -> ExactPairs:
    if pairs.exact is None:
        raise ValueError("an oracle needs the latents' model; the test rows have no `exact`")
    return pairs.exact


@register_estimator("oracle-ksg")
@final
@dataclass
class OracleKSG(Estimator):
    """KSG on exact sufficient statistics of the latents: one number per cause instead of an image."""

    uses_exact = True
    neighbours: int = 3

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._scalings = [Scaling.of(side) for side in _known(train).sufficient()]
        return []

    def measure(self, test: Pairs) -> Measured:
        sides = _known(test).sufficient()
        if 0 in (sides[0].shape[1], sides[1].shape[1]):
            return Measured(0.0, 0.0, {"dimensions": [0, 0]})
        a, b = (scaling(side) for scaling, side in zip(self._scalings, sides, strict=True))
        return measured_ksg(a, b, self.neighbours)


@register_estimator("oracle-dv")
@final
@dataclass
class OracleDV(Estimator):
    """Donsker–Varadhan with the exact log density ratio as its critic.

    `rounds` derangements of the test rows give rounds · n independent-as-can-be pairs for ln E_Q[e^f]. Its bias is at
    most (e^{2I} − 1) / (2 pairs) for one canonical pair. Where the blocks are independent by construction the exact
    critic is zero, and so is the value.
    """

    uses_exact = True
    rounds: int = field(default=8)

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._rounds_seed = seed
        return []

    def measure(self, test: Pairs) -> Measured:
        exact = _known(test)
        if exact.independent:
            return Measured(0.0, 0.0, {"pairs": 0})
        generator = np.random.default_rng(self._rounds_seed)
        on_pairs = exact.densities()
        apart = np.stack([exact.densities(derangement(len(test), generator)) for _ in range(self.rounds)])
        top = apart.max()
        ratios = np.exp(apart - top)
        value = float(on_pairs.mean() - np.log(ratios.mean()) - top)
        slopes = on_pairs - ratios.mean(axis=0) / ratios.mean()
        return Measured(value, float(np.std(slopes) / np.sqrt(len(slopes))), {"pairs": apart.size})
