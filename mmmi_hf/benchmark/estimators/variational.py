"""Variational estimators: a critic is trained, and its objective is read off on rows that it never saw.

Owns the estimators that differ in their objective alone: one line each at the end. Imports torch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
import torch
from torch import nn

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.critics import FromNothing, Standardize, TwoCritics, critic
from mmmi_hf.benchmark.networks.objectives import (
    NWJ,
    DonskerVaradhan,
    FDivergence,
    FenchelLegendre,
    InfoNCE,
    InfoNCEAnchor,
    JensenShannon,
    Mine,
    Objective,
    Scores,
    Smile,
    influence,
)
from mmmi_hf.benchmark.networks.tensors import tensors
from mmmi_hf.benchmark.networks.training import Training, batches, fit_network, optimizer_of, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs

_PAIRS_AT_ONCE = {"separable": 2048, "joint": 128}  # rows whose pairs are scored together


class Variational(Estimator):
    """A critic trained on an objective; subclasses name the objective."""

    order = 100
    training: Training

    @abstractmethod
    def objective(self) -> Objective:
        """The objective, new."""

    def critic(self, shapes: tuple[Sequence[int], Sequence[int]]) -> nn.Module:
        """The critic, new."""
        recipe = self.training
        return critic(
            recipe.critic,
            shapes,
            encoder_kind=recipe.encoder,
            width=recipe.width,
            layers=recipe.layers,
            embedding=recipe.embedding,
        )

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        recipe, objective = self.training, self.objective()
        a, b = tensors(train)
        with seeded(seed):
            inner = self.critic((a.shape[1:], b.shape[1:]))
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


def _named(
    name: str, objective: Callable[[], Objective], what: str, *, bound: str = "", reads: str = ""
) -> type[Variational]:
    """A registered variational estimator."""

    @final
    @dataclass
    class Named(Variational):
        training: Training = field(default_factory=Training)

        def objective(self) -> Objective:
            return objective()

    Named.__doc__, Named.bound, Named.reads = what, bound, reads
    Named.__qualname__ = Named.__name__ = f"Variational[{name}]"
    return register_estimator(name)(Named)


DV = _named("dv", DonskerVaradhan, "Donsker–Varadhan: E_P[f] − ln E_Q[e^f] (Donsker and Varadhan 1983).", bound="lower")
JSPaper = _named(
    "js",
    lambda: JensenShannon(unbiased=False),
    "Jensen–Shannon as the paper reads it, E_P[f] − E_Q[e^(f − 1)]: I − 1/e at its best (Hjelm et al. 2019).",
    bound="lower",
    reads="I − 1/e = I − .368 at its best, whatever there are of rows",
)
JS = _named(
    "js-unbiased",
    lambda: JensenShannon(unbiased=True),
    "Jensen–Shannon, read without the paper's bias: E_P[f] + 1 − E_Q[e^f] (Poole et al. 2019).",
    bound="lower",
)
NCE = _named(
    "infonce",
    InfoNCE,
    "InfoNCE: mean_i [f_ii − ln (1/K) Σ_j e^(f_ij)], at most ln of the number of test rows (van den Oord et al. 2018).",
    bound="lower",
    reads="at most ln of the test rows; the interval does not speak of what is missing to I below that",
)
MINE = _named(
    "mine",
    Mine,
    "E_P[f] − ln E_Q[e^f], learned with a moving average of E_Q[e^f] (MINE, Belghazi et al. 2018).",
    bound="lower",
)
Nwj = _named("nwj", NWJ, "E_P[f] − E_Q[e^(f − 1)] (Nguyen, Wainwright and Jordan 2010).", bound="lower")
SMILE1 = _named(
    "smile-1",
    lambda: Smile(1.0),
    "E_P[f] − ln E_Q[clip(e^f, e^−1, e^1)] (SMILE with τ = 1, Song and Ermon 2020): clipped, it is no bound.",
    reads="with the exact critic too high, by .50 at 2.5 nats, whatever there are of rows",
)
SMILE5 = _named(
    "smile-5",
    lambda: Smile(5.0),
    "E_P[f] − ln E_Q[clip(e^f, e^−5, e^5)] (SMILE with τ = 5, Song and Ermon 2020): clipped, it is no bound.",
)
SMILE = _named(
    "smile-inf",
    lambda: Smile(math.inf),
    "E_P[f] − ln E_Q[e^f] of a critic that the Jensen–Shannon bound trained (SMILE, τ = ∞, Song and Ermon 2020).",
    bound="lower",
)


class _OwnObjective(Variational):
    """Not of the paper: it has no recipe without a split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_paper(self.name, self.training)


class _PlugIn(_OwnObjective):
    """E_P[f] of a critic that is the log ratio itself: a constant in f counts, so that it begins at 0."""

    def critic(self, shapes: tuple[Sequence[int], Sequence[int]]) -> nn.Module:
        return FromNothing(super().critic(shapes))


@register_estimator("infonce-anchor")
@final
@dataclass
class Anchored(_PlugIn):
    """E_P[f], f of a classifier of K candidates or none of them (Ryu et al. 2025): without a ceiling, and no bound."""

    order = 101
    training: Training = field(default_factory=Training)

    def objective(self) -> Objective:
        return InfoNCEAnchor()


@register_estimator("f-dime")
@final
@dataclass
class FDIME(_PlugIn):
    """E_P[f], f the log ratio learned by the divergence "gan", "kl" or "hd" (f-DIME, Letizia et al. 2024): no bound."""

    order = 101
    training: Training = field(default_factory=Training)
    divergence: Literal["gan", "kl", "hd"] = "gan"

    def objective(self) -> Objective:
        return FDivergence(self.divergence)


@register_estimator("flo")
@final
@dataclass
class FLO(_OwnObjective):
    """E_P[u − e^u E_b'[e^(g(a, b') − g(a, b))]] + 1 with two critics u and g (FLO, Guo et al. 2022)."""

    order = 101
    bound = "lower"
    training: Training = field(default_factory=Training)

    def objective(self) -> Objective:
        return FenchelLegendre()

    def critic(self, shapes: tuple[Sequence[int], Sequence[int]]) -> nn.Module:
        return TwoCritics(super().critic(shapes), super().critic(shapes))


PAPER_TABLE_1 = ("dv", "js", "infonce", "mine", "nwj", "smile-1", "smile-5", "smile-inf")
"""The eight estimators of the paper's Table 1, in its order."""
