"""Verification of all rows by an engine: what a task makes again, and what all have found together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmmi_hf.common.failures import Failure
from mmmi_hf.dataset.certificate.outcome import Certificate
from mmmi_hf.dataset.certificate.replays import (
    Replayed,
    how_computed,
    kept_at,
    read_kept,
    replay,
    replay_groups,
)
from mmmi_hf.dataset.certification import certify as certify_here
from mmmi_hf.dataset.engine.executors import EXECUTORS, WAITING, Engine, reached
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.generation.rows import load_bijections
from mmmi_hf.dataset.generation.shards import Task
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError


@dataclass(frozen=True)
class Replaying:
    """A step of the engine: makes the task's share of all rows again, and keeps what it found.

    Attributes:
        place, name: the configuration.
        kept: a folder for what is found; named after data, hardware and software.
        pipeline, device: as in `certify`.
    """

    place: str
    name: str
    kept: Path
    pipeline: str | None
    device: str | None

    def __call__(self, data: object, rank: int, world_size: int) -> None:
        with opened(self.place, reading=True) as folder:
            manifest = folder.known_manifest(self.name)
            config = rebuilt_configuration(folder, self.name, manifest)
            wanted = config.with_pipeline(self.pipeline)
            makers = dict(load_bijections(wanted, device=self.device, **how_computed(manifest)))
            if kept_at(folder, config, makers).stem != self.kept.parent.name:
                raise Failure(
                    f"{self.name} has changed meanwhile, or this machine has other hardware or software than the one "
                    "that asked; let all tasks run on one kind"
                )
            if groups := Task(rank + 1, world_size).of(_all_rows(config)):
                replay(folder, config, manifest, makers, groups, progress=False, kept=self.of(rank))

    def of(self, rank: int) -> Path:
        """Where it is kept what a task found."""
        return self.kept / f"{rank:05d}.json"

    def __repr__(self) -> str:
        return f"make a share of the rows of {self.name} in {self.place} again"


def certify_by_engine(
    folder: str | os.PathLike[str],
    configs: str | Sequence[str] | None = None,
    *,
    tasks: int,
    executor: str = "local",
    workers: int | None = None,
    executor_options: Mapping[str, Any] | None = None,
    pipeline: str | None = None,
    device: str | None = None,
    progress: bool = True,
    **options: Any,
) -> dict[str, Certificate]:
    """`certify` with `all_rows`, which are made again by tasks of datatrove; digests and inverses are this process's.

    Args:
        folder, configs, pipeline, device, progress: as in `certify`. All tasks must reach the folder.
        tasks, workers, executor_options: as in `generate_by_engine`.
        executor: "local" or "ray"; its tasks keep what they find where this process does, with the user.
        options: further ones of `certify`.

    Raises:
        ConfigurationError: a request that cannot be met.
        Failure: tasks failed, with what the first one said; the same call goes on.
    """
    if executor in EXECUTORS and executor not in WAITING:
        raise ConfigurationError(
            f"executor is {executor!r}, and rows are made again by {' or '.join(WAITING)}, whose tasks are waited for; "
            "elsewhere, let one job verify"
        )
    engine, where = Engine(executor, tasks, workers, executor_options or {}), reached(folder, "folder")

    def by_tasks(
        place: DatasetFolder, config: MMMIConfig, manifest: Manifest, makers: Any, groups: Any, *, progress: bool
    ) -> Replayed:
        kept = kept_at(place, config, makers).with_suffix("") / f"tasks-{tasks}"
        step = Replaying(where, manifest.config, kept, pipeline, device)
        kept.mkdir(parents=True, exist_ok=True)

        wanted = [sum(map(len, Task(rank + 1, tasks).of(groups))) for rank in range(tasks)]

        def found() -> list[Replayed]:
            return [read_kept(step.of(rank)) for rank in range(tasks)]

        def lacking(parts: list[Replayed]) -> list[int]:
            return [rank for rank, part in enumerate(parts) if part.rows != wanted[rank]]

        for rank in lacking(found()):
            (kept / f"completions/{rank:05d}").unlink(missing_ok=True)
        run = engine.executor_of(step, config, str(kept))
        rows = config.rows
        engine.carry_out(
            run, f"making again {config.name}", rows, lambda: sum(part.rows for part in found()), progress=progress
        )
        parts, together = found(), Replayed()
        if lacks := lacking(parts):
            there = sum(part.rows for part in parts)
            raise Failure(
                f"what {len(lacks)} of {tasks} tasks found is not in {kept}, where {there} of {rows} rows are; let all "
                "tasks have the same home or $XDG_CACHE_HOME, and one verification run at a time: run the same again"
            )
        for part in parts:
            together.add(part)
        shutil.rmtree(kept.parent)
        return together

    return certify_here(
        where,
        configs,
        all_rows=True,
        pipeline=pipeline,
        device=device,
        replayer=by_tasks,
        progress=progress,
        **options,
    )


def _all_rows(config: MMMIConfig) -> list[Any]:
    """The micro-batches of all rows, in order."""
    return replay_groups(config.rows, config.rows, 0)
