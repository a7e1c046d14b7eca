"""The bound of Barber and Agakov with a normal conditional density."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.densities import Predicted, features
from mmmi_hf.benchmark.networks.training import Training, fit_network, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs


@register_estimator("ba")
@final
@dataclass
class BarberAgakov(Estimator):
    """E[ln q(b|a) − ln q(b)] with normal q (Barber and Agakov 2003).

    The smaller of the two blocks is predicted, in coordinates in which the training rows have the covariance 1; q(b|a)
    has a diagonal covariance there. q(b) is fitted to the training rows, and its mean of ln q(b) stands for −H(b): a
    lower bound where b is normal, and a difference of entropies without a sign elsewhere. Where there are fewer than
    20 training rows for a coordinate, as of images, coordinates are scaled one by one, and have to be independent.
    """

    order = 110
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_paper(self.name, self.training)

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        recipe = self.training
        self._predicted = Predicted(train)
        (a, b), held = self._predicted(train), self._predicted(validation)
        with seeded(seed):
            self._network = _Conditional(features(self._predicted.given, recipe, self._predicted.size), b.shape[1])
        return fit_network(
            self._network,
            lambda rows: -self._network(a[rows], b[rows]).mean(),
            lambda: {"criterion": (now := float(self._network(*held).mean())), "value": now},
            len(a),
            recipe,
            seed,
        )

    def measure(self, test: Pairs) -> Measured:
        with torch.no_grad():
            gains = self._network(*self._predicted(test)).double()
        return Measured(float(gains.mean()), float(gains.std() / math.sqrt(len(gains))))


class _Conditional(nn.Module):
    """ln q(b|a) − ln q(b) of every row, in scaled coordinates (the Jacobian cancels)."""

    def __init__(self, predict: nn.Module, outputs: int) -> None:
        super().__init__()
        self.predict = predict
        self.log_deviation = nn.Parameter(torch.zeros(outputs))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        residual = (b - self.predict(a)) * (-self.log_deviation).exp()
        gains: torch.Tensor = (0.5 * b.square() - 0.5 * residual.square() - self.log_deviation).sum(dim=1)
        return gains
