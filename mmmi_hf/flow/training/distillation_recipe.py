"""The distillation recipe and what is drawn for every step of a distillation.

Owns what a distillation depends on (teacher, nodes, trajectories, schedule, seed). Knows nothing of the loop, and of
no file other than the recipe's own YAML. Every draw is addressed by (seed, step), the order of the trajectories by
(seed, epoch), so that a run that was killed continues with exactly the draws it would have had.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field

from mmmi_hf.common.records import Amount, Count, Positive
from mmmi_hf.common.settings_file import settings
from mmmi_hf.flow.scheduler import rises_from_0_to_1
from mmmi_hf.flow.training.recipe import Decay, Schedule, generator_of


@settings
class DistillationRecipe(Schedule):
    """Everything that a distillation depends on; stored beside the weights.

    Attributes:
        teacher: a bundled name, a folder or a Hub id: the pipeline whose map the student makes.
        nodes: which of the teacher's times the student stops at, by their numbers: 0, …, the teacher's last one. The
            student makes one Euler step, one network evaluation, from each to the next.
        teacher_times: at which the teacher stops on its journeys, rising from 0 to 1; () for its own. More of them
            where its map stretches most make gentler steps there.
        guide: a pipeline of the same path and classes: one that is worse than the teacher, as of a smaller network that
            was trained for less long (autoguidance; Karras et al., 2024, arXiv 2406.02507, eq. 3), or one that learned
            from shuffled labels (classifier-free guidance; Ho and Salimans, 2022, arXiv 2207.12598, eq. 6); None for
            none.
        guidance: with a guide, journeys follow v_guide + guidance · (v_teacher − v_guide), away from what the guide
            does wrong, or from what all classes have in common. The student costs nothing more.
        guidance_start: the time from which they do; before, they are the teacher's own (Kynkäänniemi et al., 2024,
            arXiv 2404.07724). Guidance at early times makes steep maps, whose steps are not gentle.
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
        learning_rate, …: as in every `Schedule`.
    """

    kind = "distillation"
    teacher: str
    nodes: tuple[Count, ...]
    _: KW_ONLY
    teacher_times: tuple[Annotated[float, Field(ge=0.0, le=1.0)], ...] = ()
    guide: str | None = None
    guidance: Amount = 1.0
    guidance_start: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    trajectories: Positive = 16384
    trajectory_seed: Count = 1
    steps: Positive = 4000
    journey_steps: Count = 1500
    batch_size: Positive = 64
    segment_weights: tuple[Amount, ...] = ()
    learning_rate: Amount = 3e-4
    final_learning_rate: Amount = 1e-5
    weight_decay: Amount = 0.0
    ema_start: Decay = 0.99
    ema_end: Decay = 0.999
    penalty: Amount = 0.0
    smallest_stretch: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    penalty_every: Positive = 4
    penalty_rows: Positive = 4
    checkpoint_every: Positive = 100

    def __post_init__(self) -> None:
        if self.journey_steps > self.steps:
            raise ValueError(f"journey_steps must lie in 0 … steps = {self.steps}, got {self.journey_steps}")
        if len(self.nodes) < 2 or self.nodes[0] != 0 or not all(a < b for a, b in pairwise(self.nodes)):
            raise ValueError(f"nodes must be numbers of the teacher's times, rising from 0, got {list(self.nodes)}")
        if self.teacher_times and not rises_from_0_to_1(self.teacher_times):
            raise ValueError(f"teacher_times must rise from 0 to 1, got {list(self.teacher_times)}")
        if (self.guide is None) != (self.guidance == 1.0):
            raise ValueError(
                f"guide and guidance go together: guidance is 1 without a guide and another number with one, got "
                f"guide {self.guide!r} and guidance {self.guidance:g}"
            )
        if self.guide is None and self.guidance_start:
            raise ValueError(f"guidance_start must be 0 without a guide, got {self.guidance_start:g}")
        weights = self.segment_weights
        if weights and (len(weights) != len(self.nodes) - 1 or not any(weights)):
            raise ValueError(f"segment_weights must be {len(self.nodes) - 1} numbers, not all 0, got {list(weights)}")
        if self.trajectories < self.batch_size:
            raise ValueError(f"trajectories must fill one batch of {self.batch_size}, got {self.trajectories}")


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
