"""Variational estimators: a critic is trained, and its objective is read off on rows that it never saw.

Owns the training loop and the estimators by name. Imports torch.
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

from mmmi_hf.benchmark.estimators.contract import Estimator, History, Measured, Pairs, register_estimator
from mmmi_hf.benchmark.networks.critics import Standardize, critic, encoder
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
from mmmi_hf.benchmark.networks.training import Training, batches, fit_network, optimizer_of, seeded

_PAIRS_AT_ONCE = {"separable": 2048, "joint": 128}  # rows whose pairs are scored together


class Variational(Estimator):
    """A critic trained on an objective; subclasses name the objective."""

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


def tensors(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Both blocks in float32; a block of single numbers becomes (n, 1)."""
    blocks = [torch.from_numpy(np.ascontiguousarray(block, dtype=np.float32)) for block in (pairs.a, pairs.b)]
    a, b = (block[:, None] if block.ndim == 1 else block for block in blocks)
    return a, b


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


@register_estimator("ba")
@final
@dataclass
class BarberAgakov(Estimator):
    """E[ln q(b|a) − ln q(b)] with normal q of diagonal covariance (Barber and Agakov 2003).

    The smaller of the two blocks is predicted. q(b) is fitted to the training rows, and its mean of ln q(b) stands for
    −H(b): a lower bound where b is normal with independent coordinates, as whitened latents and y are, and a difference
    of entropies without a sign elsewhere.
    """

    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if not self.training.split:
            raise ValueError("'ba' is not of the paper and has no recipe without a split; leave --paper out")

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        recipe = self.training
        a, b = self._sides(train)
        outputs = b[0].numel()
        with seeded(seed):
            predict = encoder(a.shape[1:], recipe.encoder, width=recipe.width, layers=recipe.layers, outputs=outputs)
        self._network = _Conditional(Standardize(a), Standardize(b), predict, outputs)
        held = self._sides(validation)
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
            gains = self._network(*self._sides(test)).double()
        return Measured(float(gains.mean()), float(gains.std() / math.sqrt(len(gains))))

    @staticmethod
    def _sides(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        a, b = tensors(pairs)
        return (a, b) if a[0].numel() >= b[0].numel() else (b, a)


class _Conditional(nn.Module):
    """ln q(b|a) − ln q(b) of every row, in standardised coordinates (the Jacobian cancels)."""

    def __init__(self, first: Standardize, second: Standardize, predict: nn.Module, outputs: int) -> None:
        super().__init__()
        self.first, self.second, self.predict = first, second, predict
        self.log_deviation = nn.Parameter(torch.zeros(outputs))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        target = self.second(b).flatten(1)
        residual = (target - self.predict(self.first(a))) * (-self.log_deviation).exp()
        gains: torch.Tensor = (0.5 * target.square() - 0.5 * residual.square() - self.log_deviation).sum(dim=1)
        return gains
