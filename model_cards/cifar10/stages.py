"""A run of stages on a machine that is lent for minutes: budgets, programs, results that outlive a cut.

Owns how stages are made and what is kept of them; knows nothing of what they do.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = 15 * 2**20
"""Bytes of a part of the results."""
LEFT_OUT = ("checkpoint.*", "*.partial", "*.old", "samples-*")
"""Of files and folders: what a run needs to go on, what is being written, and the drawn samples, which are large."""
NEWS = 20.0
"""Seconds between two looks at a program."""
SHOWN = 80
"""Last lines of a program's output that are shown on the screen; all of them are in the folder."""


class StageError(Exception):
    """What went wrong in a stage, in one line."""


@dataclass(frozen=True)
class Stage:
    """A part of the run.

    Attributes:
        name: for the reports.
        seconds: its budget.
        least: seconds without which it is not begun.
        work: makes it; None if it is off.
        why: it is off.
    """

    name: str
    seconds: float
    least: float
    work: Callable[[Run], None] | None
    why: str = ""


@dataclass
class Run:
    """The run so far.

    Attributes:
        out: the folder of its results.
        deadline: of all stages, by the monotonic clock.
        kept: folders whose files are among the results.
        until: when the stage in hand must end.
        stages: what became of those before.
    """

    out: Path
    deadline: float
    kept: tuple[Path, ...]
    until: float = 0.0
    stages: list[dict[str, object]] = field(default_factory=list)
    storing: threading.Lock = field(default_factory=threading.Lock)
    living: set[subprocess.Popen[bytes]] = field(default_factory=set)

    def say(self, text: str) -> None:
        """To the screen and into the log."""
        print(text, flush=True)
        with (self.out / "log.txt").open("a") as log:
            log.write(text.rstrip("\n") + "\n")

    def make(self, stages: Sequence[Stage]) -> bool:
        """Make all stages in order; whether none failed."""
        for stage in stages:
            started = time.monotonic()
            left = self.deadline - started
            state, reason = "done", ""
            if stage.work is None:
                state, reason = "off", stage.why
            elif left < stage.least:
                state, reason = "left out", f"{left:.0f} s remain, it wants {stage.least:.0f}"
            else:
                self.until = min(self.deadline, started + stage.seconds)
                self.say(f"== {stage.name}: at most {self.until - started:.0f} s of {left:.0f}")
                try:
                    stage.work(self)
                except Exception as error:  # whatever it is, the next stage is worth its time
                    state, reason = "failed", f"{type(error).__name__}: {error}"
            seconds = round(time.monotonic() - started, 1)
            self.stages.append({"stage": stage.name, "state": state, "seconds": seconds, "reason": reason})
            self.say(f"== {stage.name}: {state} after {seconds} s {reason}")
            self.store()
        return all(stage["state"] != "failed" for stage in self.stages)

    def store(self) -> None:
        """Each folder under runs/ as parts of a tar file, and the states; each file takes its place whole."""
        with self.storing:
            self._store()

    def _store(self) -> None:
        new = {"stages.json": (json.dumps(self.stages, indent=2) + "\n").encode()}
        for folder in self.kept:
            content = _tar(folder, [path for path in sorted(folder.rglob("*")) if _is_kept(path)])
            for part in range(-(-len(content) // KEPT)):
                new[f"{folder.name}.tar.{part:02d}"] = content[part * KEPT : (part + 1) * KEPT]
        for name, part in new.items():
            partial = self.out / f"{name}.partial"
            partial.write_bytes(part)
            partial.replace(self.out / name)
        for path in self.out.glob("*.tar.*"):
            if path.name not in new:
                path.unlink()

    def program(
        self,
        arguments: Sequence[str],
        *,
        into: str = "output.txt",
        table: bool = False,
        news: Path | None = None,
        seconds: float = float("inf"),
    ) -> None:
        """Run Python with arguments until the stage's time is over, or `seconds`.

        Its output goes to the file `into`, and errors, too, unless `table` says that people read it. Whenever `news`,
        the log of a training, has another last line it is shown; whenever a pipeline was stored beside it, the results
        are kept.

        Raises:
            StageError: it failed or was killed.
        """
        shown = shlex.join(["python", *("…" if "\n" in argument else argument for argument in arguments)])
        self.say(f"$ {shown}")
        target, errors = self.out / into, self.out / ("output.txt" if table else into)
        begin, until = target.stat().st_size if target.exists() else 0, min(self.until, time.monotonic() + seconds)
        path = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONUNBUFFERED": "1"}
        with errors.open("a") as log, target.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments], stdout=output, stderr=log, env=environment, start_new_session=True
            )
            self.living.add(process)
            last, stored = "", 0.0
            try:
                while True:
                    try:
                        process.wait(max(0.1, min(NEWS, until - time.monotonic())))
                        break
                    except subprocess.TimeoutExpired:
                        pass
                    if time.monotonic() >= until:
                        raise StageError(f"time is over: {shown}")
                    if news is None:
                        continue
                    if news.exists() and (line := _last(news)) != last:
                        print(f"{news.parent.name}: {(last := line)}", flush=True)
                    if (changed := _changed(news.parent)) != stored:
                        with contextlib.suppress(OSError):  # a file that was replaced meanwhile; the next look is soon
                            self.store()
                            stored = changed
            finally:
                self.living.discard(process)
                _end(process)
                written = target.read_bytes()[begin:].decode(errors="replace").splitlines()
                print("\n".join(written[-SHOWN:]), flush=True)
        if process.returncode:
            raise StageError(f"exit {process.returncode}: {shown}; {_last(errors)}")

    def programs(self, all_arguments: Sequence[Sequence[str]], *, into: str) -> None:
        """Tables, one after the other; an error in one does not stop the next, unless the time is over."""
        wrong = []
        for arguments in all_arguments:
            try:
                self.program(arguments, into=into, table=True)
            except StageError as error:
                wrong.append(str(error))
            if time.monotonic() >= self.until:
                break
        if wrong:
            raise StageError("; ".join(wrong))

    def together(self, works: Sequence[Callable[[], None]]) -> None:
        """All at the same time; an error in one does not stop the others."""
        with ThreadPoolExecutor(len(works)) as pool:
            running = [pool.submit(work) for work in works]
            try:
                wrong = [str(error) for done in running if (error := done.exception())]
            except BaseException:  # the run itself is ended: the pool would wait for what it began
                for process in list(self.living):
                    _end(process)
                raise
        if wrong:
            raise StageError("; ".join(wrong))


def _is_kept(path: Path) -> bool:
    return path.is_file() and not any(fnmatch(part, name) for part in path.parts for name in LEFT_OUT)


def _tar(folder: Path, paths: Sequence[Path]) -> bytes:
    """The files and, beside the folder, its recipe as it was made; nothing if there are no files."""
    whole = io.BytesIO()
    if paths:
        with tarfile.open(fileobj=whole, mode="w") as tar:
            for path in [*paths, *folder.parent.glob(f"{folder.name}.yaml")]:
                tar.add(path)
    return whole.getvalue()


def _last(path: Path) -> str:
    """The last line of a text, or nothing."""
    lines = path.read_text(errors="replace").splitlines()
    return lines[-1] if lines else ""


def _changed(folder: Path) -> float:
    """When a training stored a pipeline for the last time: its record is written last."""
    record = folder / "training.json"
    return record.stat().st_mtime if record.exists() else 0.0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(5)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
