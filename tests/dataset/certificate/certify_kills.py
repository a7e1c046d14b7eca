"""Kills `certify`, and the end of `generate`, at every write and rename, and looks at what lies there then.

    python -m tests.dataset.certificate.certify_kills --every 1

It prints one JSON object per way of certifying. After each kill the folder must be valid for `certify` as it stands: a
certificate is not there or binds the manifest, and the ground truth says no more than the certificate. The same call
again must leave the same files as one that was not disturbed.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import datasets

from mmmi_hf.dataset import assembly
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.certificate_record import binding_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder
from tests.dataset.generation.faults import Faults, config, finished, started
from tests.support import generate

ROWS = 120
LAST = 60
"""Events of a call: more than there are from its manifest on."""
Work = Callable[[Path], object]
QUICK = {"rows": 64, "rows_float64": 4, "progress": False}
WAYS: dict[str, tuple[Work | None, Work]] = {
    "generate": (None, lambda folder: generate(config(ROWS), folder)),
    "first certificate": (
        lambda folder: generate(config(ROWS), folder, certify=False),
        lambda folder: certify(folder, **QUICK),
    ),
    "another certificate": (
        lambda folder: (generate(config(ROWS), folder, certify=False), certify(folder, **QUICK)),
        lambda folder: certify(folder, **QUICK | {"rows": 80}, write=True),
    ),
}
"""What lies there before, and the call that is killed."""


def run(work: Work, folder: Path, fatal: int | None = None, report: Path | None = None) -> int:
    """The exit status of a process that does it, watched if it is to die or to report."""
    child = os.fork()
    if child:
        return finished([child])[0]
    status = 1
    try:
        faults = Faults(fatal)
        if fatal is not None or report is not None:
            faults.install()
        work(folder)
        if report is not None:
            os.write(os.open(report, os.O_CREAT | os.O_WRONLY), json.dumps(faults.events).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder, by content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def standing(folder: Path) -> None:
    """Refuse a folder that is there and not whole."""
    if not (folder / "manifests/small.json").exists():
        return  # nothing claims anything yet
    place = DatasetFolder(folder, reading=True)
    if place.certificate_path("small").exists():
        binding_certificate(place, "small")
    if not place.ground_truth("small").exists() or not place.card.exists():
        return  # `generate` writes these last
    (result,) = certify(folder, **QUICK, write=False).values()
    assert result.valid, result.reasons


def killed(place: Path, before: Work | None, work: Work, every: int, offset: int) -> dict[str, object]:
    """Kill the call at every `every`-th of its last events; what `generate` does before is killed elsewhere."""
    first, report = place / "first", place / "events"
    if before is not None:
        assert run(before, first) == 0
    reference = place / "reference"
    if first.exists():
        shutil.copytree(first, reference)
    assert run(work, reference, report=report) == 0
    assert (reference / "certificates/small.json").exists()
    wanted, events = contents(reference), json.loads(report.read_text())
    deaths, kinds, wrong = 0, Counter(), []
    for fatal in range(max(0, len(events) - LAST) + offset, len(events), every):
        folder = place / f"cut-{fatal}"
        if first.exists():
            shutil.copytree(first, folder)
        deaths += run(work, folder, fatal) == -signal.SIGKILL
        kinds[events[fatal]] += 1
        if run(standing, folder):
            wrong.append(f"event {fatal} ({events[fatal]}): what lies there is not whole")
        if run(work, folder) or (found := contents(folder)) != wanted:
            differing = sorted(set(found.items()) ^ set(wanted.items()))[:4]
            wrong.append(f"event {fatal} ({events[fatal]}): again gives another folder, {differing}")
        shutil.rmtree(folder)
    return {"events": len(events), "killed": deaths, "kinds": dict(kinds), "wrong": wrong}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    chosen = parser.parse_args()
    datasets.disable_progress_bars()
    assembly.start = functools.partial(started, 0, 1)
    with tempfile.TemporaryDirectory() as place:
        generate(config(1), Path(place) / "first")  # imports what the forks would import each time
    for name, (before, work) in WAYS.items():
        with tempfile.TemporaryDirectory() as place:
            found = killed(Path(place), before, work, chosen.every, chosen.offset)
            print(json.dumps({"way": name, **found}), flush=True)


if __name__ == "__main__":
    main()
