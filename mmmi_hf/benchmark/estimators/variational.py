"""Variational estimators: a critic is trained, and its objective is read off on rows that it never saw.

Owns the estimators that differ in their objective alone: one line each at the end. Imports torch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np
import torch
from torch import nn

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.critics import Standardize, critic
from mmmi_hf.benchmark.networks.objectives import (
    NWJ,
    DonskerVaradhan,
    InfoNCE,
    JensenShannon,
    Mine,
    Objective,
    Scores,
    Smile,
    influence,
)
from mmmi_hf.benchmark.networks.tensors import tensors
from mmmi_hf.benchmark.networks.training import Training, batches, fit_network, optimizer_of, seeded
from mmmi_hf.benchmark.pairs import Pairs

_PAIRS_AT_ONCE = {"separable": 2048, "joint": 128}  # rows whose pairs are scored together


class Variational(Estimator):
    """A critic trained on an objective; subclasses name the objective."""

    order = 100
    training: Training

    @abstractmethod
    def objective(self) -> Objective:
        """The objective, new."""

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        recipe, objective = self.training, self.objective()
        a, b = tensors(train)
        with seeded(seed):
            inner = critic(
                recipe.critic,
                (a.shape[1:], b.shape[1:]),
                encoder_kind=recipe.encoder,
                width=recipe.width,
                layers=recipe.layers,
                embedding=recipe.embedding,
            )
        self._network = _Standardized(Standardize(a, on=recipe.split), Standardize(b, on=recipe.split), inner)

        def scores_of(rows: torch.Tensor) -> Scores:
            return Scores.of([self._network(a[rows], b[rows])])

        if not recipe.split:
            return self._learn_as_the_paper(scores_of, objective, len(a), seed)
        return fit_network(
            self._network,
            lambda rows: objective.loss(scores_of(rows)),
            lambda: self._look(validation),
            len(a),
            recipe,
            seed,
        )

    def _learn_as_the_paper(
        self, scores_of: Callable[[torch.Tensor], Scores], objective: Objective, rows: int, seed: int
    ) -> History:
        """Train for all steps on the training rows, of which the estimate is the mean of the last twentieth of the
        batch values; nothing is asked of the validation rows."""
        recipe = self.training
        optimizer, source = optimizer_of(self._network, recipe), batches(rows, recipe.batch_size, seed)
        values, history = [], []
        for step in range(1, recipe.steps + 1):
            scores = scores_of(next(source))
            optimizer.zero_grad()
            objective.loss(scores).backward()
            optimizer.step()
            if step > recipe.steps - max(1, recipe.steps // 20) or step % recipe.evaluate_every == 0:
                with torch.no_grad():
                    values.append((step, float(objective.value(scores))))
                if step % recipe.evaluate_every == 0:
                    history.append({"step": step, "value": values[-1][1]})
        last = [value for step, value in values if step > recipe.steps - max(1, recipe.steps // 20)]
        self._value = float(np.mean(last))
        return history

    def measure(self, test: Pairs) -> Measured:
        if not self.training.split:
            return Measured(self._value, None, {"of": "training batches"})
        blocks = self._blocks(test)
        value, error = influence(self.objective(), blocks)
        ceiling = self.objective().ceiling(max(len(block) for block in blocks))
        return Measured(value, error, {} if ceiling is None else {"ceiling": ceiling})

    def _look(self, validation: Pairs) -> dict[str, float]:
        scores = Scores.of(self._blocks(validation))
        return {"criterion": float(self.objective().criterion(scores)), "value": float(self.objective().value(scores))}

    def _blocks(self, pairs: Pairs) -> list[torch.Tensor]:
        """Scores of disjoint sets of rows, in float64; each set as large as possible, and never a lone row."""
        a, b = tensors(pairs)
        with torch.no_grad():
            return [
                self._network(a[rows], b[rows]).double()
                for rows in np.array_split(np.arange(len(a)), -(-len(a) // _PAIRS_AT_ONCE[self.training.critic]))
            ]


class _Standardized(nn.Module):
    """A critic with the constants of its inputs."""

    def __init__(self, first: Standardize, second: Standardize, inner: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.inner = first, second, inner

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.inner(self.first(a), self.second(b))
        return scores


def _named(name: str, objective: Callable[[], Objective], what: str) -> type[Variational]:
    """A registered variational estimator."""

    @final
    @dataclass
    class Named(Variational):
        training: Training = field(default_factory=Training)

        def objective(self) -> Objective:
            return objective()

    Named.__doc__ = what
    Named.__qualname__ = Named.__name__ = f"Variational[{name}]"
    return register_estimator(name)(Named)


DV = _named("dv", DonskerVaradhan, "Donsker–Varadhan.")
JSPaper = _named("js", lambda: JensenShannon(unbiased=False), "Jensen–Shannon as the paper reads it: I − 1/e.")
JS = _named("js-unbiased", lambda: JensenShannon(unbiased=True), "Jensen–Shannon, read without the paper's bias.")
NCE = _named("infonce", InfoNCE, "InfoNCE, at most the logarithm of the number of test rows.")
MINE = _named("mine", Mine, "MINE with a moving average.")
Nwj = _named("nwj", NWJ, "Nguyen–Wainwright–Jordan.")
SMILE1 = _named("smile-1", lambda: Smile(1.0), "SMILE, τ = 1.")
SMILE5 = _named("smile-5", lambda: Smile(5.0), "SMILE, τ = 5.")
SMILE = _named("smile-inf", lambda: Smile(math.inf), "SMILE, τ = ∞.")

PAPER_TABLE_1 = ("dv", "js", "infonce", "mine", "nwj", "smile-1", "smile-5", "smile-inf")
"""The eight estimators of the paper's Table 1, in its order."""
