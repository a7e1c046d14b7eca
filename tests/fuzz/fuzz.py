# ruff: noqa: E501, RUF005 – long lists of words
"""Wrong inputs by the thousand: every one is answered, quickly, in one line, and nothing is written for it.

    python -m tests.fuzz.fuzz                        # 4,200 inputs of all kinds
    python -m tests.fuzz.fuzz --count 50 --seed 7    # of each kind

Exit 0: nothing found. Otherwise every finding is printed with its kind and number, which repeat it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mmmi_hf import cli
from mmmi_hf.causal import CausalModel
from mmmi_hf.flow.bundled import BUNDLED
from mmmi_hf.flow.description import describe
from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.training.recipe import TrainingRecipe

SECONDS = 20
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
MODEL = CausalModel([1.0], [[1.0], [0.5]], [[1.0, 0.0], [0.0, 1.0]], shape=(1, 2, 2)).to_json()
NASTY = [
    "~",
    "null",
    "true",
    "''",
    '"1"',
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    ".nan",
    ".inf",
    "-.inf",
    "-1",
    "0",
    "1e308",
    "1e-320",
    "10000000000000000000000000",
    "1_0",
    "0x1f",
    "0o7",
    "!!bool",
    "!!int",
    "!!python/object:os.system",
    "*a",
    "&a",
    "-",
    ":",
    "?",
    "|",
    ">",
    "../../etc/passwd",
    "/dev/zero",
    "hf://x/y",
    "~/x",
    "$HOME",
    "x9",
    "1,2",
    "[1,2]",
    "2026-01-01",
] + ["\x1b[2J", "\u202e", "١٢٣", "9" * 4000, "[" * 300, "\\ud800", "a" * 300, "\n", "  ", "\t", "I(x99999;y)", "é"]
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
    "evaluate-flow",
    "train",
    "benchmark",
    "nope",
]


class TooSlowError(BaseException):
    """An input that took longer than it may."""


def mutated(text: str, draw: random.Random) -> str:
    """A text with a few wounds."""
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randrange(len(text) + 1) for _ in range(2))
        kind = draw.randrange(5)
        if kind == 0:
            text = text[:at] + text[min(to, at + 12) :]
        elif kind == 1:
            text = text[:at] + draw.choice(NASTY) + text[at:]
        elif kind == 2:
            words = text.split(" ")
            words[draw.randrange(len(words))] = draw.choice(NASTY)
            text = " ".join(words)
        elif kind == 3:
            lines = text.splitlines() or [""]
            lines.insert(draw.randrange(len(lines) + 1), draw.choice(lines))
            text = "\n".join(lines)
        else:
            numbers = [i for i, letter in enumerate(text) if letter.isdigit()]
            if numbers:
                i = draw.choice(numbers)
                text = text[:i] + draw.choice(NASTY) + text[i + 1 :]
    return text


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


def judged(*arguments: str) -> str | None:
    """What is wrong with how a command line is answered; None if nothing."""
    code, said = run(*arguments)
    lines = [line for line in said.splitlines() if not line.startswith("mmmi-hf: note:")]
    if "failed:" in said or "Traceback" in said:
        return f"exit {code}: {said.strip()[-400:]}"
    if code == 2 and len(lines) != 1:
        return f"exit 2 with {len(lines)} lines: {said[:400]!r}"
    if any(ord(letter) < 32 and letter != "\n" for letter in said):
        return f"control characters: {said[:200]!r}"
    return None if code in (0, 1, 2) else f"exit {code}: {said[-300:]}"


def refused(call: Callable[[], object]) -> str | None:
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
        return f"{type(error).__name__}: {error!s:.300}"
    return None


def story(draw: random.Random, home: Path) -> str | None:
    path = written(home / draw.choice(["story.yaml", "sto ry.yaml"]), mutated(draw.choice([STORY, EXPLICIT]), draw))
    found = judged("info", str(path))
    if found is None and run("info", str(path))[0] == 2:
        found = judged("generate", str(path), "--out", str(home / "out"), "-q")
        found = found or ("something was written" if (home / "out").exists() else None)
    return found


def recipe(draw: random.Random, home: Path) -> str | None:
    path = written(home / "recipe.yaml", mutated(RECIPE, draw))
    return refused(lambda: TrainingRecipe.from_yaml(path))


def classifier(draw: random.Random, home: Path) -> str | None:
    path = written(home / "classifier.yaml", mutated(CLASSIFIER, draw))
    return refused(lambda: ClassifierSettings.from_yaml(path))


def model(draw: random.Random, home: Path) -> str | None:
    return refused(lambda: CausalModel.from_json(mutated(MODEL, draw)))


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
        written(victim, mutated(victim.read_text(), draw))
    return refused(lambda: describe(folder))


def command(draw: random.Random, home: Path) -> str | None:
    story_file = str(written(home / "story.yaml", STORY))
    words = [*WORDS, *(word for word in NASTY if "\0" not in word), story_file, str(home / "out"), str(home)]
    chosen = [draw.choice(COMMANDS), *(draw.choice(words) for _ in range(draw.randint(0, 7)))]
    if chosen[0] in ("train", "evaluate-flow", "generate", "design", "figures"):
        chosen = [word for word in chosen if word not in ("common-cause-1.0", "two-telescopes", story_file)]
    return judged(*chosen)


def replaced(path: Path, draw: random.Random) -> None:
    """Something else where a file was."""
    path.unlink()
    kind = draw.randrange(6)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(draw.choice(["/dev/zero", "/dev/urandom", path.name, "/nowhere"]))
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.write_bytes(b"")
    elif kind == 4:
        path.write_bytes(draw.randbytes(300))
    else:
        path.write_text(draw.choice(["[" * 100_000, "{}", "[]", "null", '{"a": NaN}', '"\\ud800"', "1" * 5000]))


def dataset(draw: random.Random, home: Path) -> str | None:
    folder = home / "data"
    shutil.copytree(_dataset(), folder)
    for _ in range(draw.randint(1, 2)):
        victim = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        if victim.suffix in (".json", ".md") and draw.random() < 0.6:
            written(victim, mutated(victim.read_text(), draw))
        elif draw.random() < 0.5:
            replaced(victim, draw)
        else:
            content = bytearray(victim.read_bytes() or b"0")
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            victim.write_bytes(content)
    if draw.random() < 0.2:
        (folder / draw.choice([".DS_Store", "manifests/\x1b[2J.json", "data/x.parquet", "dataset_infos.json"])).touch()
    from mmmi_hf import load

    before = sorted(folder.rglob("*"))
    found = judged("verify", str(folder), "--no-write", "--rows", "2", "--rows-float64", "0", "-q")
    found = found or refused(lambda: load(folder, "mine", cache_dir=home / "cache", progress=False))
    found = found or judged("figures", str(folder), "--config", "other", "--out", str(home / "out"), "-q")
    return found or (None if sorted(folder.rglob("*")) == before else "the folder was written to")


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


KINDS = {each.__name__: each for each in (story, recipe, classifier, model, pipeline, command, dataset)}


def fuzz(kind: str, number: int, seed: int) -> str | None:
    """One input; what is wrong with how it is answered."""
    draw = random.Random(f"{seed}/{kind}/{number}")
    home = Path(tempfile.mkdtemp(prefix="fuzz-"))
    started = time.monotonic()

    def late(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return KINDS[kind](draw, home)
    except TooSlowError:
        return f"longer than {SECONDS} s"
    except Exception as error:
        return (
            f"the answer to it broke: {type(error).__name__}: {error!s:.300} after {time.monotonic() - started:.1f} s"
        )
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=sorted(KINDS), action="append")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    given = parser.parse_args()
    found = []
    for kind in given.kind or KINDS:
        for number in range(given.first, given.first + given.count):
            if (wrong := fuzz(kind, number, given.seed)) is not None:
                found.append(wrong)
                print(json.dumps({"kind": kind, "number": number, "wrong": wrong}), flush=True)
        print(f"{kind}: {given.count} inputs", file=sys.stderr, flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
