"""Everything that is generated: cards of families, pipelines and benchmarks, builder scripts, the README's families,
and the recipes and results that come with the package.

Owns which generated files there are, and the program that writes or checks them. What a card says is its room's.

    python -m mmmi_hf.cli.cards                            # write the text of all, from the root of the repository
    python -m mmmi_hf.cli.cards --check                    # write nothing; exit 1 with the difference if one is stale
    python -m mmmi_hf.cli.cards --pictures                 # also draw the pictures of the families (minutes)
    python -m mmmi_hf.cli.cards model_cards/fashion-mnist  # one card, by its folder
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmmi_hf.common.cards import Card, environment, write_or_check

CARDS, README, PACKAGED = "model_cards", "README.md", "mmmi_hf/flow/recipes"
EXPLORER = "mmmi_hf/explorer/estimators"
BEGIN, END = "<!-- families: written by `python -m mmmi_hf.cli.cards` -->\n", "<!-- end of families -->"


def all_cards(root: Path) -> Iterator[Card]:
    """Every generated file of the repository at `root`."""
    from mmmi_hf.dataset.releases.registry import list_families

    families = list_families()
    others = sorted(folder for folder in (root / CARDS).iterdir() if folder.is_dir() and folder.name not in families)
    for folder in [*(root / CARDS / name for name in families), *others]:
        yield card_of(folder)
    for name in families:
        yield builder_script(root, name)
    yield from recipes(root)
    yield results(root)
    yield Card(root / README, lambda: readme(root))


def recipes(root: Path) -> Iterator[Card]:
    """What the pipelines in `model_cards/` were made by, for the package: `NAME.yaml`, `NAME-cas.yaml`.

    A recipe that needs a pipeline in a local folder can be used by nobody else. Of a training in legs it is the first
    that comes with the package.
    """
    from mmmi_hf.flow.evaluation.model_card import TEACHER

    stems = {"recipe": "training", "distillation": "distillation", "classifier": "classifier"}
    for stem, kind in stems.items():
        chosen = {}
        cards = root / CARDS
        for file in sorted([*cards.glob(f"*/{stem}*.yaml"), *cards.glob(f"*/{TEACHER}/{stem}*.yaml")]):
            variant = file.stem.removeprefix(stem).removesuffix("-1")
            if not variant.removeprefix("-").isdigit() and not _needs_a_folder(file):
                name = file.relative_to(cards).parts[0]
                chosen[f"{name}{variant}"] = file  # a whole training comes after its first leg
        for name, file in chosen.items():
            yield Card(root / PACKAGED / kind / f"{name}.yaml", file.read_text)


def results(root: Path) -> Card:
    """The results of the benchmarks in `model_cards/`, for the package: what the explorer shows."""
    from mmmi_hf.explorer.estimators.committed import FILE, render

    return Card(root / EXPLORER / FILE, lambda: render(root / CARDS / "benchmark"))


def _needs_a_folder(recipe: Path) -> bool:
    from mmmi_hf.common.places import is_repository
    from mmmi_hf.common.yaml_files import parse
    from mmmi_hf.flow.bundled import RELEASED

    fields = parse(recipe.read_text()).data
    needed = [value for name in ("initial_pipeline", "teacher", "guide") if (value := fields.get(name)) is not None]
    return any(name not in RELEASED and not is_repository(name) for name in needed)


def card_of(folder: Path) -> Card:
    """The card of a folder, by what lies in it.

    Raises:
        ValueError: nothing that a card is made of.
    """
    from mmmi_hf.benchmark.report import card as benchmark
    from mmmi_hf.dataset.cards import family_card
    from mmmi_hf.dataset.releases.registry import list_families
    from mmmi_hf.flow.evaluation.model_card import RECIPE, card_of
    from mmmi_hf.flow.evaluation.record import EVALUATION
    from mmmi_hf.flow.training.record import TRAINING

    folder = folder.absolute()
    if folder.name in list_families():
        return family_card.card_of(folder.parent, folder.name)
    if any((folder / name).is_file() for name in (RECIPE, TRAINING, EVALUATION)):
        return card_of(folder)
    if any(folder.rglob("benchmark.json")):
        return benchmark.card_of(folder)
    raise ValueError(
        f"{folder} is the folder of no card; give one that is called like a family, that holds the recipe, training "
        "and evaluation of a pipeline, or that `mmmi-hf benchmark` wrote"
    )


def builder_script(root: Path, family: str) -> Card:
    """The program of a family; the versions that its header names are the repository's."""

    def render() -> str:
        from mmmi_hf.dataset.releases.registry import get_family

        (torch,) = [line for line in (root / "constraints.txt").read_text().splitlines() if line.startswith("torch==")]
        python = tomllib.loads((root / "pyproject.toml").read_text())["project"]["requires-python"]
        template = environment("mmmi_hf.cli").get_template("builder_script.py.j2")
        chosen = get_family(family)
        description = textwrap.fill(chosen.description, 120)
        return template.render(family=chosen, description=description, python=python, torch=torch)

    return Card(root / "builder_scripts" / f"{family.replace('-', '_')}.py", render)


def readme(root: Path) -> str:
    """The README with its table of families as the registry has them; those of CIFAR-10 stand beside their likes.

    Raises:
        ValueError: the README has no place for it.
    """
    from mmmi_hf.dataset.releases.family import CIFAR10
    from mmmi_hf.dataset.releases.registry import get_family, list_families

    text = (root / README).read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{root / README} must have the lines {BEGIN.strip()!r} and {END!r} around its families")
    names = list_families()
    beside = {f"{name}{CIFAR10.suffix}" for name in names} & set(names)
    rows = f"| family | configurations | `{CIFAR10.suffix}` too | what it is |\n|---|---:|---|---|\n"
    for one in map(get_family, names):
        if one.name not in beside:
            also = "yes" if f"{one.name}{CIFAR10.suffix}" in beside else ""
            rows += f"| `{one.name}` | {len(one.releases)} | {also} | {one.summary} |\n"
    return f"{before}{begin}\n{rows}\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; 0 done, 1 a file is stale, 2 one cannot be made."""
    parser = argparse.ArgumentParser(
        prog="python -m mmmi_hf.cli.cards", description="Write or check everything that is generated."
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, help="folders of cards; default: all of the repository that you are in"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 with the difference if a file is stale"
    )
    parser.add_argument("--pictures", action="store_true", help="also draw the pictures of families")
    options = parser.parse_args(arguments)
    try:
        cards = [card_of(folder) for folder in options.folders] or list(all_cards(Path()))
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return write_or_check(cards, check=options.check, draw=options.pictures)


if __name__ == "__main__":
    sys.exit(main())
