"""Processes of this machine in which an engine's tasks are done, and what becomes of their end.

Owns how they are started, watched and ended. No process shares a lock with another one: each has a pipe to the
launcher, by which it is given its tasks and says a few words. Each is a group of its own, which ends as a whole: with
its own end, when the launcher says so, and by itself when the launcher is gone. Every process begins with this module,
which imports little.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mmmi_hf.common.failures import Failure, in_one_line
from mmmi_hf.dataset.stores.addresses import may_pass

if TYPE_CHECKING:
    from datatrove.executor.base import PipelineExecutor

ATTEMPTS = 5
"""One after another in which no task was done."""
PAUSE_SECONDS = 0.5
"""Before the second of them; before each further one as much more."""
LOOK_SECONDS = 1.0
MOST_CHARACTERS = 500
"""Of what an error says: a message of so many is written to a pipe whole or not at all."""
_FORKSERVER_IS_GONE = 255
"""The exit status of a process whose end its server can no longer tell."""
_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Trouble:
    """Why a process did not do what it was given.

    Attributes:
        said: in one line.
        may_pass: whether it may help to begin again.
    """

    said: str
    may_pass: bool


def carried_out_here(run: PipelineExecutor, look: Callable[[], object]) -> None:
    """Have processes of this machine do those tasks that are not done.

    Begun again where a process was killed, or a store did not answer as it should.

    Args:
        run: a local executor; `workers` and `start_method` are those of our processes, not of a pool of its own.
        look: called every second, and when a process ends.

    Raises:
        Failure: a task failed, with what it said, or tasks are not done after several attempts.
    """
    import dill

    carried, said = dill.dumps(run), "the engine has not noted them as done"
    threads = None if _THREADS in os.environ else max(1, (os.cpu_count() or 1) // run.workers)
    attempt, left = 0, run.world_size + 1
    while missing := _missing(run):
        attempt = 1 if len(missing) < left else attempt + 1
        if attempt > ATTEMPTS:
            break
        time.sleep(PAUSE_SECONDS * (attempt - 1))
        left = len(missing)
        shares = [missing[first :: run.workers] for first in range(min(run.workers, len(missing)))]
        works = [_Work(carried, number, ranks, threads) for number, ranks in enumerate(shares)]
        trouble = _together(run.start_method, works, look)
        if trouble is not None and not trouble.may_pass:
            raise Failure(
                f"{trouble.said}; what is finished is kept, and the logs are in {_logs(run)}: run the same again"
            )
        said = trouble.said if trouble is not None else said
    else:
        return
    raise Failure(
        f"tasks are not done after {ATTEMPTS} attempts ({said}); the logs are in {_logs(run)}: run the same again"
    )


def carried_out_elsewhere(run: PipelineExecutor, look: Callable[[], object], *, before_again: str = "") -> None:
    """Have an executor do its tasks elsewhere, and wait for them, in a process that can be interrupted.

    Once: such an executor tries tasks again by itself, and what it starts may have its price.

    Args:
        run, look: as in `carried_out_here`, with an executor that waits for its tasks.
        before_again: what a user sees to before the same is run again.

    Raises:
        Failure: tasks are not done: which, and why if that is known.
    """
    import dill

    trouble = _together("spawn", [_Work(dill.dumps(run), 0, None, None)], look)
    if missing := _missing(run):
        named = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        said = f" ({trouble.said})" if trouble is not None else ""
        raise Failure(
            f"{len(missing)} of {run.world_size} tasks are not done{said}, by rank {named}; their logs are in "
            f"{_logs(run)}: {before_again}run the same again"
        )


def _logs(run: PipelineExecutor) -> str:
    return str(run.logging_dir.resolve_paths("logs"))


def _missing(run: PipelineExecutor) -> list[int]:
    """Tasks that are not noted as done. Raises Failure where the place of the notes cannot be read."""
    said = ""
    for attempt in range(ATTEMPTS):
        time.sleep(0.1 * attempt)
        run.logging_dir.fs.invalidate_cache()
        try:
            return list(run.get_incomplete_ranks(skip_completed=True))
        except Exception as error:
            if not may_pass(error):
                raise
            said = _words(error)
    raise Failure(f"which tasks are done cannot be read beside {_logs(run)} ({said}); run the same again later")


def _together(method: str, works: Sequence[_Work], look: Callable[[], object]) -> Trouble | None:
    """Start a process for each work, and wait for all, or for the first that fails, with which all end.

    Args:
        method: of starting processes.
        works: what they do.
        look: as in `carried_out_here`.
    """
    import multiprocess
    from multiprocess.connection import wait

    context, started = multiprocess.get_context(method), list[_Process]()
    try:
        with _interrupts_held(method), _environment(works[0].threads):
            started.extend(_Process(context, work) for work in works)
        running = started
        while running:
            wait([each for process in running for each in process.waited_for()], LOOK_SECONDS)
            look()
            troubles = [trouble for process in running if (trouble := process.trouble()) is not None]
            if troubles:
                return min(troubles, key=lambda trouble: trouble.may_pass)
            running = [process for process in running if not process.ended]
        return None
    finally:
        for process in started:
            process.end()


@dataclass(frozen=True)
class _Work:
    """What a process is to do.

    Attributes:
        carried: an executor, by dill.
        number: of the process among those that work together.
        ranks: its tasks, one after another; None for all that the executor does.
        threads: of the process; None where the user says how many.
    """

    carried: bytes
    number: int
    ranks: list[int] | None
    threads: int | None


class _Process:
    """A process that works, seen by its launcher.

    Attributes:
        ended: whether it has ended, and been done before.
    """

    def __init__(self, context: Any, work: _Work) -> None:
        self._work = work
        self._pipe, theirs = context.Pipe()
        # What it does follows when it has begun: a long argument would wait for ever for one that cannot begin.
        self._process = context.Process(target=_work, args=(theirs,))
        self._process.start()
        theirs.close()
        self._begun = self._done = self._silent = self._group_ended = self.ended = False

    def waited_for(self) -> list[Any]:
        """What can be read when there is news."""
        return [self._process.sentinel] if self._silent else [self._process.sentinel, self._pipe]

    def trouble(self) -> Trouble | None:
        """Why it has failed, if it has."""
        from multiprocess.connection import wait

        if wait([self._process.sentinel], 0):
            self._end_group()  # before its id is free for another one
            self._process.join()
            self.ended = True
        self.ended = self.ended or self._process.exitcode is not None
        if self.ended:
            self._end_group()
        while not self._silent and self._pipe.poll():  # after the look at its end: nothing comes later
            try:
                said = self._pipe.recv()
            except (EOFError, OSError):
                self._silent = True
                break
            if isinstance(said, Trouble):
                return said
            if not said:
                with suppress(OSError):  # of one that has ended meanwhile
                    self._pipe.send(self._work)
            self._begun, self._done = True, said
        return self._gone() if self.ended and not self._done else None

    def _gone(self) -> Trouble:
        """What its end says, where it has said nothing itself."""
        status = self._process.exitcode
        if status is not None and status < 0:
            by = signal.Signals(-status).name if -status in {*signal.Signals} else f"signal {-status}"
            advice = "; if for want of memory, give fewer --workers" if -status == signal.SIGKILL else ""
            return Trouble(f"a process was ended by {by}{advice}", True)
        if self._begun or status in (None, _FORKSERVER_IS_GONE):
            return Trouble(f"a process ended early, with exit status {status}", True)
        return Trouble(
            f"a process could not begin, and has printed why (exit status {status}); as every process imports the "
            'script, this must be a file, and call us below `if __name__ == "__main__":`',
            False,
        )

    def end(self) -> None:
        """End it, and all that it started in its group."""
        if not self.ended:
            self._process.kill()
        self._end_group()
        self._process.join()
        self._pipe.close()

    def _end_group(self) -> None:
        """End what it has started, once: later its id may be that of another group."""
        if not self._group_ended:
            self._group_ended = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def _interrupts_held(method: str) -> Iterator[None]:
    """Processes that are started meanwhile take no Ctrl-C before they are groups of their own: it is the launcher's."""
    if method != "fork":
        from multiprocess import resource_tracker

        resource_tracker.ensure_running()  # which lets interrupts pass again, once
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(threads: int | None) -> Iterator[None]:
    """Processes that are started meanwhile have so many threads."""
    if threads is None:
        yield
        return
    os.environ[_THREADS] = str(threads)
    try:
        yield
    finally:
        os.environ.pop(_THREADS, None)


def _work(launcher: Any) -> NoReturn:
    """What a process does: what the launcher sends when it has said that it has begun (False).

    At its end it says that all is done (True), or what went wrong.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # forget those that were held
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    what = "the engine failed"
    try:
        launcher.send(False)
        work: _Work = launcher.recv()
        if work.threads is not None:
            os.environ[_THREADS] = str(work.threads)  # a server of forks has the first launcher's
        if work.ranks is not None:
            what = "a task failed"
        _do(work)
        said: bool | Trouble = True
    except BaseException as error:
        said = Trouble(f"{what}: {_words(error)}", isinstance(error, Exception) and may_pass(error))
    try:
        with suppress(OSError):
            launcher.send(said)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
    finally:
        os._exit(0)


def _do(work: _Work) -> None:
    import dill
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # a forked process has its launcher's, which all of them would share
    run: PipelineExecutor = dill.loads(work.carried)  # noqa: S301 – our own; connections do not survive a fork
    if work.ranks is None:
        run.run()
        return
    for rank in work.ranks:
        run._run_for_rank(rank, work.number)  # as its own `run` does, which would start a server of locks


def _end_with_launcher() -> None:
    """Wait until the launcher is gone, which may be already, and end the group of this process."""
    import multiprocess

    multiprocess.parent_process().join()
    os.killpg(0, signal.SIGKILL)


def _words(error: BaseException) -> str:
    """What an error says, in one line; what it is where it says nothing, or nothing that tells."""
    said = ""
    with suppress(Exception):
        said = in_one_line(error, most=MOST_CHARACTERS)
    if isinstance(error, Exception):
        return said or type(error).__name__
    return f"{type(error).__name__} {said}".rstrip()
