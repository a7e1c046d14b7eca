"""Kills `generate` at chosen points and moments, resumes it, and compares the result with an undisturbed run.

A program of its own, which imports everything once and forks for every run:

    python -m tests.dataset.generation.faults points --processes 1 2 --every 1
    python -m tests.dataset.generation.faults moments --processes 1 2 --count 30 --seed 0
    python -m tests.dataset.generation.faults orders
    python -m tests.dataset.generation.faults together

It prints one JSON object for each of these, and for each number of processes. The product has no hooks for this: a run
that is to die replaces what it calls – writes, syncs, renames, removals, the Parquet writer – by versions that count,
and that kill the process by SIGKILL before, after or (for writes) in the middle of the n-th call.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import datasets
import pyarrow.parquet as pq
import torch
from accelerate import PartialState

from mmmi_hf.dataset import assembly as generation
from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.generation import shards
from mmmi_hf.dataset.generation.launcher import Processes
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from tests.support import generate

ROWS = 300
FIGURES = "FIGURES"
"""Set in the environment where every run draws the card's figures too."""


def config(rows: int) -> MMMIConfig:
    """Pairs of 1×4×4 images through the identity, in files of at most 64 rows."""
    return MMMIConfig(
        name="small",
        causal_model={"story": "common_cause", "shape": [1, 4, 4], "mi": 1.0},
        modalities=(Modality("identity"), Modality("identity")),
        rows=rows,
        seed=5,
    )


class Faults:
    """Counts the events of this process and dies at one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal = fatal
        self.events: list[str] = []

    def passing(self, event: str) -> bool:
        """Whether this event is the fatal one."""
        self.events.append(event)
        return len(self.events) - 1 == self.fatal

    def around(self, owner, name, event):
        """Die before or after a call."""
        original = getattr(owner, name)

        def watched(*arguments, **keywords):
            if self.passing(f"before {event}"):
                die()
            result = original(*arguments, **keywords)
            if self.passing(f"after {event}"):
                die()
            return result

        setattr(owner, name, watched)

    def install(self) -> None:
        self.around(os, "fsync", "sync")
        self.around(os, "link", "link")
        self.around(pathlib.Path, "replace", "rename")
        self.around(pathlib.Path, "unlink", "remove")
        self.around(shutil, "rmtree", "remove tree")
        self.around(pq.ParquetWriter, "write_table", "row group")
        original = pathlib.Path.open

        def opening(path, mode="r", *arguments, **keywords):
            stream = original(path, mode, *arguments, **keywords)
            return TornStream(stream, self, path.name) if set(mode) & set("wa") else stream

        pathlib.Path.open = opening


class TornStream:
    """A file whose fatal write stops half-way."""

    def __init__(self, stream, faults, name):
        self.stream, self.faults, self.name = stream, faults, name

    def write(self, content):
        kind = "manifest" if self.name.endswith("json.partial") else "file"
        if self.faults.passing(f"in write of {kind}"):
            self.stream.write(content[: len(content) // 2])
            self.stream.flush()
            die()
        return self.stream.write(content)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stream.close()

    def __getattr__(self, name):
        return getattr(self.stream, name)


class State:
    """What `PartialState` says to a process, without the meeting, which a fork cannot attend."""

    device = torch.device("cpu")
    split_between_processes = PartialState.split_between_processes

    def __init__(self, rank, processes):
        self.process_index, self.num_processes = rank, processes


def started(rank, processes, device=None):
    """In place of `launcher.start`."""
    return Processes(State(rank, processes))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def start(
    folder: Path, processes: int, rows: int, fatal: dict[int, int | None], report: Path | None = None, order=None
) -> list[int]:
    """Fork the processes of one run; `fatal` maps the watched ranks to the event at which each dies."""
    children = []
    for rank in range(processes):
        child = os.fork()
        if child:
            children.append(child)
            continue
        status = 1
        try:
            generation.start = functools.partial(started, rank, processes)
            faults = Faults(fatal.get(rank))
            if rank in fatal:
                faults.install()
            if order is not None:
                Processes.order = order
            generate(config(rows), folder, certify=False, figures=FIGURES in os.environ)
            if report is not None:
                os.write(os.open(f"{report}-{rank}", os.O_CREAT | os.O_WRONLY), json.dumps(faults.events).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return children


def finished(children: list[int]) -> list[int]:
    """Exit statuses; a killed process has the negative number of its signal."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def files_of(folder: Path) -> dict[str, str]:
    """Every file of a folder; Parquet by content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix == ".parquet"
        else ""
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def resumed(folder: Path, processes: int, rows: int, wanted: dict[str, str]) -> str:
    """Run again undisturbed; what is wrong with the result, or nothing."""
    statuses = finished(start(folder, processes, rows, {}))
    if any(statuses):
        return f"resuming ended with {statuses}"
    found = files_of(folder)
    return "" if found == wanted else f"differs: {sorted(set(found.items()) ^ set(wanted.items()))[:4]}"


def kill_at_points(place: Path, processes: int, every: int, offset: int) -> dict[str, object]:
    """Every `every`-th event of every process, from `offset` on."""
    reference, report = place / "reference", place / "events"
    statuses = finished(start(reference, processes, ROWS, dict.fromkeys(range(processes)), report))
    assert statuses == [0] * processes, statuses
    wanted = files_of(reference)
    events = [json.loads(Path(f"{report}-{rank}").read_text()) for rank in range(processes)]
    kinds: Counter[str] = Counter()
    killed, wrong = 0, []
    for rank, of_rank in enumerate(events):
        for fatal in range(offset, len(of_rank), every):
            folder = place / f"cut-{rank}-{fatal}"
            children = start(folder, processes, ROWS, {rank: fatal})
            if fatal % 2:  # as a launcher does: the others are stopped; otherwise they go on
                others = [child for child in children if child != children[rank]]
                (status,) = finished([children[rank]])
                for other in others:
                    os.kill(other, signal.SIGKILL)
                finished(others)
            else:
                statuses = finished(children)
                status = statuses[rank]
                if processes > 1 and rank and (statuses[0] != 0 or files_of(folder) != wanted):
                    wrong.append(f"process {rank} died at event {fatal} ({of_rank[fatal]}): {statuses} without a rerun")
            if status == -signal.SIGKILL:  # a process that shares the work may end before its event comes
                killed += 1
                kinds[of_rank[fatal]] += 1
            again = processes if fatal % 3 else 3 - processes
            if problem := resumed(folder, again, ROWS, wanted):
                wrong.append(f"process {rank}, event {fatal} ({of_rank[fatal]}): {problem}")
            shutil.rmtree(folder)
    return {"events": list(map(len, events)), "killed": killed, "kinds": dict(kinds), "wrong": wrong}


def kill_at_moments(place: Path, processes: int, count: int, seed: int) -> dict[str, object]:
    """Random moments between the first piece and the end, until `count` runs were killed."""
    rows, generator = 1500, random.Random(seed)
    reference = place / "reference"
    children = start(reference, processes, rows, {})
    first = _first_piece(reference)
    finished(children)
    span = time.monotonic() - first
    wanted = files_of(reference)
    killed, pieces, wrong = 0, [], []
    for number in range(5 * count):  # some runs end before their moment
        if killed == count:
            break
        folder = place / f"cut-{number}"
        children = start(folder, processes, rows, {})
        _first_piece(folder)
        time.sleep(generator.uniform(0, span))
        victims = children if number % 2 else children[number // 2 % processes :][:1]
        for child in victims:
            os.kill(child, signal.SIGKILL)
        if -signal.SIGKILL in finished(children):
            killed += 1
            pieces.append(len(list((folder / ".shards/small").glob("scratch/*/*.rows"))))
        if problem := resumed(folder, processes if number % 3 else 3 - processes, rows, wanted):
            wrong.append(f"moment {number}: {problem}")
        shutil.rmtree(folder)
    return {"span": round(span, 3), "killed": killed, "pieces": pieces, "wrong": wrong}


def _first_piece(folder: Path) -> float:
    """Wait for the first piece, or the end of the run."""
    while not (folder / "manifests").exists() and not any(folder.glob(".shards/small/scratch/*/*.rows")):
        time.sleep(0.0005)
    return time.monotonic()


def together(place: Path, count: int) -> dict[str, object]:
    """Two runs of one process each at the same time, the second a little later each time: both succeed."""
    reference = place / "reference"
    finished(start(reference, 1, ROWS, {}))
    wanted, wrong = files_of(reference), []
    for number in range(count):
        folder = place / f"both-{number}"
        children = start(folder, 1, ROWS, {})
        time.sleep(0.02 * number)
        statuses = finished(children + start(folder, 1, ROWS, {}))
        if any(statuses) or files_of(folder) != wanted:
            wrong.append(f"{number}: {statuses}, {sorted(set(files_of(folder).items()) ^ set(wanted.items()))[:4]}")
    return {"runs": count, "wrong": wrong}


def orders(place: Path, every: int) -> dict[str, object]:
    """Several orders of shards on one, two and three processes: the files, and which runs made others.

    With every = 4, three of the nine runs, in which every order and every number of processes occurs once.
    """
    chosen = {
        "as it is": None,
        "backwards": lambda self, items: (list(items)[::-1], []),
        "shuffled": lambda self, items: ([], random.Random(self.rank).sample(list(items), len(items))),
    }
    found, wrong = None, []
    for (name, order), processes in list(itertools.product(chosen.items(), (1, 2, 3)))[::every]:
        folder = place / f"{name} {processes}"
        statuses = finished(start(folder, processes, ROWS, {}, order=order))
        made_by = json.loads((folder / "manifests/small.json").read_text())["statements"]["world_size"]
        found = found or files_of(folder)
        if any(statuses) or files_of(folder) != found or made_by != processes:
            wrong.append(f"{name}, {processes} processes: {statuses}, world size {made_by}")
    return {"files": found, "wrong": wrong}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("how", nargs="+", choices=("points", "moments", "orders", "together"))
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--some", action="store_true", help="Three of the nine orders.")
    parser.add_argument("--pictures", action="store_true", help="Draw the card's figures too, in every run.")
    chosen = parser.parse_args()
    if chosen.pictures:
        os.environ[FIGURES] = "1"
    datasets.disable_progress_bars()
    parquet.ROW_GROUP_BYTES, shards.SMALLEST_BYTES = 8_000, 16_000  # so that a few rows are several files
    generation.start = functools.partial(started, 0, 1)
    with tempfile.TemporaryDirectory() as place:
        generate(config(1), Path(place) / "first")  # imports what the forks would import each time
    for how, processes in itertools.product(chosen.how, chosen.processes):
        if how in ("orders", "together") and processes != chosen.processes[0]:
            continue  # they have processes of their own
        with tempfile.TemporaryDirectory() as place:
            if how == "points":
                result = kill_at_points(Path(place), processes, chosen.every, chosen.offset)
            elif how == "moments":
                result = kill_at_moments(Path(place), processes, chosen.count, chosen.seed)
            elif how == "together":
                result = together(Path(place), chosen.count)
            else:
                result = orders(Path(place), 4 if chosen.some else 1)
        print(json.dumps({"how": how} | result), flush=True)


if __name__ == "__main__":
    main()
