"""Self-supervised learning, a first cut: encoders that see modalities and never y, then a linear probe of y.

Owns the ways of learning, their controls and the probe.

contrastive: InfoNCE between the embedding of one modality and those of the others, pair by pair, averaged over pairs.
vicreg: the same pairs without negatives (Bardes, Ponce and LeCun 2022): embeddings of a row agree, every coordinate
keeps a standard deviation of 1 or more, and coordinates of one embedding are uncorrelated; weights 25, 25 and 1.
masked: every modality is hidden in turn, and its latent content is predicted from the embeddings of the rest by mean
squared error on its standardised coordinates.
Controls, which say what rows, networks and probe allow: untrained encoders; raw, no encoder at all, the probe sees the
standardised coordinates of x1; supervised, the network of the regression, which is told y.

What an encoder keeps about y is judged by a ridge regression of y on the frozen embedding of x1: its R² on test rows
is at most that of E[y | x1], which the causal model knows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from mmmi_hf.benchmark.downstream.regression import Task, judged, limits, read_task, run_task
from mmmi_hf.benchmark.networks.critics import Standardize, encoder, perceptron
from mmmi_hf.benchmark.networks.training import fit_network, seeded
from mmmi_hf.benchmark.protocol.data import SPLITS, Source

METHODS = ("contrastive", "vicreg", "masked", "untrained", "raw", "supervised")
_RIDGE = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
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
        scores = self.log_scale.exp() * normalize(first) @ normalize(second).T
        wanted = torch.arange(len(scores))
        return 0.5 * (cross_entropy(scores, wanted) + cross_entropy(scores.T, wanted))


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


_KINDS: dict[str, type[Paired | Masked]] = {"vicreg": VICReg, "masked": Masked}


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


def run_ssl(source: Source, task: Task, method: str) -> dict[str, Any]:
    """Learn from the modalities in `task.inputs` without y, then probe y from x1's embedding.

    Returns:
        what `probe_limits` and, of the probe, `judged` say, and the history.

    Raises:
        ArithmeticError: training did not stay finite.
        ValueError: an unknown method, or fewer than two modalities.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if len(task.inputs) < 2:
        raise ValueError(f"self-supervised learning needs two modalities or more, got {', '.join(task.inputs)}")
    if method == "supervised":
        found = run_task(source, dataclasses.replace(task, inputs=task.inputs[:1]))
        del found["histogram"]
        return {**found, **probe_limits(source, task)}
    parts = read_task(source, task)
    train, validation = parts["train"][0], parts["validation"][0]
    history: list[dict[str, float]] = []
    if method == "raw":
        embedded = [parts[split][0][0].flatten(1).double().numpy() for split in SPLITS]
    else:
        with seeded(task.seed):
            network = _KINDS.get(method, Contrastive)(train, task)
        if method != "untrained":
            history = learn(network, train, validation, task)
        with torch.no_grad():
            embedded = [network.embed(0, parts[split][0][0]).double().numpy() for split in SPLITS]
    targets = [parts[split][1].double().numpy()[:, 0] for split in SPLITS]
    return {**probe_limits(source, task), **judged(probe(embedded, targets), targets[-1]), "history": history}


def probe_limits(source: Source, task: Task) -> dict[str, float]:
    """`limits` of what x1 alone can say of y, and I(x1; x2) in nats as "shared"."""
    first, second = task.inputs[:2]
    shared = source.model(task.config).mutual_information(first, second)
    return {**limits(source, dataclasses.replace(task, inputs=(first,))), "shared": shared}


def probe(embedded: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> np.ndarray:
    """Errors on the test rows of a ridge regression on training rows, its penalty chosen on validation rows.

    Args:
        embedded, targets: of training, validation and test rows: (n, p) and (n,).
    """
    mean, deviation = embedded[0].mean(axis=0), embedded[0].std(axis=0)
    scaled = [(rows - mean) / np.where(deviation > 0, deviation, 1.0) for rows in embedded]
    offset = targets[0].mean()
    gram, cross = scaled[0].T @ scaled[0] / len(scaled[0]), scaled[0].T @ (targets[0] - offset) / len(scaled[0])
    fits = [np.linalg.solve(gram + penalty * np.eye(len(gram)), cross) for penalty in _RIDGE]
    held = [float(np.mean((scaled[1] @ fit + offset - targets[1]) ** 2)) for fit in fits]
    return np.asarray(targets[2] - scaled[2] @ fits[int(np.argmin(held))] - offset)
