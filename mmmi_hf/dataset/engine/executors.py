"""Which of datatrove's executors has tasks done, with which options, and how it is waited for."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.common.places import is_address, place
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.engine.processes import carried_out_elsewhere, carried_out_here
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor

EXECUTORS = ("local", "slurm", "ray", "jobs")
WAITING = ("local", "ray")
"""Those whose tasks share this machine's folders, or those of a cluster, and are waited for."""
_DECIDED = {
    "tasks": "is an argument of its own",
    "pipeline": "is made here",
    "logging_dir": "lies where the dataset is",
    "skip_completed": "follows from what is there",
    "depends": "is the merge's",
    "local_tasks": "are all of them; for a part elsewhere, use --shard I/N",
    "local_rank_offset": "is 0; for a part elsewhere, use --shard I/N",
}
"""Options of datatrove that are not the user's, and why."""
_OF_JOBS = "see that none of its Jobs is still running (hf jobs ps), then "


@dataclass(frozen=True)
class Engine:
    """Where tasks run.

    Args:
        executor, tasks, workers, options: as in `generate_by_engine`.

    Raises:
        ConfigurationError: no such executor, or options that make no sense.
    """

    executor: str
    tasks: int
    workers: int | None
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ConfigurationError(f"executor is {self.executor!r}, expected one of {', '.join(EXECUTORS)}")
        if not is_whole(self.tasks, 1):
            raise ConfigurationError(f"tasks is {self.tasks!r}, expected a whole number of at least 1")
        if decided := next((name for name in self.options if name in _DECIDED), None):
            raise ConfigurationError(f"executor {self.executor}: {decided} {_DECIDED[decided]}; leave the option out")
        here, workers = self.executor == "local", self.options.get("workers", self.workers)
        if not (workers is None or is_whole(workers, 1) or (workers == -1 and not here)):
            unlimited = "" if here else ", or -1 for no limit"
            raise ConfigurationError(f"workers is {workers!r}, expected a whole number of at least 1{unlimited}")
        pause = self.options.get("randomize_start_duration", 0)
        if not is_whole(pause, 0):
            raise ConfigurationError(f"randomize_start_duration is {pause!r}, expected a whole number of seconds")

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

            def look() -> None:
                bar.update(max(0, count() - bar.n))

            if self.executor == "local":
                carried_out_here(run, look)
            else:
                carried_out_elsewhere(run, look, before_again=_OF_JOBS if self.executor == "jobs" else "")

    def _settings(self, config: MMMIConfig) -> dict[str, Any]:
        """What an executor is given: what the user says goes first."""
        settings: dict[str, Any] = {"workers": self.workers} | dict(self.options)
        if self.executor == "local":
            settings["workers"] = settings["workers"] or min(self.tasks, os.cpu_count() or 1)
            settings["start_method"] = _start_method(settings.get("start_method", "spawn"))
        if self.executor in ("slurm", "jobs"):
            settings = {"job_name": f"mmmi-hf-{config.name}"} | settings
        return {name: value for name, value in settings.items() if name != "workers" or value is not None}


def reached(given: str | os.PathLike[str], what: str) -> str:
    """A whole path or an address, as every task understands it. Raises ConfigurationError for memory of one process."""
    if not is_address(given):
        return str(place(given, what).absolute())
    if str(given).startswith("memory:"):
        raise ConfigurationError(
            f"{given} is in the memory of one process, and every task is another one; give a folder, or an address of "
            "object storage"
        )
    return str(given)


def _start_method(given: object) -> str:
    """How processes are started. Raises ConfigurationError for what is no way of it here."""
    import multiprocess

    ways = multiprocess.get_all_start_methods()
    if given not in ways:
        raise ConfigurationError(f"start_method is {given!r}, expected one of {', '.join(ways)}")
    return str(given)


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
