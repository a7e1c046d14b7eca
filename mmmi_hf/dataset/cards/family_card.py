"""Cards of the released families: model_cards/FAMILY/README.md and its pictures, rendered from configurations.

Owns what such a card says and the check that it is up to date. Every number is computed from the released
configurations, the tuples are rows of the first of them through its pipelines; what the paper prints is cited.

    python -m mmmi_hf.dataset.cards.family_card model_cards                       # write all cards and their pictures
    python -m mmmi_hf.dataset.cards.family_card model_cards --family independent  # one of them
    python -m mmmi_hf.dataset.cards.family_card model_cards --check               # exit 1 with the difference if stale
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import yaml

from mmmi_hf.dataset.cards.pictures import (
    CAPTIONS,
    ROWS_SHOWN,
    Picture,
    configuration_pictures,
    draw,
    family_pictures,
    tuples_figure,
)
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.families import Family
from mmmi_hf.dataset.releases.registry import get_configuration, get_family, list_families
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CARD = "README.md"
TEMPLATE = "family_card.md.j2"
PAPER_SHAPE = (3, 32, 32)
"""The paper's images, CIFAR-10's shape: d = 3072."""


@dataclass(frozen=True)
class Table:
    """A titled table of finished text."""

    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def family_card(name: str, *, builder_script: str | None = None) -> str:
    """The text of a family's card.

    Args:
        name: of the family.
        builder_script: path of its script from the repository's root, if there is one.

    Raises:
        ConfigurationError: no such family.
    """
    family = get_family(name)
    configs = [get_configuration(one) for one in family.configurations]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mmmi_hf.dataset.cards", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(TEMPLATE).render(
        front_matter=_front_matter(family),
        family=family,
        configs=configs,
        lead=configs[0],
        shapes={one: "×".join(map(str, shape)) for one, shape in configs[0].model.shapes.items()},
        information=_information(configs),
        tables=_tables(family),
        image_pipeline=family.releases[0].images.pipeline,
        pictures=[{"name": one, "caption": CAPTIONS[one]} for one in _pictures_of(family)],
        builder_script=builder_script,
    )


def write_family_card(root: Path, name: str, *, pictures: bool = True) -> list[Path]:
    """Write the card of a family, and its pictures unless told otherwise, under `root`; returns the files."""
    family = get_family(name)
    lead = get_configuration(family.configurations[0])
    folder = root / name
    written = draw(_drawn(family, lead), folder) if pictures else []
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CARD
    path.write_text(family_card(name, builder_script=_builder_script(root, name)))
    return [path, *written]


def stale_lines(root: Path, name: str) -> list[str]:
    """In what the card in `root` differs from what it should be, missing pictures included; empty if in nothing."""
    path = root / name / CARD
    found = path.read_text() if path.exists() else ""
    wanted = family_card(name, builder_script=_builder_script(root, name))
    difference = list(
        difflib.unified_diff(found.splitlines(), wanted.splitlines(), str(path), f"{path} (rendered)", lineterm="")
    )
    pictures = (root / name / f"{one}.png" for one in _pictures_of(get_family(name)))
    return difference + [f"{one} is missing" for one in pictures if not one.is_file()]


def _pictures_of(family: Family) -> list[str]:
    """The names of a card's pictures, in its order, without drawing them."""
    own = [one.name for one in _lead_pictures(family)]
    side_by_side = [one.name for one in family_pictures(family.name)] if len(family.configurations) > 1 else []
    return ["causal_graph", "tuples", *side_by_side, *(one for one in own if one != "causal_graph")]


def _lead_pictures(family: Family) -> Iterator[Picture]:
    """The pictures of a family's first configuration."""
    lead = get_configuration(family.configurations[0])
    yield from configuration_pictures(lead.name, lead.model, standardize=lead.standardize)


def _drawn(family: Family, lead: MMMIConfig) -> Iterator[Picture]:
    yield from _lead_pictures(family)
    if len(family.configurations) > 1:
        yield from family_pictures(family.name)
    yield Picture("tuples", lambda: _tuples(lead))


def _tuples(config: MMMIConfig) -> Figure:
    """The first rows of a configuration, made by its pipelines on the CPU."""
    from mmmi_hf.dataset.format.schema import is_image
    from mmmi_hf.dataset.generation.rows import half_range, load_bijections, make_rows

    bijections = load_bijections(config, device="cpu")
    table = make_rows(config, 0, ROWS_SHOWN, bijections=bijections)
    rows = {column: table.column(column).to_pylist() for column in table.column_names if "_image" not in column}
    modalities = [
        {
            "pipeline": modality.pipeline,
            "class_label": modality.class_label,
            "view_half_range": half_range(bijections[name]) if is_image(config.model.shapes[name]) else None,
        }
        for name, modality in zip(config.model.modalities, config.modalities, strict=True)
    ]
    return tuples_figure(config.name, config.model, modalities, rows)


def _builder_script(root: Path, name: str) -> str | None:
    script = f"builder_scripts/{name.replace('-', '_')}.py"
    return script if (root.resolve().parent / script).is_file() else None


def _front_matter(family: Family) -> str:
    data = {
        "license": "apache-2.0",
        "pretty_name": f"mmmi_hf: {family.name}",
        "tags": ["mutual-information", "multimodal", "synthetic", "benchmark", "mmmi-hf", "arxiv:2510.21686"],
    }
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---\n"


def _information(configs: Sequence[MMMIConfig]) -> Table:
    """I(xi; y) of up to three modalities, of all together, and I(x1; xi) of the first two others."""
    names = configs[0].model.modalities
    queries: dict[str, tuple[str | Sequence[str], str]] = {f"I({one};y)": (one, "y") for one in names[:3]}
    if len(names) > 1:
        queries[f"I({','.join(names) if len(names) <= 3 else f'{names[0]},…,{names[-1]}'};y)"] = (names, "y")
        queries |= {f"I(x1;{one})": ("x1", one) for one in names[1:3]}
    rows = (
        (f"`{one.name}`", *(_nats(one.model.mutual_information(a, b)) for a, b in queries.values())) for one in configs
    )
    return Table("", "", ("configuration", *queries), tuple(rows))


def _tables(family: Family) -> list[Table]:
    """The paper's tables and series that a family repeats."""
    story = family.name.removesuffix(family.releases[0].images.suffix)
    return _TABLES[story](family) if story in _TABLES else []


def _table_2(family: Family) -> list[Table]:
    """The paper's Table 2 from the released configurations, beside what is printed there."""
    printed = {"mass": ("2.77", "0", "2.63"), "atmosphere": ("2.77", "3.33", "2.63")}
    queries = (("x1", "y"), ("x2", "y"), ("x1", "x2"))
    rows = []
    for target, there in printed.items():
        for place in ("concentrated", "diffuse"):
            model = get_configuration(f"two-telescopes-{target}-{place}{family.releases[0].images.suffix}").model
            rows.append(
                (f"{target}, {place} templates", *(f"{model.mutual_information(a, b):.4f}" for a, b in queries))
            )
        rows.append((f"{target}, as printed in the paper", *there))
    return [
        Table(
            "The paper's Table 2",
            "It follows from the squared norm of the templates and their inner product alone, which the released "
            "templates have. **Erratum:** the printed column I(x2;y) has its two rows swapped. The second telescope "
            "sees no atmosphere, so that it knows nothing about it, and 3.33 nats about the mass.",
            ("target", "I(x1;y)", "I(x2;y)", "I(x1;x2)"),
            tuple(rows),
        )
    ]


def _figure_6(family: Family) -> list[Table]:
    """I(xi; y) and I(x1; xi) against i, for the released shape and, where it is another one, for the paper's."""
    from mmmi_hf.figures import decay_series

    images = family.releases[0].images
    shapes = {images.shape: "as released", PAPER_SHAPE: "with the paper's images"}
    if images.shape == PAPER_SHAPE:
        shapes = {PAPER_SHAPE: "as released, the paper's shape"}
    tables = []
    for size, what in shapes.items():
        models = {one.name: one.configuration(images.pipeline, size).model for one in family.releases}
        first = next(iter(models.values()))
        shape = "×".join(map(str, size))
        series = {name.removeprefix("decaying-modalities-"): decay_series(model) for name, model in models.items()}
        count = len(first.modalities)
        for which, heading, begin in ((0, "I(xi;y)", 1), (1, "I(x1;xi)", 2)):
            tables.append(
                Table(
                    f"{heading} against i, {what} ({shape})",
                    "" if which else "The series of the paper's Fig. 6, in nats.",
                    ("decays", *(f"i = {i}" for i in range(begin, count + 1))),
                    tuple((f"`{name}`", *(_short(value) for value in one[which])) for name, one in series.items()),
                )
            )
    return tables


_TABLES = {"two-telescopes": _table_2, "decaying-modalities": _figure_6}


def _nats(value: float) -> str:
    return f"{value:.4f}" if value < 1000 else f"{value:,.1f}"


def _short(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:,.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check cards; 0 done, 1 a card is stale, 2 a card cannot be made."""
    parser = argparse.ArgumentParser(
        prog="python -m mmmi_hf.dataset.cards.family_card", description="Write or check the cards of released families."
    )
    parser.add_argument("root", type=Path, help="the folder that holds one folder per family: model_cards")
    parser.add_argument("--family", action="append", help="only this family; may be repeated")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 with the difference if one is stale"
    )
    parser.add_argument("--text", action="store_true", help="write README.md and leave the pictures as they are")
    options = parser.parse_args(arguments)
    code = 0
    for name in options.family or list_families():
        try:
            if not options.check:
                written = write_family_card(options.root, name, pictures=not options.text)
                print("\n".join(map(str, written)), flush=True)
            elif difference := stale_lines(options.root, name):
                print("\n".join(difference))
                code = 1
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
