"""Kills the launcher and the workers of an engine at random moments, runs again, and compares the result.

A program of its own, which imports everything once and forks for every run (see `faults.py`):

    python -m tests.dataset.generation.engine_faults folder --count 30
    python -m tests.dataset.generation.engine_faults s3 --count 30 --share 0.02
    python -m tests.dataset.generation.engine_faults folder --verify --count 30

It prints one JSON object, and how far it is on stderr. With `s3` the place is a server on the loopback interface, of
whose answers the given share is a 503, late, cut or lost; files go there in parts of some kilobytes. What is killed
is `generate_by_engine`, or with `--verify` `certify_by_engine` of a folder with some false rows, which must be counted
once each. Of a run whose rerun goes wrong it is kept what both said, what is there, the engine's logs and the server's
faults; where is printed.
"""

import argparse
import collections
import contextlib
import functools
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import datasets
import fsspec
import numpy as np

from mmmi_hf.dataset import assembly
from mmmi_hf.dataset.certificate import replays
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.engine import certify_by_engine, generate_by_engine
from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.generation import shards
from mmmi_hf.dataset.stores import addresses
from tests.dataset.certificate import forgeries
from tests.dataset.generation.faults import config, started
from tests.dataset.stores.loopback_s3 import UNHARMED, running
from tests.support import generate

ROWS, TASKS, WORKERS, PART_BYTES = 1500, 5, 2, 16_000
BY_ENGINE = {"tasks": TASKS, "workers": WORKERS, "executor_options": {"start_method": "fork"}, "progress": False}


class Generating:
    """Runs that generate into folders or addresses of their own below a place."""

    def __init__(self, place, rows):
        self.place, self.config = place, config(rows)
        with tempfile.TemporaryDirectory() as folder:
            generate(self.config, Path(folder) / "whole", certify=False)
            self.wanted = files_of(Path(folder) / "whole")

    def run(self, number):
        generate_by_engine(self.config, f"{self.place}/{number}", certify=False, figures=False, **BY_ENGINE)

    def has_begun(self, number):
        files, root = reached(f"{self.place}/{number}")
        return files.exists(f"{root}/.shards/small/plan.json") or files.exists(f"{root}/manifests/small.json")

    def found(self, number):
        return files_of(f"{self.place}/{number}")

    def logs(self, number, target):
        files, root = reached(f"{self.place}/{number}")
        if files.exists(f"{root}/.shards"):
            files.get(f"{root}/.shards/", f"{target}/", recursive=True)

    def clear(self, number):
        files, root = reached(f"{self.place}/{number}")
        with contextlib.suppress(FileNotFoundError):
            files.rm(root, recursive=True)


class Verifying:
    """Runs that verify all rows of one place, three of which are false, each with a cache of its own."""

    def __init__(self, place, here):
        def alter(columns):
            columns["x1"][[5, 777]] += np.float32(0.5)
            columns["x2"][1400] += np.float32(0.25)

        replays.AT_A_TIME = 2
        self.here = Path(here) / "verified"
        generate(config(ROWS), self.here / "whole", certify=False)
        forgeries.forge(self.here / "whole", self.here / "forged", "small", alter)
        self.place = f"{place}/forged"
        files, root = reached(self.place)
        files.put(f"{self.here}/forged/", f"{root}/", recursive=True)
        os.environ["XDG_CACHE_HOME"] = str(self.here / "cache")
        (found,) = certify(self.here / "forged", all_rows=True, write=False, progress=False).values()
        self.wanted = self.said(found)
        assert "2 of 1500 rows" in self.wanted["reasons"]

    @staticmethod
    def said(found):
        return {name: str(value) for name, value in found.to_dict().items() if name != "seconds"}

    def run(self, number):
        os.environ["XDG_CACHE_HOME"] = str(self.here / f"cache-{number}")
        (found,) = certify_by_engine(self.place, write=False, **BY_ENGINE).values()
        (self.here / f"{number}.json").write_text(json.dumps(self.said(found)))

    def has_begun(self, number):
        return (self.here / f"{number}.json").exists() or any((self.here / f"cache-{number}").glob("*/*/*/tasks-*"))

    def found(self, number):
        path = self.here / f"{number}.json"
        left = [str(each) for each in (self.here / f"cache-{number}").rglob("*.json")]
        return (json.loads(path.read_text()) if path.exists() else {}) | ({"left": left} if left else {})

    def logs(self, number, target):
        shutil.copytree(self.here / f"cache-{number}", target)

    def clear(self, number):
        (self.here / f"{number}.json").unlink(missing_ok=True)
        shutil.rmtree(self.here / f"cache-{number}")


class Kept:
    """What runs say, and all that there is to learn of those that go wrong.

    Attributes:
        folder: a new one; the harness leaves it where something went wrong.
        faults: where the server notes its own.
    """

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="engine-faults-"))
        self.faults = self.folder / "faults.log"

    def said(self, number, which):
        return self.folder / f"{number}-{which}.log"

    def drop(self, number):
        for path in self.folder.glob(f"{number}-*.log"):
            path.unlink()

    def keep(self, work, number, found, what="wrong"):
        target = self.folder / f"{number}-{what}"
        target.mkdir()
        for path in self.folder.glob(f"{number}-*.log"):
            path.replace(target / path.name)
        (target / "found.json").write_text(json.dumps({"found": found, "wanted": work.wanted}, indent=1))
        work.logs(number, target / "logs")

    def closed(self):
        """The folder, or None where there was nothing to keep; then it goes away."""
        if {path.name for path in self.folder.iterdir()} - {self.faults.name}:
            return str(self.folder)
        shutil.rmtree(self.folder)
        return None


def start(work, number, said):
    """Fork the launcher of a run, whose errors and log go to a file."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with said.open("w") as stream:
            os.dup2(stream.fileno(), 2)
        logging.basicConfig(format="%(asctime)s %(process)d %(name)s: %(message)s", level=logging.INFO, force=True)
        logging.getLogger("s3fs").setLevel(logging.DEBUG)
        work.run(number)
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


def clear(members, seconds=10):
    """End what is left of a run's processes, and wait until it is gone; how many there were."""

    def ours(pid):
        """The number may be that of somebody else by now."""
        try:
            status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            return status != "Z" and b"engine_faults" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    left = [pid for pid in members if ours(pid)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + seconds
    while any(map(ours, left)) and time.monotonic() < limit:
        time.sleep(0.01)
    return len(left)


def reached(place):
    """A file system that sees no faults, and the root of a place in it."""
    return fsspec.url_to_fs(str(place), **(UNHARMED if str(place).startswith("s3:") else {}))


def files_of(place):
    files, root = reached(place)
    return {
        name.removeprefix(root).lstrip("/"): hashlib.sha256(files.cat_file(name)).hexdigest()
        for name in files.find(root)
    }


def begun(work, number):
    """Wait until a run has something to do again."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit and not work.has_begun(number):
        time.sleep(0.2)


def kills(work, count, seed, kept):
    """`count` runs, of each of which something is killed at a random moment."""
    generator, wanted = random.Random(seed), work.wanted
    child = start(work, "reference", kept.said("reference", "first"))
    begun(work, "reference")
    begin = time.monotonic()
    status = ended(child)
    span = time.monotonic() - begin
    victims, wrong, alone = {"launcher": 0, "worker": 0, "all": 0, "nobody": 0}, [], 0

    def compare(number, victim, status):
        found = work.found(number)
        if status != 0 or found != wanted:
            differing = [name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)]
            wrong.append(f"{number}, {victim}: {status}, {sorted(differing)[:4]}")
            kept.keep(work, number, found)
        else:
            kept.drop(number)
        work.clear(number)

    compare("reference", "nobody", status)
    for number in range(count):
        victim = generator.choice(["launcher", "worker", "all"])
        child = start(work, number, kept.said(number, "first"))
        begun(work, number)
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
            clear(members)
            wrong.append(f"{number}: after the death of {victim} it did not end")
            kept.keep(work, number, work.found(number), "not-ended")
        if generator.random() < 0.5:
            clear(members)  # otherwise they end by themselves, while the next run begins
        again = start(work, number, kept.said(number, "again"))
        status = ended(again)
        if left := clear(members):
            wrong.append(f"{number}: after the death of {victim} there were {left} processes left")
        compare(number, victim, status)
        print(f"{number + 1} of {count}: {victims}, wrong: {wrong}", file=sys.stderr, flush=True)
    return {"span": round(span, 2), "victims": victims, "completed without a rerun": alone, "wrong": wrong}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("where", choices=("folder", "s3"))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0)
    parser.add_argument("--verify", action="store_true")
    chosen = parser.parse_args()
    datasets.disable_progress_bars()
    if not chosen.verify:  # a few rows are several files, each of which is several requests
        few = 16_000 if chosen.where == "folder" else 150_000
        parquet.ROW_GROUP_BYTES, shards.SMALLEST_BYTES = 8_000, few
    assembly.start = functools.partial(started, 0, 1)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        generate(config(1), Path(folder) / "first")  # imports what the forks would import each time
        kept, place, seen = Kept(), folder, {}
        if chosen.where == "s3":
            place = stack.enter_context(running(chosen.share, seed=chosen.seed, noted=kept.faults))
            addresses._PUT_OPTIONS["s3"]["chunksize"] = PART_BYTES
        rows = ROWS if chosen.where == "folder" else ROWS // 2
        work = Verifying(place, folder) if chosen.verify else Generating(place, rows)
        what = {"what": type(work).__name__, "where": chosen.where, "share": chosen.share, "seed": chosen.seed}
        found = kills(work, chosen.count, chosen.seed, kept)
        if chosen.where == "s3":
            faults = kept.faults.read_text().splitlines() if kept.faults.exists() else []
            uploads = reached(place)[0].list_multipart_uploads(place.removeprefix("s3://"))
            seen = {
                "faults": collections.Counter(line.split()[1] for line in faults),
                "half-made uploads": len(uploads),
            }
        print(json.dumps(what | found | seen | {"kept": kept.closed()}))


if __name__ == "__main__":
    main()
