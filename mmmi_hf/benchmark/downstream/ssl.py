"""Self-supervised learning, a first cut: encoders that see modalities and never y.

Owns the ways of learning.

contrastive: InfoNCE between the embedding of one modality and those of the others, pair by pair, averaged over pairs.
vicreg: the same pairs without negatives (Bardes, Ponce and LeCun 2022): embeddings of a row agree, every coordinate
keeps a standard deviation of 1 or more, and coordinates of one embedding are uncorrelated; weights 25, 25 and 1.
masked: every modality is hidden in turn, and its latent content is predicted from the embeddings of the rest by mean
squared error on its standardised coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from mmmi_hf.benchmark.downstream.regression import Task
from mmmi_hf.benchmark.networks.critics import Standardize, encoder, perceptron
from mmmi_hf.benchmark.networks.training import fit_network

_PAIRS_PER_STEP = 3
_INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0


class Encoders(nn.Module):
    """One encoder per modality, on standardised rows; after `turns` losses every modality (and pair) had its turn."""

    turns: int

    def __init__(self, train: Sequence[torch.Tensor], task: Task) -> None:
        super().__init__()
        recipe = task.training
        self.scales = nn.ModuleList(Standardize(rows) for rows in train)
        self.parts = nn.ModuleList(
            encoder(rows.shape[1:], recipe.encoder, width=recipe.width, layers=recipe.layers, outputs=recipe.embedding)
            for rows in train
        )

    def embed(self, index: int, rows: torch.Tensor) -> torch.Tensor:
        """(n, embedding) of one modality."""
        embedded: torch.Tensor = self.parts[index](self.scales[index](rows))
        return embedded


class Paired(Encoders):
    """A loss of pairs of modalities, a few of them at a time."""

    def __init__(self, train: Sequence[torch.Tensor], task: Task) -> None:
        super().__init__(train, task)
        self.every = list(combinations(range(len(train)), 2))
        self.turns = -(-len(self.every) // _PAIRS_PER_STEP)

    def of_pair(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """The loss of two embeddings of the same rows, (n, embedding) each."""
        raise NotImplementedError

    def loss(self, blocks: Sequence[torch.Tensor], turn: int) -> torch.Tensor:
        """The mean over a few pairs of modalities; `turn` says which."""
        count = len(self.every)
        chosen = [self.every[(turn * _PAIRS_PER_STEP + k) % count] for k in range(min(_PAIRS_PER_STEP, count))]
        needed = sorted({index for pair in chosen for index in pair})
        embedded = {index: self.embed(index, blocks[index]) for index in needed}
        return torch.stack([self.of_pair(embedded[i], embedded[j]) for i, j in chosen]).mean()


class Contrastive(Paired):
    """Symmetric InfoNCE of normalised embeddings with a learned temperature."""

    def __init__(self, train: Sequence[torch.Tensor], task: Task) -> None:
        super().__init__(train, task)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def of_pair(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        scores = self._scores(first, second)
        wanted = torch.arange(len(scores))
        return 0.5 * (cross_entropy(scores, wanted) + cross_entropy(scores.T, wanted))

    def information(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """What every row adds to the InfoNCE value, (n,) in nats: in expectation their mean is at most I and ln n."""
        scores = self._scores(first, second)
        return math.log(len(scores)) + 0.5 * (scores.log_softmax(1).diagonal() + scores.log_softmax(0).diagonal())

    def _scores(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.log_scale.exp() * normalize(first) @ normalize(second).T
        return scores


class VICReg(Paired):
    """Invariance, variance and covariance of embeddings."""

    def of_pair(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return vicreg(first, second)


def vicreg(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """25 · mean (z − z')² + 25 · mean max(0, 1 − deviation) + Σ covariance² / d beside the diagonal, of both (n, d)."""
    total = _INVARIANCE * (first - second).square().mean()
    for side in (first, second):
        apart = side - side.mean(dim=0)
        covariance = apart.T @ apart / (len(side) - 1)
        deviations = (covariance.diagonal() + 1e-4).sqrt()
        off = covariance - torch.diag(covariance.diagonal())
        total = total + _VARIANCE * (1.0 - deviations).relu().mean() / 2 + _COVARIANCE * off.square().sum() / len(off)
    return total


class Masked(Encoders):
    """Predict one hidden modality from the mean embedding of the others."""

    def __init__(self, train: Sequence[torch.Tensor], task: Task) -> None:
        super().__init__(train, task)
        recipe = task.training
        self.turns = len(train)
        self.decoders = nn.ModuleList(
            perceptron(recipe.embedding, recipe.width, 1, math.prod(rows.shape[1:])) for rows in train
        )

    def loss(self, blocks: Sequence[torch.Tensor], turn: int) -> torch.Tensor:
        """Mean squared error per coordinate of the modality whose turn it is, from at most three others."""
        hidden = turn % len(blocks)
        others = [(hidden + 1 + k + turn // len(blocks)) % len(blocks) for k in range(_PAIRS_PER_STEP)]
        seen = sorted({index for index in others if index != hidden} or {(hidden + 1) % len(blocks)})
        mean = torch.stack([self.embed(index, blocks[index]) for index in seen]).mean(dim=0)
        wanted = self.scales[hidden](blocks[hidden]).flatten(1)
        loss: torch.Tensor = (self.decoders[hidden](mean) - wanted).square().mean()
        return loss


KINDS: dict[str, type[Paired | Masked]] = {"contrastive": Contrastive, "vicreg": VICReg, "masked": Masked}
"""Ways of learning without y."""


def learn(
    encoders: Paired | Masked, train: Sequence[torch.Tensor], validation: Sequence[torch.Tensor], task: Task
) -> list[dict[str, float]]:
    """Train encoders on blocks of training rows, and stop by the validation rows; see `fit_network`."""
    turns = iter(range(task.training.steps + 1))

    def look() -> dict[str, float]:
        held = [float(encoders.loss(validation, turn)) for turn in range(encoders.turns)]
        return {"criterion": -float(np.mean(held))}

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return encoders.loss([block[rows] for block in train], next(turns))

    return fit_network(encoders, loss, look, len(train[0]), task.training, task.seed)
