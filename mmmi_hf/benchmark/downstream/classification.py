"""Classification of the label: how well networks tell y from one modality or several, against what is possible.

Owns the methods, their records and limits. A classifier's accuracy is at most the Bayes accuracy and its log loss at
least H(y | inputs), both exact; its calibration is judged against the true posterior of every test row, by the mean of
Σ p ln(p/q) in nats, which is what its log loss has too much.

network: one encoder. early: all modalities joined before the first layer. late: one encoder each, whose scores of the
classes are added, so that synergy cannot be told. contrastive: encoders that learned from pairs without y, and a linear
classifier of their embeddings. linear: a linear classifier of all coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mmmi_hf.benchmark.downstream.regression import Task
from mmmi_hf.benchmark.downstream.ssl import Contrastive, learn
from mmmi_hf.benchmark.networks.critics import Standardize, encoder
from mmmi_hf.benchmark.networks.training import fit_network, seeded
from mmmi_hf.benchmark.pairs import derangement
from mmmi_hf.benchmark.protocol.data import SPLITS, TARGET, Source
from mmmi_hf.benchmark.protocol.plan import seed_rows
from mmmi_hf.causal import NotExactError

ALONE, TOGETHER = ("network",), ("linear", "early", "late", "contrastive")
_TINY = 1e-300


class Early(nn.Module):
    """One network of all blocks: their channels stacked where shapes agree, else their numbers in a row."""

    def __init__(self, train: Sequence[torch.Tensor], task: Task, classes: int, *, linear: bool = False) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Standardize(rows) for rows in train)
        recipe, joined = task.training, self.joined(train)
        self.network = (
            nn.Sequential(nn.Flatten(), nn.Linear(joined[0].numel(), classes))
            if linear
            else encoder(joined.shape[1:], recipe.encoder, width=recipe.width, layers=recipe.layers, outputs=classes)
        )

    def joined(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        """All blocks, standardised, as one."""
        scaled = [scale(rows) for scale, rows in zip(self.scales, blocks, strict=True)]
        alike = len({rows.shape[1:] for rows in scaled}) == 1 and scaled[0].ndim > 2
        return torch.cat(scaled if alike else [rows.flatten(1) for rows in scaled], dim=1)

    def forward(self, *blocks: torch.Tensor) -> torch.Tensor:
        """(n, classes)."""
        scores: torch.Tensor = self.network(self.joined(blocks))
        return scores


class Late(nn.Module):
    """Scores of the classes, a network for each block, added."""

    def __init__(self, train: Sequence[torch.Tensor], task: Task, classes: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Early([rows], task, classes) for rows in train)

    def forward(self, *blocks: torch.Tensor) -> torch.Tensor:
        """(n, classes)."""
        scores: torch.Tensor = torch.stack([part(rows) for part, rows in zip(self.parts, blocks, strict=True)]).sum(0)
        return scores


def run_classification(source: Source, task: Task, method: str) -> dict[str, Any]:
    """Train on the training rows, stop by the validation rows, and judge the test rows.

    Returns:
        what `classification_limits` and `judged_classes` say, and the history.

    Raises:
        ArithmeticError: training did not stay finite.
        ValueError: an unknown method, or a y that is no class.
    """
    if method not in (*ALONE, *TOGETHER):
        raise ValueError(f"method must be one of {', '.join((*ALONE, *TOGETHER))}, got {method!r}")
    known = classification_limits(source, task)
    parts = {split: read_labels(source, task, split) for split in SPLITS}
    (inputs, labels, _), (held, held_labels, _), (seen, seen_labels, truth) = (parts[split] for split in SPLITS)
    classes = source.model(task.config).classes or 0
    history: list[dict[str, float]] = []
    if method == "contrastive":
        network, history = _embedded(task, inputs, held, classes)
    else:
        with seeded(task.seed):
            network = (
                Late(inputs, task, classes)
                if method == "late"
                else Early(inputs, task, classes, linear=method == "linear")
            )
    history += fit_classifier(network, inputs, labels, held, held_labels, task)
    with torch.no_grad():
        logs = torch.log_softmax(network(*seen).double(), dim=1).numpy()
    return {**known, **judged_classes(logs, seen_labels.numpy(), truth), "history": history}


def fit_classifier(
    network: nn.Module,
    inputs: Sequence[torch.Tensor],
    labels: torch.Tensor,
    held: Sequence[torch.Tensor],
    held_labels: torch.Tensor,
    task: Task,
) -> list[dict[str, float]]:
    """Train a network of blocks, in place, by the log loss, and stop by that of the validation rows, `held`."""
    return fit_network(
        network,
        lambda rows: cross_entropy(network(*(block[rows] for block in inputs)), labels[rows]),
        lambda: {"criterion": -float(cross_entropy(network(*held), held_labels))},
        len(labels),
        task.training,
        task.seed,
    )


def read_labels(source: Source, task: Task, split: str) -> tuple[list[torch.Tensor], torch.Tensor, np.ndarray | None]:
    """Inputs, labels (n,) and, where the seed is told, the true posterior (n, classes) of the rows of a split."""
    manifest, model = source.manifest(task.config), source.model(task.config)
    rows = seed_rows(manifest, task.config, task.seed, task.seeds)[split]
    columns = source.rows(task.config, split, [*task.inputs, TARGET, "row"], range(*rows))
    labels = np.array(columns[TARGET], dtype=np.int64)
    posterior = None
    if manifest.seed is not None:
        latents = model.sample_rows(columns["row"].tolist(), seed=manifest.seed, standardize=manifest.standardize)
        posterior = model.class_posterior(latents, list(task.inputs))
    if task.null:
        labels = labels[derangement(len(labels), np.random.default_rng(3 * task.seed + SPLITS.index(split)))]
        posterior = np.tile(model.class_prior, (len(labels), 1))
    inputs = [torch.from_numpy(np.array(columns[name], dtype=np.float32)) for name in task.inputs]
    return inputs, torch.from_numpy(labels), posterior


def classification_limits(source: Source, task: Task) -> dict[str, float | None]:
    """I(inputs; y) in nats, the Bayes accuracy, None where it is not exact, and the Bayes log loss.

    Raises:
        ValueError: y is no class.
    """
    model, names = source.model(task.config), list(task.inputs)
    if model.classes is None:
        raise ValueError(f"y of {task.config!r} is no class; ask for the task regression")
    information, prior = model.mutual_information(names, TARGET), model.class_prior
    entropy = float(-(prior * np.log(prior)).sum())
    if task.null:
        return {"information": information, "bayes_accuracy": float(prior.max()), "bayes_log_loss": entropy}
    try:
        accuracy: float | None = model.bayes_accuracy(names).value
    except NotExactError:
        accuracy = None
    return {"information": information, "bayes_accuracy": accuracy, "bayes_log_loss": entropy - information}


def judged_classes(logs: np.ndarray, labels: np.ndarray, truth: np.ndarray | None) -> dict[str, Any]:
    """Accuracy, log loss and calibration with their standard errors over rows, and the number of rows.

    Args:
        logs: (n, classes), ln q of every row. labels: (n,). truth: (n, classes), the true posterior; None where it is
            not known, and with it the calibration.
    """
    scale = math.sqrt(len(labels))
    shown: dict[str, Any] = {"rows": len(labels), "calibration": None, "calibration_error": None}
    measured = {
        "accuracy": (logs.argmax(axis=1) == labels).astype(np.float64),
        "log_loss": -logs[np.arange(len(labels)), labels],
    }
    if truth is not None:
        measured["calibration"] = (truth * (np.log(np.maximum(truth, _TINY)) - logs)).sum(axis=1)
    for name, values in measured.items():
        shown |= {name: float(values.mean()), f"{name}_error": float(values.std(ddof=1)) / scale}
    return shown


def _embedded(
    task: Task, inputs: Sequence[torch.Tensor], held: Sequence[torch.Tensor], classes: int
) -> tuple[nn.Module, list[dict[str, float]]]:
    """A linear classifier of embeddings that learned without y, which stay as they are; and the history of these."""
    with seeded(task.seed):
        encoders = Contrastive(inputs, task)
    history = learn(encoders, inputs, held, task)
    for parameter in encoders.parameters():
        parameter.requires_grad = False
    with torch.no_grad():
        scale = Standardize(_joined(encoders, inputs))
    with seeded(task.seed):
        head = nn.Linear(task.training.embedding * len(inputs), classes)
    return _Head(encoders, scale, head), history


class _Head(nn.Module):
    def __init__(self, encoders: Contrastive, scale: Standardize, head: nn.Linear) -> None:
        super().__init__()
        self.encoders, self.scale, self.head = encoders, scale, head

    def forward(self, *blocks: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.scale(_joined(self.encoders, blocks)))
        return scores


def _joined(encoders: Contrastive, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([encoders.embed(index, rows) for index, rows in enumerate(blocks)], dim=1)
