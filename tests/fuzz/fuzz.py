# ruff: noqa: E501 – long lists of words
"""Wrong inputs by the thousand: every one is answered, quickly, in one line, and nothing is written for it.

    python -m tests.fuzz.fuzz                        # 4,500 inputs of all kinds
    python -m tests.fuzz.fuzz --count 50 --seed 7    # of each kind
    python -m tests.fuzz.fuzz --kind story --first 123 --count 1 --seed 7

Exit 0: nothing found. Otherwise every finding is printed with its kind, number and seed. An input is drawn from these
alone, and answered offline in a folder of its own, whatever was tried before it; only in `vanishing` does a clock have
a part, and in a record that names software a place may be another one where that has another name.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mmmi_hf import cli
from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.quantities import reported
from mmmi_hf.flow.bundled import BUNDLED
from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.loading import check_folder
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe
from mmmi_hf.flow.training.recipe import TrainingRecipe
from tests.fuzz.wounds import NAMES, NASTY, edited, flipped, forged, mutated, redigested, replaced

SECONDS = 20.0
"""Of the processor, and of the clock."""
BYTES = 2e9
VERIFY = ("verify", "--no-write", "--rows", "2", "--rows-float64", "0", "--replays", "0", "-q")
STORY = """\
name: mine
version: 1.2.3
description: a story
modalities: [{pipeline: identity}, {pipeline: asinh}]
causal_model: {story: common_cause, shape: [1, 4, 4], mi: 0.5}
rows: 40
seed: 3
standardize: whiten
store_latents: false
"""
EXPLICIT = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model:
  eta: [1.0, 0.5]
  weights: [[1.0, 0.2], [0.5, 1.0]]
  mixing: [[1.0, 0.0], [0.0, 1.0]]
  shape: [1, 4, 4]
  templates: [ones, {gaussian: {centre: [1, 1], width: 2}}]
rows: 12
"""
RECIPE = (
    "dataset: nowhere\nsteps: 5\nbatch_size: 2\nlearning_rate: 0.1\nattention: [false, true]\npatch_size: 2\nseed: 1\n"
)
CLASSIFIER = "widths: [4, 8, 8]\nepochs: 2\nlearning_rate: 0.1\nseed: 1\n"
DISTILLATION = (
    "teacher: nowhere\nnodes: [0, 2, 4]\ntrajectories: 8\nsteps: 5\nbatch_size: 2\nlearning_rate: 0.1\nseed: 1\n"
    "segment_weights: [1, 2]\n"
)
TARGETS = [
    {"classes": {"quantiles": 4, "flip": 0.1}},
    {"classes": {"edges": [-0.5, 0.0, 1.0]}},
    {"parity": {"causes": [0, 1], "flip": 0.05}},
    {"boolean": {"causes": [0, 1], "table": [0, 1, 1, 1]}},
    {"several": {"coefficients": [[1.0, 0.0], [0.5, 1.0]]}},
    {"function": {"name": "square"}},
]
_PLAIN = CausalModel([1.0, 0.5], [[1.0, 0.2], [0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0]], shape=(1, 2, 2))
WORDS = [
    "--out", "--rows", "--seed", "--format", "json", "--quantity", "I(x1;y)", "I(x9;y)", "I()", "unique(x1;y) without x2",
    "--pipeline", "identity", "--want", "I(x1;y)=1", "I(x1;y)=1e99", "--shape", "1,4,4", "0", "--modalities", "3",
    "--config", "--device", "cuda:9", "nonsense", "--story", "common_cause", "--solve-for", "beta", "--write", "--no-write",
    "--overwrite", "--no-certify", "--no-figures", "-q", "common-cause-1.0", "two-telescopes", "me/repo", "--version",
    "--help", "--", "-", "--within", "1,2", "--set", "alpha=1", "--dry-run", "--root",
]  # fmt: skip
COMMANDS = [
    "info",
    "list",
    "design",
    "figures",
    "verify",
    "publish",
    "generate",
    "generate-family",
    "evaluate-flow",
    "map-share",
    "train",
    "distill",
    "benchmark",
    "nope",
]


class TooSlowError(BaseException):
    """An input that took longer than it may."""


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def run(*arguments: str) -> tuple[int, str]:
    """A command's exit code and what it says to stderr."""
    said, shown = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(shown):
        try:
            cli.main(list(arguments))
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
    return code, said.getvalue()


def judged(*arguments: str, kept: bool = True) -> str | None:
    """What is wrong with how a command line is answered; None if nothing. Not `kept`: files may go meanwhile."""
    code, said = run(*arguments)
    lines = [line for line in said.splitlines() if not line.startswith("mmmi-hf: note:")]
    if "Traceback" in said or ("failed:" in said and (kept or "no such file or directory" not in said)):
        return f"exit {code}: {said.strip()[-400:]}"
    if code == 2 and len(lines) != 1:
        return f"exit 2 with {len(lines)} lines: {said[:400]!r}"
    if any(ord(letter) < 32 and letter != "\n" for letter in said):
        return f"control characters: {said[:200]!r}"
    return None if code in (0, 1, 2) else f"exit {code}: {said[-300:]}"


def refused(call: Callable[[], object], *, kept: bool = True) -> str | None:
    """What is wrong with how Python is answered; None if it is a ValueError of one line, or a result."""
    try:
        call()
    except ValueError as error:
        lines = len(str(error).splitlines())
        return (
            None
            if lines == 1 and len(str(error)) < 2000
            else f"{lines} lines, {len(str(error))} letters: {error!s:.300}"
        )
    except Exception as error:
        if isinstance(error, FileNotFoundError) and not kept:
            return None
        return f"{type(error).__name__}: {error!s:.300}"
    return None


def story(draw: random.Random, home: Path) -> str | None:
    text = draw.choice([STORY, EXPLICIT])
    if draw.random() < 0.4:  # with a target, which is of the causal model
        target = json.dumps(draw.choice(TARGETS))
        aim = text.replace("mi: 0.5", f"mi: 0.5, target: {target}").replace("  eta:", f"  target: {target}\n  eta:")
        text = aim if draw.random() < 0.5 else aim.replace(target, mutated(target, draw))
    path = written(
        home / draw.choice(["story.yaml", "sto ry.yaml"]), mutated(text, draw) if draw.random() < 0.8 else text
    )
    found = judged("info", str(path))
    if found is None and run("info", str(path))[0] == 2:
        found = judged("generate", str(path), "--out", str(home / "out"), "-q")
        found = found or ("something was written" if (home / "out").exists() else None)
    return found


def recipe(draw: random.Random, home: Path) -> str | None:
    kind, text = draw.choice([(TrainingRecipe, RECIPE), (DistillationRecipe, DISTILLATION)])
    path = written(home / "recipe.yaml", mutated(text, draw))
    return refused(lambda: kind.from_yaml(path))


def classifier(draw: random.Random, home: Path) -> str | None:
    path = written(home / "classifier.yaml", mutated(CLASSIFIER, draw))
    return refused(lambda: ClassifierSettings.from_yaml(path))


def model(draw: random.Random, home: Path) -> str | None:
    text = (_PLAIN if draw.random() < 0.5 else _PLAIN.with_target(draw.choice(TARGETS))).to_json()
    wound = mutated if draw.random() < 0.5 else edited

    def read() -> None:
        found = CausalModel.from_json(wound(text, draw))
        found.sample(2, seed=0)
        for quantity in list(reported(found))[:3]:
            quantity.of(found)

    return refused(read)


def pipeline(draw: random.Random, home: Path) -> str | None:
    source, folder = BUNDLED / "fashion-mnist", home / "pipeline"
    for path in source.rglob("*"):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json":
            shutil.copyfile(path, target)
        elif path.is_file():
            target.symlink_to(path)
    victim = draw.choice(sorted(folder.rglob("*.json")))
    if draw.random() < 0.2:
        replaced(victim, draw)
    else:
        written(victim, (mutated if draw.random() < 0.4 else edited)(victim.read_text(), draw))
    return refused(lambda: check_folder(folder))


def command(draw: random.Random, home: Path) -> str | None:
    story_file = str(written(home / "story.yaml", STORY))
    words = [*WORDS, *(word for word in NASTY if "\0" not in word), story_file, str(home / "out"), str(home)]
    chosen = [draw.choice(COMMANDS), *(draw.choice(words) for _ in range(draw.randint(0, 7)))]
    if chosen[0] not in ("info", "list", "verify", "publish", "benchmark", "nope"):  # what takes long if it is right
        chosen = [word for word in chosen if word not in ("common-cause-1.0", "two-telescopes", story_file)]
    return judged(*chosen)


def dataset(draw: random.Random, home: Path) -> str | None:
    folder = home / "data"
    shutil.copytree(_dataset(), folder)
    for _ in range(draw.randint(1, 2)):
        victim = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        if victim.suffix in (".json", ".md") and draw.random() < 0.6:
            wound = edited if victim.suffix == ".json" and draw.random() < 0.6 else mutated
            written(victim, wound(victim.read_text(errors="replace"), draw))
        elif draw.random() < 0.5:
            replaced(victim, draw)
        else:
            flipped(victim, draw)
    if draw.random() < 0.3:
        place = draw.choice(["", "manifests", "data", "data/mine", "ground_truth", "certificates", "figures"])
        (folder / place).mkdir(exist_ok=True)
        (folder / place / draw.choice([*NAMES, "x.parquet", "dataset_infos.json", ".huggingface.yaml"])).touch()
    if draw.random() < 0.3 and all(path.is_file() or path.is_dir() for path in folder.rglob("*")):  # no pipes
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            redigested(folder, "mine")
    return _looked_at(folder, home)


def forgery(draw: random.Random, home: Path) -> str | None:
    folder = home / "data"
    shutil.copytree(_dataset(), folder)
    what = forged(folder, "mine", draw)
    found = _looked_at(folder, home)
    if found is None and run(*VERIFY, str(folder))[0] != 1:
        found = "it passes"
    return None if found is None else f"{what}: {found}"


def vanishing(draw: random.Random, home: Path) -> str | None:
    """A folder that somebody removes, or a part of it, while it is read."""
    folder = home / "data"
    shutil.copytree(_dataset(), folder)
    victim = draw.choice([folder, *sorted(path for path in folder.rglob("*") if path.is_dir())])
    timer = threading.Timer(draw.uniform(0.0, 0.6), shutil.rmtree, (victim,), {"ignore_errors": True})
    timer.start()
    found = _looked_at(folder, home, kept=False)
    timer.join()
    return found


def _looked_at(folder: Path, home: Path, *, kept: bool = True) -> str | None:
    """What is wrong with how a folder is answered by everything that reads one."""
    from mmmi_hf import load

    before = sorted(folder.rglob("*"))
    found = judged(*VERIFY, str(folder), kept=kept)
    found = found or refused(lambda: load(folder, "mine", cache_dir=home / "cache", progress=False), kept=kept)
    found = found or judged("figures", str(folder), "--config", "other", "--out", str(home / "out"), "-q", kept=kept)
    return found or (None if not kept or sorted(folder.rglob("*")) == before else "the folder was written to")


_MADE: list[Path] = []


def _dataset() -> Path:
    if not _MADE:
        home = Path(tempfile.mkdtemp(prefix="fuzz-"))
        made = home / "made"
        path = written(home / "mine.yaml", STORY)
        code, said = run("generate", str(path), "--out", str(made), "--rows", "20", "--no-figures", "-q")
        assert code == 0, said
        _MADE.append(made)
    return _MADE[0]


KINDS = {
    each.__name__: each for each in (story, recipe, classifier, model, pipeline, command, dataset, forgery, vanishing)
}


def fuzz(kind: str, number: int, seed: int, seconds: float = SECONDS) -> str | None:
    """One input; what is wrong with how it is answered. `seconds` are of the clock."""
    import datasets  # noqa: F401 – once for all, and in their own time
    import diffusers  # noqa: F401

    if kind in ("dataset", "forgery", "vanishing"):
        _dataset()  # likewise
    home = Path(tempfile.mkdtemp(prefix="fuzz-"))
    before, most = _processor(), _memory()
    try:
        with _at_home(home), _alarm(seconds):
            found = KINDS[kind](random.Random(f"{seed}/{kind}/{number}"), home)
    except TooSlowError:
        return f"longer than {seconds:g} s"
    except Exception as error:
        return f"the answer to it broke: {type(error).__name__}: {error!s:.300}"
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if found is None and (spent := _processor() - before) > SECONDS:
        return f"{spent:.0f} s of the processor"
    return found or (f"{_memory() / 1e9:.1f} GB were used" if _memory() > max(BYTES, most) else None)


def _processor() -> float:
    """Seconds of this process and of those that it started."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _memory() -> int:
    """Bytes at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def _at_home(home: Path) -> Iterator[None]:
    """Within it, relative paths and `~` mean that folder."""
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(home)
    try:
        with contextlib.chdir(home):
            yield
    finally:
        os.environ.pop("HOME") if before is None else os.environ.update(HOME=before)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Within it, TooSlowError after so many seconds of the clock, also where what runs takes it for its own."""
    rang = False

    def late(*_: object) -> None:
        nonlocal rang
        rang = True
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if rang:
            raise TooSlowError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help="of the clock that an input may take (20); more on a machine that others use too. It may take 20 s of the "
        "processor in any case",
    )
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    found = []
    for kind in given.kind or KINDS:
        for number in range(given.first, given.first + given.count):
            if (wrong := fuzz(kind, number, given.seed, given.seconds)) is not None:
                found.append(wrong)
                print(json.dumps({"kind": kind, "number": number, "seed": given.seed, "wrong": wrong}), flush=True)
        print(f"{kind}: {given.count} inputs", file=sys.stderr, flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
