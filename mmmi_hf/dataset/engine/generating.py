"""Generation by an engine: what a task makes, which are still to be done, and the merge at the end."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmmi_hf.dataset.assembly import Generated, generate, requested
from mmmi_hf.dataset.completion import merge
from mmmi_hf.dataset.engine.executors import Engine, reached
from mmmi_hf.dataset.format.folder import WORK, DatasetFolder
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.generation.cost import planned
from mmmi_hf.dataset.generation.launcher import start
from mmmi_hf.dataset.generation.shards import Shard, Task, recorded
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.run import Run
from mmmi_hf.dataset.stores.store import Store


@dataclass(frozen=True)
class Work:
    """What every task is given.

    Attributes:
        config, out: what is made, and where, a whole path or an address.
        options: of `generate`.
    """

    config: MMMIConfig
    out: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Making:
    """A step of the engine: makes the task's share."""

    work: Work

    def __call__(self, data: object, rank: int, world_size: int) -> None:
        work = self.work
        generate(work.config, work.out, shard=Task(rank + 1, world_size), progress=False, **work.options)

    def __repr__(self) -> str:
        return f"make a share of {self.work.config.name} in {self.work.out}"


@dataclass(frozen=True)
class Merging:
    """A step of the engine, for one task: completes the configuration."""

    work: Work
    certify: bool
    figures: bool

    def __call__(self, data: object = None, rank: int = 0, world_size: int = 1) -> None:
        merge(self.work.out, self.work.config.name, certify=self.certify, figures=self.figures, progress=False)

    def __repr__(self) -> str:
        return f"complete {self.work.config.name} in {self.work.out}"


def generate_by_engine(
    config: MMMIConfig | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    tasks: int,
    executor: str = "local",
    workers: int | None = None,
    executor_options: Mapping[str, Any] | None = None,
    certify: bool = True,
    figures: bool = True,
    progress: bool = True,
    **options: Any,
) -> Generated:
    """`generate`, by tasks of datatrove.

    Args:
        config, out: as in `generate`.
        tasks: how many shares of the files; more than there are files is of no use.
        executor: "local", "slurm", "ray" or "jobs". With "slurm" the call returns when the jobs, the merge among them,
            are in the queue.
        workers: how many tasks run at the same time; None for the executor's own number, of "local" that of the cores.
        executor_options: of datatrove's executor, such as `time` and `partition` for Slurm, `flavor` for Jobs, and
            `start_method` of the processes for "local" ("spawn").
        certify, figures, progress: as in `generate`.
        options: further ones of `generate`.

    Raises:
        ConfigurationError: a request that cannot be met.
        Failure: tasks failed, with what the first one said; the same call goes on.
    """
    started = time.monotonic()
    engine = Engine(executor, tasks, workers, executor_options or {})
    config, options = requested(config, options)
    work = Work(config, reached(out, "out"), options)
    shards = planned(config)
    with opened(work.out) as folder:
        store, made = folder.store(config.name), 0
        if not _is_complete(work, folder, checked=executor == "local"):
            count = functools.partial(_rows_there, store, config.name, shards)
            logs, before = f"{WORK}/{config.name}/tasks-{tasks}", count()
            _forget(store, logs, config.name, shards, tasks)
            run = engine.executor_of(Making(work), config, f"{work.out}/{logs}")
            if executor == "slurm":
                finish = Merging(work, certify, figures)
                engine.executor_of(finish, config, f"{work.out}/{logs}/merge", tasks=1, depends=run).run()
                return Generated(folder.where, config, 0, time.monotonic() - started, complete=False)
            engine.carry_out(run, f"generating {config.name}", config.rows, count, progress=progress)
            made = config.rows - before
    (merged,) = merge(work.out, config.name, certify=certify, figures=figures, progress=progress)
    seconds = time.monotonic() - started
    return Generated(merged.folder, config, made, seconds, certificate=merged.certificate)


def _is_complete(work: Work, folder: DatasetFolder, *, checked: bool) -> bool:
    """Whether nothing is to be made.

    Args:
        work, folder: what and where.
        checked: compare what was begun with the request too, for which this must be the hardware of the tasks.

    Raises:
        ConfigurationError: something else of this name is there, and not to be overwritten.
    """
    if not checked and folder.manifest(work.config.name) is None:
        return False
    device = work.options.get("device") if checked else "cpu"
    computing = {name: work.options.get(name, False) for name in ("channels_last", "compiled")}
    run = Run(work.config, folder, start(device), (), device, computing)
    return run.standing(overwrite=work.options.get("overwrite", False)).complete


def _rows_there(store: Store, config: str, shards: list[Shard]) -> int:
    """Rows of the files that have a record."""
    there = recorded(store, config)
    return sum(len(shard.rows) for shard in shards if shard.name in there)


def _forget(store: Store, logs: str, config: str, shards: list[Shard], tasks: int) -> None:
    """Make the engine do those tasks again that it has noted as done and whose files are not there."""
    there = recorded(store, config)
    for marker in store.list(f"{logs}/completions"):
        if not (rank := marker.rpartition("/")[2]).isdecimal():
            continue
        number = int(rank) + 1
        if number > tasks or any(shard.name not in there for shard in Task(number, tasks).of(shards)):
            store.remove(marker)
