"""Training of networks on rows: one loop for critics, regressions and encoders.

Owns the recipe and the loop. Imports torch; knows nothing of objectives, files or datasets. Every random choice comes
from the seed that is given; torch's global generator is left as it was.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from mmmi_hf.benchmark.networks.critics import CRITICS, ENCODERS
from mmmi_hf.common.numbers import is_whole

_EARLY_LOOKS = (5, 10, 25)  # where there is nothing to learn, training only makes it worse


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        critic: "separable" or "joint".
        encoder: "conv": convolutions for images; "auto": for images of at least 8 × 8; both: for sounds and other lines
            of at least 512 numbers; "mlp": perceptrons for all. What is none of these meets a perceptron.
        width, layers: of hidden layers. embedding: numbers per row that encoders end in.
        batch_size: K; all K² pairs of a batch are scored.
        steps: at most. learning_rate, weight_decay: of AdamW.
        evaluate_every: steps between two looks at the validation rows.
        patience: looks without progress before training stops; the best weights are kept.
        average: decay of the running mean of the weights, which is what is looked at and kept; 0: the weights as such.
        split: False follows the paper: nothing stops early, inputs enter as they are, and the estimate is the mean of
            the last twentieth of the batch values, of training rows; validation and test rows are not used.
    """

    critic: str = "separable"
    encoder: str = "auto"
    width: int = 256
    layers: int = 2
    embedding: int = 32
    batch_size: int = 128
    steps: int = 2000
    learning_rate: float = 5e-4
    weight_decay: float = 1e-2
    evaluate_every: int = 50
    patience: int = 10
    average: float = 0.98
    split: bool = True

    def __post_init__(self) -> None:
        for name, known in (("critic", CRITICS), ("encoder", ENCODERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for name, least in (
            ("width", 1),
            ("layers", 1),
            ("embedding", 1),
            ("batch_size", 2),
            ("steps", 1),
            ("evaluate_every", 1),
            ("patience", 1),
        ):
            value = getattr(self, name)
            if not is_whole(value, least):
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if not 0.0 < self.learning_rate < math.inf or not 0.0 <= self.weight_decay < math.inf:
            raise ValueError(
                f"learning_rate must be above 0 and weight_decay at least 0, got {self.learning_rate!r} and "
                f"{self.weight_decay!r}"
            )
        if not 0.0 <= self.average < 1.0:
            raise ValueError(f"average must lie in [0, 1), got {self.average!r}")

    @classmethod
    def paper(cls, **changes: object) -> Training:
        """The recipe behind the paper's Table 1: a joint critic of three hidden layers of 256 on concatenated inputs,
        Adam at 5e-4, batches of 64, 20,000 steps, values of training rows (kyungeun-lee/mibenchmark)."""
        recipe = cls(
            critic="joint",
            encoder="mlp",
            layers=3,
            batch_size=64,
            steps=20_000,
            weight_decay=0.0,
            average=0.0,
            split=False,
        )
        return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


def refuse_paper(name: str, recipe: Training) -> None:
    """Raise ValueError where an estimator that is not of the paper is asked to follow its recipe without a split."""
    if not recipe.split:
        raise ValueError(f"{name!r} is not of the paper and has no recipe without a split; leave --paper out")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks that are made inside start from this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """torch, and the linear algebra of NumPy and SciPy, on one thread inside."""
    before = torch.get_num_threads()
    with threadpool_limits(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def batches(rows: int, size: int, seed: int) -> Iterator[torch.Tensor]:
    """Row numbers of batches without end: epochs in random order, what is left at an epoch's end dropped."""
    generator = torch.Generator().manual_seed(seed)
    size = min(size, rows)
    while True:
        order = torch.randperm(rows, generator=generator)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


def optimizer_of(network: nn.Module, recipe: Training) -> torch.optim.Optimizer:
    """AdamW on all parameters (Adam, where the weight decay is 0)."""
    return torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def fit_network(
    network: nn.Module,
    loss: Callable[[torch.Tensor], torch.Tensor],
    look: Callable[[], dict[str, float]],
    rows: int,
    recipe: Training,
    seed: int,
) -> list[dict[str, float]]:
    """Train until the validation criterion has not risen for `patience` looks; the best weights are put back.

    The validation rows are looked at before the first step too, a few times early on, and then every `evaluate_every`.

    Args:
        network: in place.
        loss: of the rows of a batch, given by number.
        look: what is recorded of the validation rows, with "criterion", higher being better.
        rows: number of training rows.

    Returns:
        one record per look, with its step.

    Raises:
        ArithmeticError: the loss is not finite.
    """
    optimizer, source = optimizer_of(network, recipe), batches(rows, recipe.batch_size, seed)
    mean = copy.deepcopy(network.state_dict())
    with torch.no_grad():
        history: list[dict[str, float]] = [{"step": 0, **look()}]
    best, best_state, stale = history[0]["criterion"], copy.deepcopy(mean), 0
    for step in range(1, recipe.steps + 1):
        value = loss(next(source))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        # the running mean is short at first, so that it forgets where it began
        decay = min(recipe.average, step / (step + 10.0))
        with torch.no_grad():
            for name, current in network.state_dict().items():
                mean[name].lerp_(current, 1.0 - decay)
        if step % recipe.evaluate_every and step not in (*_EARLY_LOOKS, recipe.steps):
            continue
        if not math.isfinite(now := float(value.detach())):
            raise ArithmeticError(f"the loss is {now!r} after {step} steps; lower the learning rate")
        current_state = copy.deepcopy(network.state_dict())
        network.load_state_dict(mean)
        with torch.no_grad():
            record = {"step": step, **look()}
        history.append(record)
        if record["criterion"] > best:
            best, best_state, stale = record["criterion"], copy.deepcopy(mean), 0
        elif step not in _EARLY_LOOKS:
            stale += 1
        if stale >= recipe.patience:
            break
        network.load_state_dict(current_state)
    network.load_state_dict(best_state)
    return history
