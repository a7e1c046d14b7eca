"""Variational objectives: what a critic's scores say about mutual information.

Owns values and losses as functions of matrices of scores. Imports NumPy and torch only.

Scores are (K, K): entry (i, j) is f(a_i, b_j); the diagonal holds the pairs, the rest the deranged pairs. Rows carry
weights (all one, except where influence is asked for). Write E_P for the weighted mean of the diagonal and E_Q for that
of the off-diagonal entries, a pair (i, j) weighing w_i w_j.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch.nn.functional import softplus


@dataclass(frozen=True)
class Scores:
    """Matrices of scores of disjoint sets of rows, with the weights of the rows."""

    blocks: Sequence[torch.Tensor]
    weights: Sequence[torch.Tensor]

    @classmethod
    def of(cls, blocks: Sequence[torch.Tensor]) -> Scores:
        """Blocks of rows that all count once."""
        return cls(blocks, [block.new_ones(len(block)) for block in blocks])

    def on_pairs(self) -> torch.Tensor:
        """E_P[f]."""
        return self.mean_on_pairs(self.blocks)

    def mean_on_pairs(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """E_P of values laid out as the blocks are."""
        weighted = [weights @ block.diagonal() for block, weights in zip(values, self.weights, strict=True)]
        return torch.stack(weighted).sum() / torch.stack([weights.sum() for weights in self.weights]).sum()

    def mean_apart(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """E_Q of values laid out as the blocks are."""
        over, under = [], []
        for block, weights in zip(values, self.weights, strict=True):
            total = weights.sum()
            over.append(weights @ block @ weights - weights.square() @ block.diagonal())
            under.append(total * total - weights.square().sum())
        return torch.stack(over).sum() / torch.stack(under).sum()

    def log_mean_exp(self, values: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """ln E_Q[e^f]."""
        over, under = [], []
        for block, weights in zip(self.blocks if values is None else values, self.weights, strict=True):
            logs = weights.log()
            log_pairs = (logs[:, None] + logs[None]).fill_diagonal_(-torch.inf)
            over.append(torch.logsumexp((block + log_pairs).flatten(), 0))
            under.append(torch.logsumexp(log_pairs.flatten(), 0))
        return torch.logsumexp(torch.stack(over), 0) - torch.logsumexp(torch.stack(under), 0)


class Objective(ABC):
    """An estimate of I from scores, the loss that trains the critic, and the criterion that stops it (higher is
    better)."""

    @abstractmethod
    def value(self, scores: Scores) -> torch.Tensor:
        """The estimate in nats."""

    def loss(self, scores: Scores) -> torch.Tensor:
        """What training lowers."""
        return -self.value(scores)

    def criterion(self, scores: Scores) -> torch.Tensor:
        """What early stopping raises on the validation rows: the value, where it is a lower bound."""
        return self.value(scores)

    def ceiling(self, rows: int) -> float | None:
        """The largest value that this many test rows can give, None where there is none."""
        return None


@final
@dataclass(frozen=True)
class DonskerVaradhan(Objective):
    """E_P[f] − ln E_Q[e^f] (Donsker and Varadhan 1983).

    A lower bound of expectations: the logarithm of a mean of few pairs is too low on average, and the value too high.
    """

    def value(self, scores: Scores) -> torch.Tensor:
        return scores.on_pairs() - scores.log_mean_exp()


@final
@dataclass(frozen=True)
class NWJ(Objective):
    """E_P[f] − E_Q[e^(f − 1)] (Nguyen, Wainwright and Jordan 2010)."""

    def value(self, scores: Scores) -> torch.Tensor:
        return scores.on_pairs() - (scores.log_mean_exp() - 1.0).exp()


@final
@dataclass(frozen=True)
class JensenShannon(Objective):
    """Trained on the Jensen–Shannon bound, read off by NWJ.

    The best critic of the bound is the log density ratio. NWJ as the paper reads it, E_P[f] − E_Q[e^(f − 1)], is then
    I − 1/e: a constant bias. With `unbiased` the critic is raised by one first, E_P[f] + 1 − E_Q[e^f], which is I.
    Training does not feel how e^f of rare pairs grows, so that stopping has to.
    """

    unbiased: bool

    def value(self, scores: Scores) -> torch.Tensor:
        return scores.on_pairs() + self.unbiased - (scores.log_mean_exp() + self.unbiased - 1.0).exp()

    def loss(self, scores: Scores) -> torch.Tensor:
        return _shannon_loss(scores)


@final
@dataclass(frozen=True)
class Smile(Objective):
    """E_P[f] − ln E_Q[clip(e^f, e^−τ, e^τ)], trained on the Jensen–Shannon bound (Song and Ermon 2020); τ may be ∞."""

    tau: float

    def value(self, scores: Scores) -> torch.Tensor:
        clipped = [block.clamp(-self.tau, self.tau) for block in scores.blocks]
        return scores.on_pairs() - scores.log_mean_exp(clipped)

    def loss(self, scores: Scores) -> torch.Tensor:
        return _shannon_loss(scores)

    def criterion(self, scores: Scores) -> torch.Tensor:
        """The value for τ = ∞, which is Donsker–Varadhan; clipped it is no bound, and the training bound decides."""
        return self.value(scores) if math.isinf(self.tau) else -_shannon_loss(scores)


@final
@dataclass(frozen=True)
class InfoNCE(Objective):
    """mean_i [f_ii − ln (1/K) Σ_j e^(f_ij)], the pair itself among its K candidates (van den Oord et al. 2018).

    At most ln K nats.
    """

    def value(self, scores: Scores) -> torch.Tensor:
        over, under = [], []
        for block, weights in zip(scores.blocks, scores.weights, strict=True):
            contrast = block.diagonal() - torch.logsumexp(block + (weights / weights.sum()).log()[None], 1)
            over.append(weights @ contrast)
            under.append(weights.sum())
        return torch.stack(over).sum() / torch.stack(under).sum()

    def ceiling(self, rows: int) -> float | None:
        return math.log(rows)


@final
@dataclass(frozen=True)
class FDivergence(Objective):
    """E_P[f], f the log density ratio that the dual form of another divergence learns (f-DIME, Letizia et al. 2024).

    With D the paper's discriminator: "gan" has D = 1/(1 + e^f) and −E_P[ln(1 − D)] − E_Q[ln D], the loss of a
    classifier; "kl" has D = e^f and −E_P[ln D] + E_Q[D]; "hd" (Hellinger) has D = e^(−f/2) and E_P[D] + E_Q[1/D]: the
    paper's objectives with the sign turned, and without their constants. No mean of exponentials is in the value, so
    that it has little variance; nor is it a bound, as nothing says how far f is off. E_Q is over all pairs apart,
    where the paper has one derangement of a batch.
    """

    divergence: str = "gan"

    def value(self, scores: Scores) -> torch.Tensor:
        return scores.on_pairs()

    def loss(self, scores: Scores) -> torch.Tensor:
        if self.divergence == "gan":
            return _shannon_loss(scores)
        if self.divergence == "kl":
            return scores.log_mean_exp().exp() - scores.on_pairs()
        return scores.mean_on_pairs([(-0.5 * block).exp() for block in scores.blocks]) + scores.mean_apart(
            [(0.5 * block).exp() for block in scores.blocks]
        )

    def criterion(self, scores: Scores) -> torch.Tensor:
        """The training bound: the value alone could be raised by adding a constant to f."""
        return -self.loss(scores)


@final
@dataclass(frozen=True)
class InfoNCEAnchor(Objective):
    """E_P[f], f of a classifier that also has a class "none of the candidates" (Ryu et al. 2025, arXiv 2510.25983).

    Of K candidates b_1 … b_K either one belongs to a or, in the anchor class, none does. With the anchor ν times as
    likely as any one of them, the posterior of candidate i is e^{f_i} / (ν + Σ_j e^{f_j}), that of the anchor
    ν / (ν + Σ_j e^{f_j}); for every ν > 0 it is best with f the log density ratio itself (Theorem 3), which InfoNCE
    finds but for a function of a. Here ν = K, so that the anchor is as likely as all candidates together, and K is one
    less than the batch; the paper's experiments have ν = 1.
    """

    def value(self, scores: Scores) -> torch.Tensor:
        return scores.on_pairs()

    def loss(self, scores: Scores) -> torch.Tensor:
        losses = []
        for block in scores.blocks:
            count = len(block)
            anchor = block.new_full((count, 1), math.log(count - 1))
            # as many candidates in both cases: the next row's b stands out where the row's own is in
            none = torch.cat([anchor, block.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)], dim=1)
            next_row = torch.eye(count, dtype=torch.bool).roll(1, dims=1)
            one = torch.cat([anchor, block.masked_fill(next_row, -torch.inf)], dim=1)
            losses.append(torch.logsumexp(one, 1) - block.diagonal() + torch.logsumexp(none, 1) - math.log(count - 1))
        return torch.cat(losses).mean()

    def criterion(self, scores: Scores) -> torch.Tensor:
        return -self.loss(scores)


@final
@dataclass(frozen=True)
class FenchelLegendre(Objective):
    """E_P[u − e^u E_b'[e^(g(a, b') − g(a, b))]] + 1 (FLO, Guo et al. 2022; their u is −u here), a lower bound.

    Given g it is highest at u = −ln E_b'[e^(g(a, b') − g(a, b))], where it is E_P[g − ln E_b'[e^g]]; that is I if g is
    the log density ratio but for a function of a, and u then is the ratio itself. Scores hold u(a_i, b_i) on the
    diagonal and g(a_i, b_j) − g(a_i, b_i) beside it; E_b' is over the other rows.
    """

    def value(self, scores: Scores) -> torch.Tensor:
        over, under = [], []
        for block, weights in zip(scores.blocks, scores.weights, strict=True):
            logs = weights.log()[None].expand_as(block).clone().fill_diagonal_(-torch.inf)
            apart = torch.logsumexp(block + logs, 1) - torch.logsumexp(logs, 1)
            u = block.diagonal()
            over.append(weights @ (u - (u + apart).exp()))
            under.append(weights.sum())
        return torch.stack(over).sum() / torch.stack(under).sum() + 1.0


@final
class Mine(Objective):
    """Donsker–Varadhan, its gradient with a moving average of E_Q[e^f] in the denominator (Belghazi et al. 2018).

    The average of batches follows e^L ← (1 − rate) e^L + rate · E_Q[e^f], kept as the logarithm L. The gradient of
    E_Q[e^f] is divided by it, which takes away most of the bias that one batch's denominator has.
    """

    def __init__(self, rate: float = 0.01) -> None:
        if not 0.0 < rate <= 1.0:
            raise ValueError(f"rate must lie in (0, 1], got {rate!r}")
        self.rate = rate
        self.log_average: float | None = None

    def value(self, scores: Scores) -> torch.Tensor:
        return scores.on_pairs() - scores.log_mean_exp()

    def loss(self, scores: Scores) -> torch.Tensor:
        batch = scores.log_mean_exp()
        now = float(batch.detach())
        if not math.isfinite(now):
            raise ArithmeticError(f"the loss is {now!r}; lower the learning rate")
        if self.log_average is None:
            self.log_average = now
        kept = math.log1p(-self.rate) if self.rate < 1.0 else -math.inf
        self.log_average = float(np.logaddexp(kept + self.log_average, math.log(self.rate) + now))
        return -(scores.on_pairs() - (batch - self.log_average).exp())


def _shannon_loss(scores: Scores) -> torch.Tensor:
    """E_P[softplus(−f)] + E_Q[softplus(f)]."""
    return scores.mean_on_pairs([softplus(-block) for block in scores.blocks]) + scores.mean_apart(
        [softplus(block) for block in scores.blocks]
    )


def influence(objective: Objective, blocks: Sequence[torch.Tensor]) -> tuple[float, float]:
    """The value and its standard error over the sampling of rows.

    The infinitesimal jackknife (Jaeckel 1972; Efron 1982): the value's derivative by a row's weight, squared and summed
    over rows, is the variance that a bootstrap of the rows would find, a row's part in all of its pairs included.
    """
    weights = [block.new_ones(len(block), requires_grad=True) for block in blocks]
    value = objective.value(Scores([block.detach() for block in blocks], weights))
    slopes = torch.cat(torch.autograd.grad(value, weights))
    slopes = slopes - slopes.mean()
    return float(value.detach()), float(slopes.square().sum().sqrt())
