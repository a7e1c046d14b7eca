"""Work by an engine: datatrove's tasks on this machine, a Slurm cluster, Ray, or Hugging Face Jobs.

Owns what a task is – one share of the files, made by `generate`, or of the rows that `certify` makes again – and what
surrounds the tasks: which are still to be done, how far all of them are, the merge at the end. Tasks, their logs, which
of them are done and where they run are the engine's. Whatever dies, the same call goes on: what is finished lies where
the dataset is, what was found with the user, and a task that lacks some of it is done again, whatever the engine has
noted.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mmmi_hf.common.failures import Failure, in_one_line
from mmmi_hf.common.places import is_address, place
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.assembly import Generated, generate, requested
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
from mmmi_hf.dataset.completion import merge
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import WORK, DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.generation.cost import planned
from mmmi_hf.dataset.generation.launcher import start
from mmmi_hf.dataset.generation.rows import load_bijections
from mmmi_hf.dataset.generation.shards import Shard, Task, recorded
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.run import Run
from mmmi_hf.dataset.stores.addresses import may_pass
from mmmi_hf.dataset.stores.store import Store

if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor

EXECUTORS = ("local", "slurm", "ray", "jobs")
WAITING = ("local", "ray")
"""Those whose tasks share this machine's folders, or those of a cluster, and are waited for."""
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
class Engine:
    """Where tasks run.

    Args:
        executor, tasks, workers, options: as in `generate_by_engine`.

    Raises:
        ConfigurationError: no such executor, or numbers that make no sense.
    """

    executor: str
    tasks: int
    workers: int | None
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ConfigurationError(f"executor is {self.executor!r}, expected one of {', '.join(EXECUTORS)}")
        if self.tasks < 1:
            raise ConfigurationError(f"tasks is {self.tasks}, expected a whole number of at least 1")
        if self.workers is not None and self.workers < 1:
            raise ConfigurationError(f"workers is {self.workers}, expected a whole number of at least 1")

    def executor_of(self, step: object, config: MMMIConfig, logs: str, **more: Any) -> PipelineExecutor:
        """What has the tasks do a step. Raises ConfigurationError for options that it does not take."""
        make, given = _class_of(self.executor), {"tasks": self.tasks} | more
        try:
            made = make(pipeline=[step], logging_dir=logs, **given, **self._settings(config))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"executor {self.executor}: {' '.join(str(error).split())}") from error
        if self.executor == "slurm" and shutil.which("sbatch") is None:
            raise ConfigurationError("executor slurm: there is no sbatch here; call it where jobs are submitted")
        return made

    def carry_out(
        self, run: PipelineExecutor, what: str, rows: int, count: Callable[[], int], *, progress: bool
    ) -> None:
        """Wait until all tasks are done, with their progress, which `count` gives in rows. Raises Failure."""
        with progress_bar(f"{what} ({self.tasks} tasks)", rows, shown=progress) as bar:
            method = self.options.get("start_method", "spawn")
            threads = max(1, (os.cpu_count() or 1) // run.workers) if self.executor == "local" else None
            _carried_out(run, lambda: bar.update(max(0, count() - bar.n)), method, threads)

    def _settings(self, config: MMMIConfig) -> dict[str, Any]:
        """What an executor is given: what the user says goes first."""
        settings: dict[str, Any] = {} if self.workers is None else {"workers": self.workers}
        if self.executor == "local" and self.workers is None:
            settings["workers"] = min(self.tasks, os.cpu_count() or 1)
        if self.executor in ("slurm", "jobs"):
            settings["job_name"] = f"mmmi-hf-{config.name}"
        return settings | dict(self.options)


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
    engine, where = Engine(executor, tasks, workers, executor_options or {}), _reached(folder, "folder")

    def by_tasks(
        place: DatasetFolder, config: MMMIConfig, manifest: Manifest, makers: Any, groups: Any, *, progress: bool
    ) -> Replayed:
        kept = kept_at(place, config, makers).with_suffix("") / f"tasks-{tasks}"
        step = Replaying(where, manifest.config, kept, pipeline, device)
        kept.mkdir(parents=True, exist_ok=True)

        def found() -> list[Replayed]:
            return [read_kept(step.of(rank)) for rank in range(tasks)]

        for rank, part in enumerate(found()):
            if part.rows < sum(map(len, Task(rank + 1, tasks).of(groups))):
                (kept / f"completions/{rank:05d}").unlink(missing_ok=True)
        run = engine.executor_of(step, config, str(kept))
        rows = config.rows
        engine.carry_out(
            run, f"making again {config.name}", rows, lambda: sum(part.rows for part in found()), progress=progress
        )
        together = Replayed()
        for part in found():
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


def _reached(given: str | os.PathLike[str], what: str) -> str:
    """A whole path or an address, as every task understands it. Raises ConfigurationError for memory of one process."""
    if not is_address(given):
        return str(place(given, what).absolute())
    if str(given).startswith("memory:"):
        raise ConfigurationError(
            f"{given} is in the memory of one process, and every task is another one; give a folder, or an address of "
            "object storage"
        )
    return str(given)


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
    engine = Engine(executor, tasks, workers, executor_options or {})
    config, options = requested(config, options)
    work = Work(config, _reached(out, "out"), options)
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


def _carried_out(run: PipelineExecutor, look: Callable[[], object], method: str, threads: int | None) -> None:
    """Run an executor that waits for its tasks, in a process of its own.

    Again if one of its processes was killed, or if the place of its logs does not answer as it should: what is ours is
    tried again by itself.
    """
    import dill
    import multiprocess

    context, carried = multiprocess.get_context(method), dill.dumps(run)
    for _ in range(ATTEMPTS):
        said = "a process of the engine was killed or ended early; if for want of memory, give fewer --workers"
        reader, writer = context.Pipe(duplex=False)
        child = context.Process(target=_run, args=(carried, writer, threads))
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
            said, final = reader.recv()
            if final:
                raise Failure(
                    f"a task failed: {said}; what is finished is kept, and the logs are in {run.logging_dir.path}: run "
                    "the same again"
                )
        run.logging_dir.fs.invalidate_cache()
        try:
            missing = run.get_incomplete_ranks(skip_completed=True)
        except Exception as error:
            if not may_pass(error):
                raise
            said = in_one_line(error, most=500)
            continue
        if child.exitcode == 0 and not missing:
            return
    raise Failure(
        f"tasks are not done after {ATTEMPTS} attempts ({said}); the logs are in {run.logging_dir.path}: run the same "
        "again"
    )


def _run(carried: bytes, failed: Any, threads: int | None) -> None:
    """Run an executor in a group of processes of its own, all of which end when one of them, or who waits, is killed.

    A pool of processes would wait for ever for the task of one that is gone, and for the locks that it held; at its end
    also for those of a process that it has ended itself. So it does not replace them, nor end them: all end together.
    Each of its processes has so many threads, unless the user has said how many: together as many as the cores.
    """
    import dill
    from multiprocess.pool import MaybeEncodingError, Pool

    os.setsid()
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    run: PipelineExecutor = dill.loads(carried)  # noqa: S301 – our own; connections do not survive a fork
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(WATCH_SECONDS)
        os.killpg(0, signal.SIGKILL)

    def look(workers: list[Any]) -> bool:
        """Instead of replacing processes of the pool that are gone: none ends by itself."""
        if any(each.exitcode is not None for each in workers):
            os.killpg(0, signal.SIGKILL)
        return False

    def left(pool: object, *error: object) -> None:
        """Instead of ending its processes, as a pool does at the end of its block."""

    Pool._join_exited_workers, Pool.__exit__ = staticmethod(look), left
    threading.Thread(target=watch, daemon=True).start()
    try:
        run.run()
    except Exception as error:
        # What cannot be sent from a task's process is the connection's, which holds parts of it: our own errors can.
        failed.send((in_one_line(error, most=500), not (may_pass(error) or isinstance(error, MaybeEncodingError))))
        _end(1)
    _end(0)


def _end(code: int) -> NoReturn:
    """End this process at once: the usual way would end the processes of its pool, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
