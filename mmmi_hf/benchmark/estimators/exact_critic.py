"""Oracles whose critic is the exact log density ratio: what sampling the test rows costs, no competitors."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.pairs import Pairs, derangement
from mmmi_hf.common.records import Positive


class ExactCritic(Estimator):
    """Means of the exact log density ratio over pairs, and over pairs apart: `rounds` derangements of the test rows.

    Where the blocks are independent by construction the ratio is zero, and so is the value.
    """

    uses_exact = True
    rounds: Positive

    @staticmethod
    @abstractmethod
    def read(on_pairs: np.ndarray, as_a: np.ndarray, as_b: np.ndarray) -> Measured:
        """The estimate from the log ratios of pairs, (n,), and apart, (rounds, n): by the row that brings a, and by the
        row that brings b."""

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._rounds_seed = seed
        return []

    def measure(self, test: Pairs) -> Measured:
        exact = test.known()
        if exact.independent:
            return Measured(0.0, 0.0, {"pairs": 0})
        generator = np.random.default_rng(self._rounds_seed)
        as_a = np.empty((self.rounds, len(test)))
        as_b = np.empty_like(as_a)
        for by_a, by_b in zip(as_a, as_b, strict=True):
            partner = derangement(len(test), generator)
            by_a[:] = exact.densities(partner)
            by_b[partner] = by_a
        found = self.read(exact.densities(), as_a, as_b)
        return Measured(found.value, found.standard_error, {"pairs": as_a.size})


@register_estimator("oracle-dv")
@final
@dataclass
class OracleDV(ExactCritic):
    """E_P[f] − ln E_Q[e^f] with the exact log density ratio as its critic f (Donsker and Varadhan 1983).

    `rounds` derangements of the test rows give rounds · n independent-as-can-be pairs for ln E_Q[e^f]. Its bias is at
    most (e^{2I} − 1) / (2 pairs) for one canonical pair.
    """

    order = 310
    rounds: Positive = 8

    @staticmethod
    def read(on_pairs: np.ndarray, as_a: np.ndarray, as_b: np.ndarray) -> Measured:
        top = as_a.max()
        ratios = np.exp(as_a - top)
        value = float(on_pairs.mean() - np.log(ratios.mean()) - top)
        # given its a, a ratio is 1 on average, as it is given its b: pairs apart err as if each stood for itself
        slopes = on_pairs - ratios.mean(axis=0) / ratios.mean()
        return Measured(value, float(np.std(slopes) / np.sqrt(len(slopes))))


@register_estimator("oracle-club")
@final
@dataclass
class OracleCLUB(ExactCritic):
    """E_P[ι] − E_Q[ι] with the exact log density ratio ι: CLUB (Cheng et al. 2020) with the known conditional density.

    ln p(b) is in both means and cancels. Its value at its best is I + KL(Q‖P), however many rows there are.
    """

    order = 320
    bound = "upper"
    reads = "I + KL(Q‖P): e^{2I} − 1 of one normal pair"
    rounds: Positive = 8

    @staticmethod
    def read(on_pairs: np.ndarray, as_a: np.ndarray, as_b: np.ndarray) -> Measured:
        return Measured.of_contrast(on_pairs, as_a.mean(axis=0), as_b.mean(axis=0))
