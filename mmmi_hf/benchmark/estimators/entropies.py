"""Differences of entropies: a density of one block and a density of it given the other, both learned."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import final

import torch

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.densities import ConditionalDensity, Density, Predicted
from mmmi_hf.benchmark.networks.training import Training, fit_network, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


class Entropies(Estimator):
    """mean of ln q(b|a) − ln q(b), which is a difference of two cross-entropies."""

    training: Training

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_paper(self.name, self.training)

    @abstractmethod
    def densities(self, predicted: Predicted) -> tuple[ConditionalDensity, Density]:
        """q(b|a) and q(b), new."""

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        """Each of both densities until it no longer gains on the validation rows, whatever the other does."""
        self._predicted = Predicted(train)
        with seeded(seed):
            self._given, self._alone = self.densities(self._predicted)
        (a, b), (held_a, held_b) = self._predicted(train), self._predicted(validation)
        recipe, rows = self.training, len(a)
        fit_network(
            self._alone,
            lambda chosen: -self._alone().log_density(b[chosen]).mean(),
            lambda: {"criterion": float(self._alone().log_density(held_b).mean())},
            rows,
            recipe,
            seed,
        )
        with torch.no_grad():
            alone = float(self._alone().log_density(held_b).mean())

        def look() -> dict[str, float]:
            given = float(self._given(held_a).log_density(held_b).mean())
            return {"criterion": given, "value": given - alone}

        return fit_network(
            self._given, lambda chosen: -self._given(a[chosen]).log_density(b[chosen]).mean(), look, rows, recipe, seed
        )

    def measure(self, test: Pairs) -> Measured:
        a, b = self._predicted(test)
        with torch.no_grad():
            gains = (self._given(a).log_density(b) - self._alone().log_density(b)).double()
        return Measured(float(gains.mean()), float(gains.std() / math.sqrt(len(gains))))


@register_estimator("doe")
@final
@dataclass
class DifferenceOfEntropies(Entropies):
    """Ĥ(b) − Ĥ(b|a), each the least cross-entropy of a logistic family with independent coordinates (McAllester and
    Stratos 2020).

    Both cross-entropies lie above their entropies, so that the difference has no sign; where the family is equally far
    from both laws, the errors cancel.
    """

    order = 130
    training: Training = field(default_factory=Training)

    def densities(self, predicted: Predicted) -> tuple[ConditionalDensity, Density]:
        conditional = ConditionalDensity(
            predicted.given, predicted.size, self.training, components=1, family="logistic"
        )
        return conditional, Density(predicted.size, components=1, family="logistic")


@register_estimator("knife")
@final
@dataclass
class Knife(Entropies):
    """Ĥ(b) − Ĥ(b|a) by mixtures of `kernels` normal densities whose centres, widths and weights are learned.

    Those of q(b|a) come of a network of a (KNIFE, Pichler et al. 2022). Kernels have diagonal covariances, where the
    paper's may be full. No bound, as both are cross-entropies.
    """

    order = 131
    training: Training = field(default_factory=Training)
    kernels: Positive = 8

    def densities(self, predicted: Predicted) -> tuple[ConditionalDensity, Density]:
        conditional = ConditionalDensity(
            predicted.given, predicted.size, self.training, components=self.kernels, family="normal"
        )
        return conditional, Density(predicted.size, components=self.kernels, family="normal")
