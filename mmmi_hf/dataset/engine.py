"""Generation by an engine: datatrove's tasks on this machine, a Slurm cluster, Ray, or Hugging Face Jobs.

Owns what a task is – one share of the files, made by `generate` – and what surrounds the tasks: which are still to be
done, how far all of them are, the merge at the end. Tasks, their logs, which of them are done and where they run are
the engine's. Whatever dies, the same call goes on: what is finished lies where the dataset is, and a task whose files
are not there is done again, whatever the engine has noted.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from mmmi_hf.common.failures import Failure
from mmmi_hf.common.places import is_address, place
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.assembly import Generated, generate, requested
from mmmi_hf.dataset.completion import merge
from mmmi_hf.dataset.format.folder import WORK, DatasetFolder
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.generation.cost import planned
from mmmi_hf.dataset.generation.launcher import start
from mmmi_hf.dataset.generation.shards import Shard, Task, recorded
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.run import Run
from mmmi_hf.dataset.stores.store import Store

if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor

EXECUTORS = ("local", "slurm", "ray", "jobs")
ATTEMPTS = 5
LOOK_SECONDS = 1.0
WATCH_SECONDS = 0.05


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
        executor_options: of datatrove's executor, such as `time` and `partition` for Slurm, `flavor` for Jobs.
        certify, figures, progress: as in `generate`.
        options: further ones of `generate`.

    Raises:
        ConfigurationError: a request that cannot be met.
        Failure: tasks failed, with what the first one said; the same call goes on.
    """
    started = time.monotonic()
    if executor not in EXECUTORS:
        raise ConfigurationError(f"executor is {executor!r}, expected one of {', '.join(EXECUTORS)}")
    if tasks < 1:
        raise ConfigurationError(f"tasks is {tasks}, expected a whole number of at least 1")
    config, options = requested(config, options)
    work = Work(config, out if is_address(out) else str(place(out, "out").absolute()), options)  # type: ignore[arg-type]
    shards = planned(config)
    make = _class_of(executor)
    with opened(work.out) as folder:
        store, made = folder.store(config.name), 0
        if not _is_complete(work, folder, checked=executor == "local"):
            count = functools.partial(_rows_there, store, config.name, shards)
            logs, before = f"{WORK}/{config.name}/tasks-{tasks}", count()
            _forget(store, logs, config.name, shards, tasks)
            settings = _settings(config, executor, tasks, workers) | dict(executor_options or {})
            try:
                run = make(pipeline=[Making(work)], tasks=tasks, logging_dir=f"{work.out}/{logs}", **settings)
            except (TypeError, ValueError) as error:
                raise ConfigurationError(f"executor {executor}: {' '.join(str(error).split())}") from error
            if executor == "slurm":
                finish = Merging(work, certify, figures)
                make(pipeline=[finish], tasks=1, logging_dir=f"{work.out}/{logs}/merge", depends=run, **settings).run()
                return Generated(folder.where, config, 0, time.monotonic() - started, complete=False)
            with progress_bar(f"generating {config.name} ({tasks} tasks)", config.rows, shown=progress) as bar:
                method = settings.get("start_method", "spawn")
                _carried_out(run, lambda: bar.update(max(0, count() - bar.n)), method)
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


def _settings(config: MMMIConfig, executor: str, tasks: int, workers: int | None) -> dict[str, Any]:
    """What an executor is given unless the user says otherwise."""
    settings: dict[str, Any] = {} if workers is None else {"workers": workers}
    if executor == "local" and workers is None:
        settings["workers"] = min(tasks, os.cpu_count() or 1)
    if executor in ("slurm", "jobs"):
        settings["job_name"] = f"mmmi-hf-{config.name}"
    return settings


def _class_of(executor: str) -> Callable[..., PipelineExecutor]:
    """What makes an executor. Raises ConfigurationError where a package is missing."""
    try:
        if executor == "ray":  # datatrove asks for it when tasks are begun
            importlib.import_module("ray")
        module = importlib.import_module(f"datatrove.executor.{executor}")
    except ImportError as error:
        needed = "ray" if error.name == "ray" else "mmmi-hf[datatrove]"
        raise ConfigurationError(f"executor {executor} needs a package: pip install '{needed}'") from error
    made: Callable[..., PipelineExecutor] = getattr(module, f"{executor.capitalize()}PipelineExecutor")
    if executor == "jobs":
        packages = ["datatrove[io]", f"mmmi-hf[datatrove]=={installed_version('mmmi-hf')}"]
        return functools.partial(made, dependencies=packages)
    return made


def _rows_there(store: Store, config: str, shards: list[Shard]) -> int:
    """Rows of the files that have a record."""
    there = recorded(store, config)
    return sum(len(shard.rows) for shard in shards if shard.name in there)


def _forget(store: Store, logs: str, config: str, shards: list[Shard], tasks: int) -> None:
    """Make the engine do those tasks again that it has noted as done and whose files are not there."""
    there = recorded(store, config)
    for marker in store.list(f"{logs}/completions"):
        number = int(marker.rpartition("/")[2]) + 1
        if number > tasks or any(shard.name not in there for shard in Task(number, tasks).of(shards)):
            store.remove(marker)


def _carried_out(run: PipelineExecutor, look: Callable[[], object], method: str) -> None:
    """Run an executor that waits for its tasks, in a process of its own; again if one of its processes was killed."""
    import dill
    import multiprocess

    context, carried = multiprocess.get_context(method), dill.dumps(run)
    for _ in range(ATTEMPTS):
        reader, writer = context.Pipe(duplex=False)
        child = context.Process(target=_run, args=(carried, writer))
        child.start()
        writer.close()
        try:
            while child.is_alive():
                child.join(LOOK_SECONDS)
                look()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.kill()
            child.join()
        with reader, suppress(EOFError):
            said = reader.recv()
            raise Failure(
                f"a task failed: {said}; what is finished is kept, and the logs are in {run.logging_dir.path}: run the "
                "same again"
            )
        run.logging_dir.fs.invalidate_cache()
        if child.exitcode == 0 and not run.get_incomplete_ranks():
            return
    raise Failure(
        f"{len(run.get_incomplete_ranks())} tasks are not done after {ATTEMPTS} attempts; the logs are in "
        f"{run.logging_dir.path}: run the same again"
    )


def _run(carried: bytes, failed: Any) -> None:
    """Run an executor in a group of processes of its own, all of which end when one of them is killed.

    A pool of processes would wait for ever for the task of one that is gone, and for the locks that it held.
    """
    import dill
    import multiprocess

    os.setsid()
    run: PipelineExecutor = dill.loads(carried)  # noqa: S301 – our own; connections do not survive a fork
    known: dict[int, Any] = {}

    def watch() -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            known.update({each.pid: each for each in multiprocess.active_children()})
            if any(each.exitcode not in (None, 0, -signal.SIGTERM) for each in list(known.values())):
                os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    try:
        run.run()
    except Exception as error:
        failed.send(" ".join(str(error).split())[:500])
        raise SystemExit(1) from error
    finally:
        failed.close()
