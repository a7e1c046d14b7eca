"""A contrastive log-ratio upper bound with a learned conditional density."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.densities import ConditionalDensity, Predicted
from mmmi_hf.benchmark.networks.training import Training, fit_network, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs

_AT_ONCE = 256  # rows whose pairs are scored together


@register_estimator("vclub")
@final
@dataclass
class VariationalCLUB(Estimator):
    """E_P[ln q(b|a)] − E_Q[ln q(b|a)], q a normal density fitted by maximum likelihood (vCLUB, Cheng et al. 2020).

    With the true conditional density in q's place it is I + KL(Q‖P), an upper bound, e^{2I} − 1 for one normal
    canonical pair. With a learned one it is I + KL(Q‖q) − KL(P‖q), q standing for q(b|a) p(a): above I only as long as
    q is nearer to the law of the pairs than to that of pairs apart. E_Q is over all pairs of different rows; the paper
    has the pairs themselves among them, which makes its value (n − 1)/n of this one. The smaller block is b.
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
        on_pairs, others = np.diag(logs), len(b) - 1
        return Measured.of_contrast(on_pairs, *((logs.sum(axis=axis) - on_pairs) / others for axis in (1, 0)))
