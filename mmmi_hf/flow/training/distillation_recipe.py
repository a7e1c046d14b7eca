"""The distillation recipe and what is drawn for every step of a distillation.

Owns what a distillation depends on (teacher, nodes, trajectories, schedule, seed). Knows nothing of the loop, and of
no file other than the recipe's own YAML. Every draw is addressed by (seed, step), the order of the trajectories by
(seed, epoch), so that a run that was killed continues with exactly the draws it would have had.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from mmmi_hf.common.settings_file import check_kind, read_fields
from mmmi_hf.flow.training.recipe import Schedule, generator_of

if TYPE_CHECKING:
    import os

PENALTY = ("penalty_every", "penalty_rows")


@dataclass(frozen=True)
class DistillationRecipe(Schedule):
    """Everything that a distillation depends on; stored beside the weights.

    Attributes:
        teacher: a bundled name, a folder or a Hub id: the pipeline whose map the student makes.
        nodes: which of the teacher's times the student stops at, by their numbers: 0, …, the teacher's last one. The
            student makes one Euler step, one network evaluation, from each to the next.
        trajectories: how many journeys of the teacher are stored and learned from.
        trajectory_seed: of their latents.
        steps: optimizer steps in all.
        journey_steps: the last so many of them learn from whole journeys (the student's own states are compared with
            the teacher's at every node, and errors flow back through all steps); those before learn from single
            segments between the teacher's own nodes.
        batch_size: trajectories per optimizer step; a segment step takes one segment of each.
        segment_weights: how often each segment is drawn, in proportion; () for equally often. An error of an early step
            is magnified by the later ones, so that early segments deserve more.
        penalty: weight of what keeps the steps gentle, 0 for none: the mean over a few rows of
            max(0, smallest_stretch − (1 + hλ_min))², λ_min the smallest eigenvalue of the symmetric part of the step's
            Jacobian at a node of the teacher's, found as the step certificate finds it.
        smallest_stretch: below which a step is not gentle enough.
        penalty_every: in how many optimizer steps it is counted once.
        penalty_rows: trajectories of the batch that it is measured at then, in float32.
        initial_pipeline: a student to go on from; None starts from the teacher's weights. Its grid may be another one.
        learning_rate, …, ema_end: see `Schedule`; weight_decay, max_gradient_norm, mixed_precision, compile,
            channels_last, seed, checkpoint_every, sample_every, pipeline_every: as in a training recipe.
    """

    teacher: str
    nodes: tuple[int, ...]
    trajectories: int = 16384
    trajectory_seed: int = 1
    steps: int = 4000
    journey_steps: int = 1500
    batch_size: int = 64
    segment_weights: tuple[float, ...] = ()
    learning_rate: float = 3e-4
    final_learning_rate: float = 1e-5
    warmup_steps: int = 50
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0
    ema_start: float = 0.99
    ema_end: float = 0.999
    mixed_precision: str = "bf16"
    compile: bool = False
    channels_last: bool = False
    seed: int = 0
    penalty: float = 0.0
    smallest_stretch: float = 0.25
    penalty_every: int = 4
    penalty_rows: int = 4
    initial_pipeline: str | None = None
    checkpoint_every: int = 100
    sample_every: int = 500
    pipeline_every: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_kind(field.name, getattr(self, field.name), (0.0,) if field.default == () else field.default)
        for name in ("trajectories", "steps", "batch_size", "checkpoint_every", "sample_every", *PENALTY):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.penalty < 0 or not 0 < self.smallest_stretch < 1:
            raise ValueError(
                "penalty must not be negative and smallest_stretch must lie strictly between 0 and 1, "
                f"got {self.penalty} and {self.smallest_stretch}"
            )
        if not 0 <= self.journey_steps <= self.steps:
            raise ValueError(f"journey_steps must lie in 0 … steps = {self.steps}, got {self.journey_steps}")
        check_kind("nodes", self.nodes, (0,))
        if len(self.nodes) < 2 or self.nodes[0] != 0 or not all(a < b for a, b in pairwise(self.nodes)):
            raise ValueError(f"nodes must be numbers of the teacher's times, rising from 0, got {list(self.nodes)}")
        weights = self.segment_weights
        if weights and (len(weights) != len(self.nodes) - 1 or min(weights) < 0 or max(weights) <= 0):
            raise ValueError(
                f"segment_weights must be {len(self.nodes) - 1} numbers, none negative, not all 0, got {list(weights)}"
            )
        if self.trajectories < self.batch_size:
            raise ValueError(f"trajectories must fill one batch of {self.batch_size}, got {self.trajectories}")
        if not isinstance(self.teacher, str):
            raise ValueError(f"teacher must be a name, a folder or a Hub id, got {self.teacher!r}")
        self.check_run()

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str], **overrides: Any) -> DistillationRecipe:
        """Read a recipe file; arguments that are not None replace its fields. Unknown fields raise ValueError."""
        given = read_fields(path, cls, "a distillation recipe")
        given.update({key: value for key, value in overrides.items() if value is not None})
        for name in ("teacher", "nodes"):
            if name not in given:
                raise ValueError(f"{path}: the field {name!r} is missing")
        return cls(**given)


@dataclass(frozen=True)
class SegmentDraws:
    """What one process draws for one step, on the CPU.

    Attributes:
        rows: (n,) int64, which trajectories.
        segments: (n,) int64, which segment of each.
        whole: whether the whole journeys are learned from.
    """

    rows: torch.Tensor
    segments: torch.Tensor
    whole: bool


def draws_of_step(recipe: DistillationRecipe, step: int, *, rank: int = 0, world_size: int = 1) -> SegmentDraws:
    """All random numbers of one step for one process, functions of (seed, step).

    Rank r takes every world_size-th trajectory, so the batch of a step does not depend on the number of processes.
    """
    epoch, position = divmod(step, recipe.trajectories // recipe.batch_size)
    order = torch.randperm(recipe.trajectories, generator=generator_of(recipe.seed, 0, epoch))
    rows = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
    generator, kinds = generator_of(recipe.seed, 1, step), len(recipe.nodes) - 1
    if recipe.segment_weights:
        chances = torch.tensor(recipe.segment_weights, dtype=torch.float64)
        segments = torch.multinomial(chances, len(rows), replacement=True, generator=generator)
    else:
        segments = torch.randint(kinds, rows.shape, generator=generator)
    whole = step >= recipe.steps - recipe.journey_steps
    return SegmentDraws(rows[rank::world_size], segments[rank::world_size], whole)
