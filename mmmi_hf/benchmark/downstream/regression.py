"""Regression of the target: how well a network predicts y from one modality or several, against what is possible.

Owns the task, its records and its floor. A predictor of y from x has a mean squared error of at least E Var(y | x) =
σ_y² (1 − c) with c the ceiling of R², so that its RMSE is at least σ_y √(1 − c). Where y and x are jointly normal and
no row lacks a modality c = 1 − e^{−2I(x;y)}, and the floor is σ_y e^{−I(x;y)} (paper, Figs. 4 and 7); elsewhere the
information alone does not tell it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from mmmi_hf.benchmark.networks.critics import Standardize, encoder
from mmmi_hf.benchmark.networks.training import Training, fit_network, seeded
from mmmi_hf.benchmark.pairs import derangement
from mmmi_hf.benchmark.protocol.data import SPLITS, TARGET, Source
from mmmi_hf.benchmark.protocol.plan import seed_rows

BINS = np.linspace(-3.0, 3.0, 121)  # of errors / σ_y; figures merge them as the number of rows allows


@dataclass(frozen=True)
class Task:
    """Predict y of a configuration from some of its modalities, on the rows of one seed.

    null: y of other rows, about which x knows nothing.
    """

    config: str
    inputs: tuple[str, ...]
    seed: int
    seeds: int
    training: Training
    null: bool = False


class Regressor(nn.Module):
    """A shallow encoder per modality (two hidden layers for what is no image), summed to one number."""

    def __init__(self, train: Sequence[torch.Tensor], target: torch.Tensor, recipe: Training) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Standardize(rows) for rows in train)
        self.target = Standardize(target)
        self.encoders = nn.ModuleList(
            encoder(rows.shape[1:], recipe.encoder, width=recipe.width, layers=recipe.layers, outputs=recipe.embedding)
            for rows in train
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(recipe.embedding * len(train), 1))

    def forward(self, *blocks: torch.Tensor) -> torch.Tensor:
        """(n, 1), in standardised units of the target."""
        parts = [part(scale(rows)) for part, scale, rows in zip(self.encoders, self.scales, blocks, strict=True)]
        predicted: torch.Tensor = self.head(torch.cat(parts, dim=1))
        return predicted


def read_task(source: Source, task: Task) -> dict[str, tuple[list[torch.Tensor], torch.Tensor]]:
    """Split → inputs and target (n, 1), float32."""
    rows = seed_rows(source.manifest(task.config), task.config, task.seed, task.seeds)
    found = {}
    for index, split in enumerate(SPLITS):
        columns = source.rows(task.config, split, [*task.inputs, TARGET], range(*rows[split]))
        y = columns[TARGET]
        if task.null:
            y = y[derangement(len(y), np.random.default_rng(3 * task.seed + index))]
        inputs = [torch.from_numpy(np.array(columns[name], dtype=np.float32)) for name in task.inputs]
        found[split] = (inputs, torch.from_numpy(y.astype(np.float32))[:, None])
    return found


def run_task(source: Source, task: Task) -> dict[str, Any]:
    """Train on the training rows, stop by the validation rows, and judge the test rows.

    Returns:
        what `limits` and `judged` say, the history, and a histogram of errors / σ_y over `BINS`.

    Raises:
        ArithmeticError: training did not stay finite.
    """
    known = limits(source, task)
    parts = read_task(source, task)
    (inputs, target), (held, held_target), (seen, seen_target) = (parts[split] for split in SPLITS)
    with seeded(task.seed):
        network = Regressor(inputs, target, task.training)

    def mean_square(blocks: Sequence[torch.Tensor], wanted: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = (network(*blocks) - network.target(wanted)).square().mean()
        return loss

    history = fit_network(
        network,
        lambda rows: mean_square([block[rows] for block in inputs], target[rows]),
        lambda: {"criterion": -float(mean_square(held, held_target))},
        len(target),
        task.training,
        task.seed,
    )
    with torch.no_grad():
        predicted = network(*seen) * network.target.deviation + network.target.mean
    errors = (predicted - seen_target).double().numpy()[:, 0]
    counts = np.histogram(np.clip(errors / known["sigma"], BINS[0], BINS[-1]), BINS)[0].tolist()
    shown = judged(errors, seen_target.double().numpy()[:, 0])
    return {**known, **shown, "histogram": counts, "history": history}


def limits(source: Source, task: Task) -> dict[str, float]:
    """What is possible by the causal model.

    Returns:
        information: I(inputs; y) in nats. sigma: σ_y. ceiling: the R² of E[y | inputs], `r2_ceiling`, over rows as they
        are, with what they lack; 0 of a null. floor: of the RMSE, σ_y √(1 − ceiling).

    Raises:
        NotExactError: y is a class.
    """
    model = source.model(task.config)
    ceiling = 0.0 if task.null else model.r2_ceiling(list(task.inputs)).value
    sigma = math.sqrt(model.variance_y)
    return {
        "information": model.mutual_information(list(task.inputs), TARGET),
        "sigma": sigma,
        "floor": sigma * math.sqrt(max(0.0, 1.0 - ceiling)),
        "ceiling": ceiling,
    }


def judged(errors: np.ndarray, target: np.ndarray) -> dict[str, Any]:
    """What errors of held-out predictions say.

    Args:
        errors, target: (n,), of the test rows, both in units of y.

    Returns:
        rmse and r_squared = 1 − Σ errors² / Σ (y − mean y)², each with its standard error (delta method) over the rows,
        and the number of rows.
    """
    apart = (target - target.mean()) ** 2
    squares, power = errors**2, float(np.mean(apart))
    mse, scale = float(squares.mean()), math.sqrt(len(errors))
    rmse, unexplained = math.sqrt(mse), mse / power
    return {
        "rmse": rmse,
        "rmse_error": float(squares.std(ddof=1)) / (2.0 * rmse * scale),
        "r_squared": 1.0 - unexplained,
        "r_squared_error": float(np.std(squares - unexplained * apart, ddof=1)) / (power * scale),
        "rows": len(errors),
    }
