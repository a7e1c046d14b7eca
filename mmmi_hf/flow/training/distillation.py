"""The distiller: `mmmi-hf distill`, a student that makes a teacher's journey in fewer steps.

Owns what a student learns from a teacher's trajectories. The loop, its checkpoints and its record are the trainer's.
It knows nothing of causal models.

The student is the teacher's network with a scheduler of its own: n Euler steps between nodes of the teacher's grid.
Its map is another one than the teacher's, near to it; nothing proves its steps invertible, so that they are measured.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mmmi_hf.common.places import folder_to_write
from mmmi_hf.flow.bundled import resolve
from mmmi_hf.flow.computing.precision import exact
from mmmi_hf.flow.diagnostics import REACH, extremes
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe, SegmentDraws, draws_of_step
from mmmi_hf.flow.training.recipe import generator_of
from mmmi_hf.flow.training.record import Guide as GuideRecord
from mmmi_hf.flow.training.record import Initial, StartedFrom, Teacher, record_beside
from mmmi_hf.flow.training.trainer import CHECKPOINT, Run, begin, check_folder, structure
from mmmi_hf.flow.training.trajectories import SHARD, Guide, Trajectories, load_trajectories, make_trajectories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelerate import Accelerator

    from mmmi_hf.flow.pipeline import FlowMatchingPipeline
    from mmmi_hf.flow.scheduler import FlowMatchODEScheduler

PENALTY_ITERATIONS = 8
TRAJECTORIES = "trajectories"
STARTED_FROM = "started_from.json"


def distill(
    recipe: DistillationRecipe,
    out: str | os.PathLike[str],
    *,
    trajectories: str | os.PathLike[str] | None = None,
    cpu: bool = False,
    progress: bool = True,
) -> Path:
    """Train a student by `recipe` and save it as a pipeline; continue an interrupted run found in `out`.

    Args:
        recipe: of whom to learn, and how.
        out: folder for the checkpoint, log, sample sheets and, at the end, `pipeline/` and `training.json`.
        trajectories: folder of the teacher's trajectories, made where they are missing; runs with the same teacher and
            seed may share it. By default `out/trajectories`.
        cpu: stay on the CPU although an accelerator is present.
        progress: show progress bars.

    Returns:
        The folder of the finished pipeline: the float16-rounded moving average of the weights.

    Raises:
        ValueError: `out` holds a run of another recipe or something else, or the teacher, its guide, the initial
            pipeline or the stored trajectories do not fit the recipe.
        ArithmeticError: a loss or a weight is not finite.
    """
    from accelerate import Accelerator

    out = folder_to_write(out)
    store = out / TRAJECTORIES if trajectories is None else folder_to_write(trajectories, "trajectories")
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision, cpu=cpu)
    check_folder(out, recipe)
    teacher = _load("teacher", recipe.teacher)
    digest = teacher.digest
    if recipe.teacher_times:
        teacher.scheduler = with_times(teacher.scheduler, recipe.teacher_times)
    teacher.scheduler.set_timesteps()
    if recipe.nodes[-1] != len(teacher.scheduler):
        raise ValueError(
            f"nodes must end with {len(teacher.scheduler)}, the number of the last time of teacher "
            f"{recipe.teacher!r}, got {list(recipe.nodes)}"
        )
    guide = None
    if recipe.guide is not None:
        guide = Guide(_load("guide", recipe.guide), recipe.guidance, recipe.guidance_start)
        guide.check(teacher)
    student = _student(recipe, teacher, digest, guide, out)
    begin(out, recipe, accelerator, {STARTED_FROM: student.started_from})
    if accelerator.is_main_process:
        for pipeline in (teacher,) if guide is None else (teacher, guide.pipeline):
            pipeline.to(accelerator.device)
            if recipe.compile:
                pipeline.unet.compile()
        make_trajectories(
            teacher,
            store,
            count=recipe.trajectories,
            seed=recipe.trajectory_seed,
            guide=guide,
            batch_size=SHARD if accelerator.device.type == "cuda" else 64,
            bf16=recipe.mixed_precision == "bf16",
            progress=progress,
        )
    accelerator.wait_for_everyone()
    run = _Distillation(recipe, out, student, load_trajectories(store, recipe.trajectories), accelerator)
    return run.finish(progress=progress)


@dataclasses.dataclass(frozen=True)
class Student:
    """A pipeline with the student's grid and first weights, and what the run's record says of where it comes from."""

    pipeline: FlowMatchingPipeline
    started_from: StartedFrom


def with_times(scheduler: FlowMatchODEScheduler, times: Sequence[float]) -> FlowMatchODEScheduler:
    """The same path and solver, with these times, rising from 0 to 1."""
    made: FlowMatchODEScheduler = type(scheduler).from_config(
        scheduler.config, grid=list(times), num_inference_steps=len(times) - 1
    )
    return made


def _student(
    recipe: DistillationRecipe, teacher: FlowMatchingPipeline, digest: str, guide: Guide | None, out: Path
) -> Student:
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline
    from mmmi_hf.flow.scheduler import FlowMatchODEScheduler

    named = None if guide is None else GuideRecord(pipeline=str(recipe.guide), digest=guide.pipeline.digest)
    started = StartedFrom(teacher=Teacher(pipeline=recipe.teacher, digest=digest, guide=named))
    network = copy.deepcopy(teacher.unet)
    if (out / STARTED_FROM).exists():
        before = StartedFrom.read(out / STARTED_FROM)
        if before.teacher != started.teacher:
            raise ValueError(f"{out} holds a run that learned from another teacher or guide; give another folder")
    if (out / CHECKPOINT).exists():  # holds what became of the first weights, wherever they came from
        started = before
    elif recipe.initial_pipeline is not None:
        first = _load("initial_pipeline", recipe.initial_pipeline)
        if structure(first.unet) != structure(teacher.unet) or first.latent_shape != teacher.latent_shape:
            raise ValueError(f"initial_pipeline {recipe.initial_pipeline!r} has another network than the teacher")
        if first.layout.companding != teacher.layout.companding:
            raise ValueError(f"initial_pipeline {recipe.initial_pipeline!r} has another companding than the teacher")
        network.load_state_dict(first.unet.state_dict())
        record = record_beside(resolve(recipe.initial_pipeline), first.digest)
        initial = Initial(pipeline=recipe.initial_pipeline, digest=first.digest, training=record)
        started = StartedFrom(teacher=started.teacher, initial=initial)
    config = teacher.scheduler.config
    scheduler = FlowMatchODEScheduler(
        sigma_min=config.sigma_min,
        num_inference_steps=len(recipe.nodes) - 1,
        grid=[teacher.scheduler.times[k] for k in recipe.nodes],
        solver="euler",
        timestep_scale=config.timestep_scale,
    )
    names = None if teacher.class_names is None else list(teacher.class_names)
    pipeline = FlowMatchingPipeline(
        network, scheduler, patch_size=teacher.config.patch_size, class_names=names, sound=teacher.config.sound
    )
    return Student(pipeline, started)


def _load(field: str, name: str) -> FlowMatchingPipeline:
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline

    try:
        return FlowMatchingPipeline.from_pretrained(name)
    except OSError as error:
        raise ValueError(f"{field} {name!r} cannot be loaded: {' '.join(str(error).split())}") from error


class _Distillation(Run):
    """A run that learns the steps between nodes of a teacher's trajectories."""

    recipe: DistillationRecipe

    def __init__(
        self,
        recipe: DistillationRecipe,
        out: Path,
        student: Student,
        trajectories: Trajectories,
        accelerator: Accelerator,
    ) -> None:
        self.student = student
        self.nodes = trajectories.nodes[:, list(recipe.nodes)].to(accelerator.device)
        self.labels = trajectories.labels.to(accelerator.device)
        self.times = torch.tensor(student.pipeline.scheduler.times, device=accelerator.device)
        super().__init__(recipe, out, copy.deepcopy(student.pipeline.unet), accelerator)

    def draws(self, step: int) -> SegmentDraws:
        place = {"rank": self.accelerator.process_index, "world_size": self.accelerator.num_processes}
        return draws_of_step(self.recipe, step, **place)

    def loss(self, drawn: SegmentDraws) -> torch.Tensor:
        """Mean square of the errors in the states, those of single steps or those of the student's own journey, and
        the penalty on steps that are not gentle where it is due.
        """
        rows, k = drawn.rows.to(self.labels.device), drawn.segments.to(self.labels.device)
        nodes, labels = self.nodes[rows], self.labels[rows]
        each = torch.arange(len(k), device=k.device)
        start = self.to_network(nodes[each, k])
        if drawn.whole:
            loss = self.journey_error(nodes, labels)
        else:
            end = self.to_network(nodes[each, k + 1])
            loss = torch.nn.functional.mse_loss(self.euler(start, k, labels), end)
        if self.recipe.penalty and self.step % self.recipe.penalty_every == 0:
            few = slice(self.recipe.penalty_rows)
            loss = loss + self.recipe.penalty * self.ungentleness(start[few], k[few], labels[few])
        return loss

    def journey_error(self, nodes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x, errors = self.to_network(nodes[:, 0]), []
        for index in range(nodes.shape[1] - 1):
            x = self.euler(x, torch.full_like(labels, index), labels)
            errors.append(torch.nn.functional.mse_loss(x, self.to_network(nodes[:, index + 1])))
        return torch.stack(errors).mean()

    def ungentleness(self, x: torch.Tensor, k: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean of max(0, smallest_stretch − (1 + hλ_min))² at the rows of x, in float32.

        The direction of the smallest eigenvalue is found first and then held; gradients flow through the stretch along
        it, a finite difference.
        """

        def step(point: torch.Tensor) -> torch.Tensor:
            return self.euler(point, k, labels, exact=True)

        with exact(self.network, x.device):  # a difference this small is noise to TF32
            direction = extremes(step, x, PENALTY_ITERATIONS, generator_of(self.recipe.seed, 2, self.step))[2]
            reach = REACH[x.dtype] * x.flatten(1).norm(dim=1)[:, None, None, None]
            moved = (step(x + reach * direction) - step(x - reach * direction)) / (2 * reach)
            stretch = (moved * direction).flatten(1).sum(1)
        lacking: torch.Tensor = (self.recipe.smallest_stretch - stretch).clamp(min=0)
        return lacking.square().mean()

    def euler(self, x: torch.Tensor, k: torch.Tensor, labels: torch.Tensor, *, exact: bool = False) -> torch.Tensor:
        """Step k (B,) of each row of x, in the network's layout, float32; `exact` goes past what is for autocast."""
        t, h = self.times[k].float(), (self.times[k + 1] - self.times[k]).float()
        given = labels if self.student.pipeline.num_classes is not None else None
        scale = self.student.pipeline.scheduler.config.timestep_scale
        network = partial(type(self.network).forward, self.network) if exact else self.trained
        with self.attention():
            velocity: torch.Tensor = network(x, t * scale, class_labels=given).sample.float()
        return x + h[:, None, None, None] * velocity

    def to_network(self, x: torch.Tensor) -> torch.Tensor:
        return self.student.pipeline.layout.to_network(x.float())

    def empty_pipeline(self) -> FlowMatchingPipeline:
        return copy.deepcopy(self.student.pipeline)

    def learned_from(self) -> dict[str, Any]:
        return {
            "num_images": self.recipe.trajectories,
            "network_rows": self.recipe.batch_size
            * (self.recipe.steps + (len(self.recipe.nodes) - 2) * self.recipe.journey_steps),
            **dict(self.student.started_from),
        }
