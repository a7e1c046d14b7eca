"""Contrastive log-ratio upper bounds: with a learned conditional density, and with the exact one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.densities import ConditionalDensity, Predicted
from mmmi_hf.benchmark.networks.training import Training, fit_network, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs, derangement
from mmmi_hf.common.records import Positive

_AT_ONCE = 256  # rows whose pairs are scored together


@register_estimator("vclub")
@final
@dataclass
class VariationalCLUB(Estimator):
    """E_P[ln q(b|a)] − E_Q[ln q(b|a)], q a normal density fitted by maximum likelihood (vCLUB, Cheng et al. 2020).

    With the true conditional density in q's place it is I + KL(Q‖P), an upper bound, e^{2I} − 1 for one normal
    canonical pair; with a learned one it is above I only as long as q is nearer to p(b|a) on pairs than apart.
    """

    order = 140
    bound = "upper"
    reads = "I + KL(Q‖P) at its best: e^{2I} − 1 of one normal pair"
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_paper(self.name, self.training)

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._predicted = Predicted(train)
        (a, b), held = self._predicted(train), self._predicted(validation)
        with seeded(seed):
            self._network = ConditionalDensity(
                self._predicted.given, self._predicted.size, self.training, components=1, family="normal"
            )
        return fit_network(
            self._network,
            lambda rows: -self._network(a[rows]).log_density(b[rows]).mean(),
            lambda: {"criterion": float(self._network(held[0]).log_density(held[1]).mean())},
            len(a),
            self.training,
            seed,
        )

    def measure(self, test: Pairs) -> Measured:
        a, b = self._predicted(test)
        with torch.no_grad():
            logs = np.concatenate([self._network(rows).log_densities(b).double().numpy() for rows in a.split(_AT_ONCE)])
        return _contrast(np.diag(logs), (logs.sum(axis=1) - np.diag(logs)) / (len(b) - 1), logs)


@register_estimator("oracle-club")
@final
@dataclass
class OracleCLUB(Estimator):
    """E_P[ι] − E_Q[ι] with the exact log density ratio ι: CLUB when the conditional density is known.

    Cheng et al. (2020), equation 6; ln p(b) is in both means and cancels. `rounds` derangements of the test rows stand
    for Q. Its value at its best is I + KL(Q‖P), however many rows there are.
    """

    order = 320
    uses_exact = True
    bound = "upper"
    reads = "I + KL(Q‖P): e^{2I} − 1 of one normal pair"
    rounds: Positive = 8

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._rounds_seed = seed
        return []

    def measure(self, test: Pairs) -> Measured:
        exact = test.known()
        if exact.independent:
            return Measured(0.0, 0.0, {"pairs": 0})
        generator = np.random.default_rng(self._rounds_seed)
        partners = [derangement(len(test), generator) for _ in range(self.rounds)]
        apart = [exact.densities(partner) for partner in partners]
        # a row stands in `rounds` of these pairs as a, and in as many as b
        as_b = [np.empty(len(test)) for _ in partners]
        for place, partner, values in zip(as_b, partners, apart, strict=True):
            place[partner] = values
        return _of_slopes(exact.densities(), np.mean(apart, axis=0), np.mean(as_b, axis=0))


def _contrast(on_pairs: np.ndarray, by_a: np.ndarray, logs: np.ndarray) -> Measured:
    """The difference of means and its standard error over rows, from all pairs."""
    by_b = (logs.sum(axis=0) - on_pairs) / (len(on_pairs) - 1)
    return _of_slopes(on_pairs, by_a, by_b)


def _of_slopes(on_pairs: np.ndarray, by_a: np.ndarray, by_b: np.ndarray) -> Measured:
    """A row's weight moves E_P by its own value, and E_Q by what it brings as a and as b."""
    value = float(on_pairs.mean() - by_a.mean())
    slopes = on_pairs - by_a - by_b
    return Measured(value, float(np.std(slopes) / math.sqrt(len(slopes))))
