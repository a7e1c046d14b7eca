"""Kills the launcher and the workers of `generate_by_engine` at random moments, runs again, and compares the result.

A program of its own, which imports everything once and forks for every run (see `faults.py`):

    python -m tests.dataset.generation.engine_faults folder --count 30
    python -m tests.dataset.generation.engine_faults s3 --count 30 --share 0.02

It prints one JSON object. With `s3` the place is a server on the loopback interface, of whose answers the given share
is a 503, late, cut or lost.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import signal
import tempfile
import time
import traceback
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import datasets
import fsspec

from mmmi_hf.dataset import assembly
from mmmi_hf.dataset.engine import generate_by_engine
from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.generation import shards
from tests.dataset.generation.faults import config, started
from tests.dataset.stores.loopback_s3 import running
from tests.support import generate

ROWS, TASKS, WORKERS = 1500, 5, 2


def start(out):
    """Fork the launcher of a run."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        generate_by_engine(
            config(ROWS),
            out,
            tasks=TASKS,
            workers=WORKERS,
            executor_options={"start_method": "fork"},
            certify=False,
            figures=False,
            progress=False,
        )
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def group(leader):
    """The processes of a run that are there: the launcher and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(path.parent.name)] = int(fields[1])
    found = {leader} & parents.keys()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def ended(leader, seconds=300):
    """The exit status of a launcher, negative for a signal; None if it did not end in time, and was ended."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        pid, status = os.waitpid(leader, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    clear(group(leader))
    os.waitpid(leader, 0)
    return None


def clear(members):
    """End what is left of a run's processes."""
    for pid in members:
        with contextlib.suppress(OSError):  # the number may be that of somebody else by now
            if b"engine_faults" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def files_of(place):
    files, root = fsspec.url_to_fs(str(place))
    files.invalidate_cache()
    return {
        name.removeprefix(root).lstrip("/"): hashlib.sha256(files.cat_file(name)).hexdigest()
        for name in files.find(root)
    }


def begun(out):
    """Wait until a run has entered its plan."""
    files, root = fsspec.url_to_fs(str(out))
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        files.invalidate_cache()
        if files.exists(f"{root}/.shards/small/plan.json") or files.exists(f"{root}/manifests/small.json"):
            return
        time.sleep(0.1)


def kills(place, count, seed):
    """`count` runs, of each of which something is killed at a random moment."""
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        generate(config(ROWS), Path(folder) / "whole", certify=False)
        wanted = files_of(Path(folder) / "whole")
    child = start(f"{place}/reference")
    begun(f"{place}/reference")
    begin = time.monotonic()
    status = ended(child)
    span = time.monotonic() - begin
    assert (status, files_of(f"{place}/reference")) == (0, wanted), status
    victims, wrong, alone = {"launcher": 0, "worker": 0, "all": 0, "nobody": 0}, [], 0
    for number in range(count):
        out, victim = f"{place}/{number}", generator.choice(["launcher", "worker", "all"])
        child = start(out)
        begun(out)
        time.sleep(generator.uniform(0, span))
        members = [pid for pid in group(child) if pid != child]
        chosen = {"launcher": [child], "worker": members and [generator.choice(members)], "all": [*members, child]}
        killed = 0
        for pid in chosen[victim]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        victims[victim if killed else "nobody"] += 1
        status = ended(child)
        if status == 0:
            alone += 1
        elif status is None:
            wrong.append(f"{number}: after the death of {victim} it did not end")
        if generator.random() < 0.5:
            clear(members)  # otherwise workers without a launcher go on beside the next run
        again = start(out)
        status = ended(again)
        clear(members)
        found = files_of(out)
        if status != 0 or found != wanted:
            wrong.append(f"{number}, {victim}: {status}, {sorted(set(found.items()) ^ set(wanted.items()))[:4]}")
        with contextlib.suppress(FileNotFoundError):
            files, root = fsspec.url_to_fs(out)
            files.rm(root, recursive=True)
    return {"span": round(span, 2), "victims": victims, "completed without a rerun": alone, "wrong": wrong}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("where", choices=("folder", "s3"))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0)
    chosen = parser.parse_args()
    datasets.disable_progress_bars()
    few = 16_000 if chosen.where == "folder" else 150_000  # each file is several requests
    parquet.ROW_GROUP_BYTES, shards.SMALLEST_BYTES = 8_000, few  # so that a few rows are several files
    assembly.start = functools.partial(started, 0, 1)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        generate(config(1), Path(folder) / "first")  # imports what the forks would import each time
        place = folder if chosen.where == "folder" else stack.enter_context(running(chosen.share, seed=chosen.seed))
        print(json.dumps({"where": chosen.where, "share": chosen.share} | kills(place, chosen.count, chosen.seed)))


if __name__ == "__main__":
    main()
