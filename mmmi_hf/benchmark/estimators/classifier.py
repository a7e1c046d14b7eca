"""The cross-entropy of a classifier: a lower bound of what rows tell of their class label."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.labels import Labelled
from mmmi_hf.benchmark.networks.critics import Standardize, encoder
from mmmi_hf.benchmark.networks.training import Training, fit_network, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs


@register_estimator("classifier")
@final
@dataclass
class ClassifierBound(Estimator):
    """E ln q(c|x) - ln P(c), q a network trained by cross-entropy and P the frequencies of the training rows: the bound
    of Barber and Agakov (2003) for a label.

    By Gibbs' inequality below the information, but for what the frequencies err by, (classes - 1)/2n nats on average.
    """

    order = 120
    of_labels = True
    bound = "lower"
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_paper(self.name, self.training)

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        recipe, known, held = self.training, Labelled.of(train, "train"), Labelled.of(validation, "validation")
        count = 1 + int(max(known.labels.max(), held.labels.max()))
        self._prior = (np.bincount(known.labels, minlength=count) + 0.5) / (len(known.labels) + 0.5 * count)
        rows, labels = _tensor(known.rows), torch.from_numpy(known.labels)
        held_rows, held_labels = _tensor(held.rows), torch.from_numpy(held.labels)
        with seeded(seed):
            predict = encoder(rows.shape[1:], recipe.encoder, width=recipe.width, layers=recipe.layers, outputs=count)
        self._network = nn.Sequential(Standardize(rows), predict)
        prior = -float(np.log(self._prior)[held.labels].mean())

        def look() -> dict[str, float]:
            now = prior - float(cross_entropy(self._network(held_rows), held_labels))
            return {"criterion": now, "value": now}

        return fit_network(
            self._network,
            lambda chosen: cross_entropy(self._network(rows[chosen]), labels[chosen]),
            look,
            len(rows),
            recipe,
            seed,
        )

    def measure(self, test: Pairs) -> Measured:
        known = Labelled.of(test, "test")
        if known.labels.max() >= len(self._prior) or known.labels.min() < 0:
            raise ValueError(f"test has labels outside 0 … {len(self._prior) - 1}, which were not fitted")
        with torch.no_grad():
            logs = torch.log_softmax(self._network(_tensor(known.rows)).double(), dim=1).numpy()
        gains = logs[np.arange(len(logs)), known.labels] - np.log(self._prior)[known.labels]
        accuracy = float(np.mean(logs.argmax(axis=1) == known.labels))
        return Measured(float(gains.mean()), float(gains.std() / math.sqrt(len(gains))), {"accuracy": accuracy})


def _tensor(rows: np.ndarray) -> torch.Tensor:
    """Float32 rows, one column where they are single numbers."""
    values = torch.from_numpy(np.array(rows, dtype=np.float32))
    return values[:, None] if values.ndim == 1 else values
