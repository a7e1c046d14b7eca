#!/usr/bin/env python3
"""Everything of CIFAR-10 that needs a GPU, in one go of about ten minutes; start it in the repository's root.

    python model_cards/cifar10/gpu_run.py --dataset data/cifar10 --out results
    python model_cards/cifar10/gpu_run.py --rehearse --out /tmp/rehearsal     # a few steps of each stage on a CPU

Stages, in this order; --only makes some of them:
    check      what is installed
    data       counts the images, puts the released weights where recipes look for them
    warm-up    compiles the networks and measures how many images a second a training sees; nothing of it is kept
    teachers   at the same time: leg 2 of the pipeline; a guide, smaller and trained for less long; the classifier, by
               which the guidance is then chosen
    student    trajectories of the guided teacher, and six steps that make them
    speed      of the student, and of `generate` with it
Each has a budget; it is left out when too little time remains, killed when its time is over, and an error in one does
not stop the next. Numbers of steps follow from the measured speed and the time that is left; recipes as they were made
are in runs/. Afterwards `--out` holds log.txt, stages.json, speed-gpu.txt, what the programs said, and what was made
under runs/ as NAME.tar.00, .01, …, each replaced as soon as there is news. Restore it by: cat NAME.tar.* | tar x

It needs the package's dependencies, `mmmi-hf` installed (or its metadata on the path), and CIFAR-10 (folder or Hub id).
Packages that were only put on PYTHONPATH must lie in a folder `site-packages`: `datasets` takes hashes by dill, which
pickles modules from elsewhere by value, and fails at pyarrow's.
CONTRIBUTING.md says what to do with the results.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stages import ROOT, Run, Stage, StageError

CARD = Path(__file__).resolve().parent
RUNS = Path("runs")
FIRST, LEG, GUIDE, EVALUATION, STUDENT, WARM = (
    RUNS / name for name in ("cifar10-1", "cifar10", "cifar10-guide", "evaluation", "student", "warm-up")
)
"""Relative to the working directory, because the record of a training names what it went on from."""
TRAJECTORIES, DISTILLATION, ENDED = RUNS / "trajectories", RUNS / "distillation.yaml", RUNS / "leg-2.ended"
SPEED = "speed-gpu.txt"
PACKAGES = (
    "accelerate",
    "datasets",
    "diffusers",
    "mmmi_hf.cli",
    "mmmi_hf.dataset.generation.worker",
    "mmmi_hf.flow.evaluation.evaluate",
    "mmmi_hf.flow.training.distillation",
    "pyarrow",
    "torch",
)
LEG_SECONDS, OTHERS = 215.0, 65.0
"""Of a GPU: for leg 2, and about what guide and classifier take of it at the same time."""
SPEED_SECONDS, START_SECONDS = 85.0, 55.0
"""Kept free for the stage "speed", and what a distillation takes for its start and its end."""
LEAST = 90.0
"""Seconds without which no student is begun."""
PENALTY_COST = 1.6
"""A step of the student's training in those of leg 2: the penalty's share is reckoned, not measured yet."""
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
    from datasets import Dataset
    Dataset.from_dict({{"label": [0]}})  # hashed by dill, see above
    print("mmmi-hf", version("mmmi-hf"))
    import torch
    print("torch", torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
except Exception as error:
    wrong.append(f"{{type(error).__name__}}: {{error}}")
sys.exit("\\n".join(wrong) or 0)
"""


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


@dataclass
class Plan:
    """What is trained, and where recipes and images are.

    Attributes:
        dataset: a folder or a Hub id.
        recipes: the folder of leg-2.yaml, guide.yaml, student.yaml and classifier.yaml.
        few: a rehearsal: numbers of steps are those of the recipes, on a CPU.
        speed: images/s in leg 2, as the warm-up finds; the default is what an H100 does without compiling.
        compiled: whether the warm-up could.
    """

    dataset: str
    recipes: Path
    few: bool
    speed: float = 8000.0
    compiled: bool = True

    def training(self, name: str, folder: Path, *options: str, **changes: object) -> tuple[list[str], Path]:
        """What Python is told to train by a recipe with changes, stored as FOLDER.yaml; and its log."""
        if not self.compiled:
            changes["compile"] = False
        path = _changed_recipe(self.recipes / f"{name}.yaml", folder, changes)
        command = ["-m", "mmmi_hf", "train", str(path), "--out", str(folder), "--quiet", *options]
        return [*command, *(["--cpu"] if self.few else [])], folder / "log.jsonl"

    def warm_up(self, run: Run) -> None:
        """Both networks on noise for some steps: what is compiled then is found again."""
        noise = WARM / "noise"
        _noise(noise, 64 if self.few else 2048)
        counts = {} if self.few else {"warmup_steps": 10, "initial_pipeline": None, "pipeline_every": 0}
        works = []
        for name, folder, steps in (("leg-2", WARM / "leg-2", 250), ("guide", WARM / "guide", 30)):
            changes = counts | ({"initial_pipeline": None} if self.few else {"steps": steps})
            arguments, _ = self.training(name, folder, "--dataset", str(noise), **changes)
            works.append(partial(run.program, arguments, into=f"warm-up-{name}.txt"))
        run.together(works)

    def look_back(self, run: Run) -> None:
        """What the warm-up found, also if another call made it."""
        if self.few:
            return
        try:
            self.speed = images_per_second(WARM / "leg-2")
        except (OSError, ValueError):
            self.compiled = False
        run.say(f"{self.speed:,.0f} images/s in leg 2, {'' if self.compiled else 'not '}compiled")

    def teachers(self, run: Run) -> None:
        """Leg 2, the guide, and the classifier that chooses the guidance once both are there."""
        changes: dict[str, object] = {}
        self.look_back(run)
        if not self.few:
            batch = _yaml(self.recipes / "leg-2.yaml")["batch_size"]
            steps = int(self.speed * LEG_SECONDS / batch)
            changes = {"steps": steps, "pipeline_every": steps // 3}
        given = ("--dataset", self.dataset)
        (leg, leg_log), (guide, guide_log) = (
            self.training("leg-2", LEG, *given, **changes),
            self.training("guide", GUIDE, *given),
        )
        drawn_up = _changed_recipe(
            self.recipes / "student.yaml", RUNS / "drawn-up", {} if self.compiled else {"compile": False}
        )
        choose = [
            str(CARD / "guidance.py"),
            "--dataset",
            self.dataset,
            "--classifier",
            str(self.recipes / "classifier.yaml"),
        ]
        choose += [
            "--cache",
            str(EVALUATION),
            "--recipe",
            str(drawn_up),
            "--out",
            str(DISTILLATION),
        ]
        choose += ["--guide", str(GUIDE), "--teacher", str(LEG), "--wait-for", str(ENDED)]
        if (WARM / "guide" / "training.json").exists() and (WARM / "leg-2" / "training.json").exists():
            choose += ["--compile-with", str(WARM / "leg-2"), str(WARM / "guide")]
        choose += ["--samples", "20", "--batch-size", "10", "--cpu"] if self.few else []

        ENDED.unlink(missing_ok=True)  # of an earlier call

        def leg_2() -> None:
            try:
                run.program(leg, into="leg-2.txt", news=leg_log, seconds=LEG_SECONDS + OTHERS + 2 * START_SECONDS)
            finally:
                ENDED.touch()

        run.together(
            [
                leg_2,
                partial(run.program, guide, into="guide.txt", news=guide_log),
                partial(run.program, choose, into="guidance.txt"),
            ]
        )

    def student(self, run: Run) -> None:
        """Trajectories of the guided teacher, and as many steps as time allows; without the penalty if it fails."""
        try:
            self._student(run)
        except StageError as error:
            left = run.until - time.monotonic()
            if (STUDENT / "pipeline").exists() or left < LEAST or not _yaml(DISTILLATION).get("penalty"):
                raise
            run.say(f"again without the penalty: {error}")
            self._student(run, penalty=0.0)

    def _student(self, run: Run, **changes: object) -> None:
        if not self.few:
            recipe, table = _yaml(DISTILLATION) | changes, json.loads((EVALUATION / "guidance.json").read_text())
            made = any(TRAJECTORIES.glob("trajectories-*.safetensors"))  # by the try before
            journeys = 0.0 if made else recipe["trajectories"] * table["seconds_per_journey"]
            seconds = run.deadline - time.monotonic() - SPEED_SECONDS - START_SECONDS - journeys
            cost = PENALTY_COST if recipe.get("penalty") else 1.0
            self.look_back(run)
            changes |= {
                "compile": self.compiled,
                "steps": int(images_per_second(LEG) * max(seconds, 20) / recipe["batch_size"] / cost),
            }
        if not (STUDENT / "pipeline").exists():  # begun before, with another number of steps
            shutil.rmtree(STUDENT, ignore_errors=True)
        path = _changed_recipe(DISTILLATION, STUDENT, changes)
        arguments = ["-m", "mmmi_hf", "distill", str(path), "--out", str(STUDENT), "--trajectories", str(TRAJECTORIES)]
        arguments += ["--quiet", *(["--cpu"] if self.few else [])]
        run.program(arguments, into="student.txt", news=STUDENT / "log.jsonl")

    def measure(self, run: Run) -> None:
        """The student alone in several ways, and in `generate`, by one process and by two."""
        precision, generation = (["-m", f"tests.performance.bench_{name}"] for name in ("precision", "generation"))
        student = ["--pipeline", str(STUDENT / "pipeline")]
        story = "common-cause-1.0" if self.few else "common-cause-1.0-cifar10"
        sizes = ["2"] if self.few else ["64", "512"]
        ways = ["--ways", "strict float32", "float32 in CUDA graphs"]
        rows = ["--rows", "16", "--micro-batch", "16"] if self.few else ["--rows", "4096", "--micro-batch", "512"]
        run.programs(
            [
                [*generation, "--configuration", story, *([] if self.few else student), *rows],
                [*precision, *student, "--images", *sizes, *ways],
            ],
            into=SPEED,
        )


def images_per_second(folder: Path) -> float:
    """Of a training's last logged steps, by its log."""
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    if len(log) < 2:
        raise ValueError(f"{folder} logged fewer than two steps")
    first, last = log[-min(5, len(log))], log[-1]
    batch: int = json.loads((folder / "recipe.json").read_text())["batch_size"]
    return batch * float(last["step"] - first["step"]) / float(last["seconds"] - first["seconds"])


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    recipe: dict[str, Any] = yaml.safe_load(path.read_text())
    return recipe


def _changed_recipe(path: Path, folder: Path, changes: dict[str, object]) -> Path:
    """A recipe with changes, in a file beside a run's folder."""
    import yaml

    new = folder.with_name(f"{folder.name}.yaml")
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text(yaml.safe_dump(_yaml(path) | changes, sort_keys=False))
    return new


def stages_of(plan: Plan) -> list[Stage]:
    """The stages with their budgets on a GPU of the kind of an H100 (13,000 to 17,000 images/s in leg 2)."""
    times = 5 if plan.few else 1  # a rehearsal may be made on a busy machine
    return [
        Stage("check", times * 60, 0, lambda run: run.program(["-c", CHECK])),
        Stage("data", times * 60, 0, data(plan.dataset, 64 if plan.few else 50_000)),
        Stage("warm-up", times * 150, 60, plan.warm_up),
        Stage("teachers", times * 420, 150, plan.teachers),
        Stage("student", times * 400, LEAST, plan.student),
        Stage("speed", times * 180, 30, plan.measure),
    ]


def _noise(folder: Path, images: int) -> None:
    """Images of noise with CIFAR-10's columns."""
    import datasets
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (images, 32, 32, 3), dtype=np.uint8)
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=[str(i) for i in range(10)])}
    columns = {"img": [Image.fromarray(image) for image in pixels], "label": [i % 10 for i in range(images)]}
    for split in ("train", "test"):
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        table.to_parquet(folder / "data" / f"{split}.parquet")


def rehearsal_in(folder: Path) -> Plan:
    """64 images of noise and recipes for four steps, uncompiled, in a folder that becomes the working one."""
    import yaml

    _noise(folder / "images", 64)
    few = {"steps": 4, "batch_size": 8, "warmup_steps": 1, "compile": False, "pipeline_every": 2}
    changes: dict[str, dict[str, object]] = {"leg-2": few, "guide": few, "student": few | {"trajectories": 16}}
    (folder / "recipes").mkdir()
    for name, changed in changes.items():
        (folder / "recipes" / f"{name}.yaml").write_text(yaml.safe_dump(_yaml(CARD / f"{name}.yaml") | changed))
    (folder / "recipes" / "classifier.yaml").write_text("widths: [8, 8, 16]\nepochs: 1\n")
    os.chdir(folder)
    return Plan("images", Path("recipes"), few=True)


def main() -> int:
    """0 if no stage failed, 1 if one did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", default="data/cifar10", help="CIFAR-10: a folder with the Hub's schema, or a Hub id"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--minutes", type=float, default=10.5, help="of all stages together")
    parser.add_argument("--only", help="the stages to make, separated by commas; default: all")
    parser.add_argument("--rehearse", action="store_true", help="a few steps of noise on a CPU, in OUT/work")
    chosen = parser.parse_args()
    out = chosen.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    plan = rehearsal_in(out / "work") if chosen.rehearse else Plan(chosen.dataset, CARD, few=False)
    if Path(plan.dataset).is_dir():
        os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched, and no attempt is made
    stages = stages_of(plan)
    if chosen.only:
        wanted = chosen.only.split(",")
        if unknown := set(wanted) - {stage.name for stage in stages}:
            parser.error(f"no stages {sorted(unknown)}; give some of {[stage.name for stage in stages]}")
        stages = [stage for stage in stages if stage.name in wanted]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the program in hand is ended, too
    run = Run(out, time.monotonic() + 60 * chosen.minutes, (LEG, GUIDE, EVALUATION, STUDENT))
    return 0 if run.make(stages) else 1


if __name__ == "__main__":
    sys.exit(main())
