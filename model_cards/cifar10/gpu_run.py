#!/usr/bin/env python3
"""Everything of the second leg that needs a GPU, in one go of at most ten minutes; start it in the repository's root.

    python model_cards/cifar10/gpu_run.py --dataset data/cifar10 --out results
    python model_cards/cifar10/gpu_run.py --rehearse --out /tmp/rehearsal     # a few steps of each stage on a CPU

Stages, in this order: check, data, leg-2, student (off), judge, speed; --only makes some of them. Each has a budget; it
is left out when too little time remains, killed when its time is over, and an error in one does not stop the next.
Afterwards `--out` holds a few small files, each replaced as soon as there is news: log.txt, stages.json, speed-gpu.txt,
and what was made under runs/ as results.tar.00, .01, … Restore it by: cat results/results.tar.* | tar x

It needs the package's dependencies, `mmmi-hf` installed (or its metadata on the path), and CIFAR-10 (folder or Hub id).
CONTRIBUTING.md says what to do with the results.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

CARD = Path(__file__).resolve().parent
ROOT = CARD.parents[1]
FIRST, LEG, EVALUATION, STUDENT = (Path("runs", name) for name in ("cifar10-1", "cifar10", "evaluation", "student"))
"""Relative to the working directory, because the record of a training names what it went on from."""
KEPT = 15 * 2**20
"""Bytes of a part of the results."""
LEFT_OUT = ("checkpoint.*", "*.partial", "*.old", "samples-*")
"""Of files and folders: what a run needs to go on, what is being written, and the drawn samples, which are large."""
NEWS = 20.0
"""Seconds between two looks at a program."""
SHOWN = 80
"""Last lines of a program's output that are shown on the screen; all of them are in the folder."""
PACKAGES = ("accelerate", "datasets", "diffusers", "mmmi_hf.cli", "mmmi_hf.flow.training", "pyarrow", "torch")
CHECK = f"""
import importlib, sys
from importlib.metadata import version
wrong = []
for name in {PACKAGES!r}:
    try:
        importlib.import_module(name)
    except Exception as error:
        wrong.append(f"{{name}}: {{type(error).__name__}}: {{error}}")
try:
    print("mmmi-hf", version("mmmi-hf"))
    import torch
    print("torch", torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
except Exception as error:
    wrong.append(f"{{type(error).__name__}}: {{error}}")
sys.exit("\\n".join(wrong) or 0)
"""


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
    """The run so far: its folder, its clock, what became of its stages."""

    out: Path
    deadline: float
    until: float = 0.0
    stages: list[dict[str, object]] = field(default_factory=list)

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
        """What is under runs/ as parts of a tar file, and the states of the stages; each file takes its place whole."""
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w") as tar:
            for folder in (LEG, EVALUATION, STUDENT):
                for path in sorted(folder.rglob("*")):
                    if path.is_file() and not any(fnmatch(part, name) for part in path.parts for name in LEFT_OUT):
                        tar.add(path)
        content, count = whole.getvalue(), -(-len(whole.getvalue()) // KEPT)
        new = {f"results.tar.{i:02d}": content[i * KEPT : (i + 1) * KEPT] for i in range(count)}
        new["stages.json"] = (json.dumps(self.stages, indent=2) + "\n").encode()
        for name, part in new.items():
            partial = self.out / f"{name}.partial"
            partial.write_bytes(part)
            partial.replace(self.out / name)
        for path in self.out.glob("results.tar.*"):
            if path.name not in new:
                path.unlink()

    def program(self, arguments: Sequence[str], *, into: str | None = None, news: Path | None = None) -> None:
        """Run Python with arguments until the stage's time is over.

        Its output goes to the log, the standard output to the file `into` instead if that is given. Whenever `news`, a
        log of a training, has another last line it is shown; whenever a pipeline was stored, the results are kept.

        Raises:
            StageError: it failed or was killed.
        """
        shown = shlex.join(["python", *("…" if "\n" in argument else argument for argument in arguments)])
        self.say(f"$ {shown}")
        target = self.out / (into or "log.txt")
        begin = target.stat().st_size if target.exists() else 0
        path = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONUNBUFFERED": "1"}
        with (self.out / "log.txt").open("a") as log, target.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments], stdout=output, stderr=log, env=environment, start_new_session=True
            )
            last, stored = "", _changed(LEG)
            try:
                while True:
                    try:
                        process.wait(max(0.1, min(NEWS, self.until - time.monotonic())))
                        break
                    except subprocess.TimeoutExpired:
                        pass
                    if time.monotonic() >= self.until:
                        raise StageError(f"time is over: {shown}")
                    if news is not None and news.exists() and (line := _last(news)) != last:
                        print(last := line, flush=True)
                    if (changed := _changed(LEG)) != stored:
                        with contextlib.suppress(OSError):  # a file that was replaced meanwhile; the next look is soon
                            self.store()
                            stored = changed
            finally:
                _end(process)
                written = target.read_bytes()[begin:].decode(errors="replace").splitlines()
                print("\n".join(written[-SHOWN:]), flush=True)
        if process.returncode:
            raise StageError(f"exit {process.returncode}: {shown}; {_last(self.out / 'log.txt')}")

    def programs(self, all_arguments: Sequence[Sequence[str]], **options: str) -> None:
        """One after the other; an error in one does not stop the next, unless the time is over."""
        wrong = []
        for arguments in all_arguments:
            try:
                self.program(arguments, **options)  # type: ignore[arg-type]
            except StageError as error:
                wrong.append(str(error))
            if time.monotonic() >= self.until:
                break
        if wrong:
            raise StageError("; ".join(wrong))


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


def data(dataset: str, images: int) -> Callable[[Run], None]:
    """Count the images, and put the released weights and their record where the leg's recipe looks for them."""

    def work(run: Run) -> None:
        if not FIRST.exists():
            new = FIRST.with_name(FIRST.name + ".partial")
            shutil.copytree(ROOT / "mmmi_hf" / "flow" / "pretrained" / "cifar10", new / "pipeline", dirs_exist_ok=True)
            shutil.copy(CARD / "training.json", new)
            new.rename(FIRST)
        if not Path(dataset).is_dir():
            run.say(f"{dataset} is no folder: taken for a Hub id, images not counted")
            return
        from pyarrow import parquet

        rows = sum(parquet.read_metadata(file).num_rows for file in Path(dataset).rglob("train*.parquet"))
        if rows != images:
            raise StageError(f"{dataset} has {rows} training images, not {images}; a shard is missing")
        run.say(f"{rows} training images in {dataset}")

    return work


def stages_of(dataset: str, student: str | None, rehearsal: Path | None) -> list[Stage]:
    """The stages with their budgets on a GPU of the kind of an H100, where the leg takes 320 s (13,000 images/s)."""
    few = rehearsal is not None
    recipe = Path(os.path.relpath(rehearsal or CARD / "leg-2.yaml"))  # the evaluation states its commands
    train = ["-m", "mmmi_hf", "train", str(recipe), "--dataset", dataset, "--out", str(LEG), "--quiet"]
    precision, generation = (("-m", f"tests.performance.bench_{name}") for name in ("precision", "generation"))
    graphs, strict = "float32 in CUDA graphs", "strict float32"
    sizes = ["2"] if few else ["32", "128", "512", "2048"]
    story = "common-cause-1.0" if few else "common-cause-1.0-cifar10"
    speed = [
        [*generation, "--configuration", story, "--rows", str(rows), "--micro-batch", str(batch)]
        for batch, rows in (((16, 16),) if few else ((512, 4096), (32, 512)))
    ]
    speed.insert(1, [*precision, "--pipeline", "cifar10", "--images", *sizes, "--ways", strict, graphs])
    judge = ["-m", "mmmi_hf", "evaluate-flow", str(LEG / "pipeline"), "--dataset", dataset, "--out", str(EVALUATION)]
    judge += ["--samples-per-class", "2" if few else "1000", "--batch-size", "10" if few else "50", "--quiet"]
    judge += [f"--{part}-per-class=0" for part in ("round-trip", "certificate", "storage")]
    judge += ["--classifier", str(recipe.with_name("classifier.yaml"))]
    log = LEG / "log.jsonl"
    times = 5 if few else 1  # a rehearsal may be made on a busy machine
    return [
        Stage("check", times * 60, 0, lambda run: run.program(["-c", CHECK])),
        Stage("data", times * 60, 0, data(dataset, 64 if few else 50_000)),
        Stage("leg-2", times * 400, 120, lambda run: run.program(train + ["--cpu"] * few, news=log)),
        Stage(
            "student",
            200,
            120,
            student and (lambda run: run.program(shlex.split(student))),
            "there is no distiller yet; give what Python is to run by --student",
        ),
        Stage("judge", times * 160, 60, lambda run: run.program(judge)),
        Stage("speed", times * 180, 30, lambda run: run.programs(speed, into="speed-gpu.txt")),
    ]


def rehearsal_in(folder: Path) -> Path:
    """64 images of noise, the leg's recipe for four steps without compilation, a classifier's settings: the recipe."""
    import datasets
    import numpy as np
    import yaml
    from PIL import Image

    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 32, 32, 3), dtype=np.uint8)
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=[str(i) for i in range(10)])}
    columns = {"img": [Image.fromarray(image) for image in pixels], "label": [i % 10 for i in range(64)]}
    for split in ("train", "test"):
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        table.to_parquet(folder / "data" / f"{split}.parquet")
    recipe = yaml.safe_load((CARD / "leg-2.yaml").read_text())
    recipe |= {"steps": 4, "batch_size": 8, "warmup_steps": 1, "compile": False, "pipeline_every": 2}
    (folder / "classifier.yaml").write_text("widths: [8, 8, 16]\nepochs: 1\n")
    path = folder / "leg-2.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def main() -> int:
    """0 if no stage failed, 1 if one did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", default="data/cifar10", help="CIFAR-10: a folder with the Hub's schema, or a Hub id"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--minutes", type=float, default=9.4, help="of all stages together")
    parser.add_argument("--only", help="the stages to make, separated by commas; default: all")
    parser.add_argument("--student", help="arguments of Python that make the student in runs/student")
    parser.add_argument("--rehearse", action="store_true", help="a few steps of noise on a CPU, in OUT/work")
    chosen = parser.parse_args()
    out = chosen.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    dataset, rehearsal = chosen.dataset, None
    if chosen.rehearse:
        rehearsal = rehearsal_in(out / "work")
        dataset = "data"
        os.chdir(out / "work")
    if Path(dataset).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched, and no attempt is made
    stages = stages_of(dataset, chosen.student, rehearsal)
    if chosen.only:
        wanted = chosen.only.split(",")
        if unknown := set(wanted) - {stage.name for stage in stages}:
            parser.error(f"no stages {sorted(unknown)}; give some of {[stage.name for stage in stages]}")
        stages = [stage for stage in stages if stage.name in wanted]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the program in hand is ended, too
    run = Run(out, time.monotonic() + 60 * chosen.minutes)
    return 0 if run.make(stages) else 1


if __name__ == "__main__":
    sys.exit(main())
