"""Cards of the released families: model_cards/FAMILY/README.md and its pictures, rendered from configurations.

Owns what such a card says. Every number is computed from the released configurations, the tuples are rows of the first
of them through its pipelines; what the paper prints is cited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmmi_hf.causal import NotExactError
from mmmi_hf.causal.quantities import read
from mmmi_hf.common.cards import Card, environment
from mmmi_hf.common.yaml_files import front_matter
from mmmi_hf.dataset.cards.pictures import (
    CAPTIONS,
    ROWS_SHOWN,
    Picture,
    configuration_pictures,
    draw,
    family_pictures,
    tuples_figure,
)
from mmmi_hf.dataset.cards.text import equations_of, target_in_words
from mmmi_hf.dataset.format.views import is_view_column
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.credits import LICENSE, TAGS
from mmmi_hf.dataset.releases.family import Family
from mmmi_hf.dataset.releases.pipelines import SOUND_PIPELINE
from mmmi_hf.dataset.releases.registry import get_configuration, get_family

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


def family_card(name: str) -> str:
    """The text of a family's card.

    Args:
        name: of the family.

    Raises:
        ConfigurationError: no such family.
    """
    family = get_family(name)
    configs = [get_configuration(one) for one in family.configurations]
    return (
        environment(__package__)
        .get_template(TEMPLATE)
        .render(
            front_matter=front_matter({"license": LICENSE, "pretty_name": f"mmmi_hf: {family.name}", "tags": [*TAGS]}),
            family=family,
            configs=configs,
            lead=configs[0],
            counts=sorted({len(one.modalities) for one in configs}),
            target=" or ".join(dict.fromkeys(target_in_words(one.model) for one in configs)),
            equations=equations_of(configs[0].model),
            information=_information(configs),
            tables=_tables(family),
            image_pipeline=family.releases[0].images.pipeline,
            sound_pipeline=SOUND_PIPELINE,
            has_sounds=any(one.pipeline == SOUND_PIPELINE for one in configs[0].modalities),
            pictures=[{"name": one, "caption": CAPTIONS[one]} for one in _pictures_of(family)],
            builder_script=f"builder_scripts/{family.module}.py",
        )
    )


def card_of(root: Path, name: str) -> Card:
    """The card of a family, in a folder of its name below `root`."""
    family, folder = get_family(name), root / name
    pictures = tuple(folder / f"{one}.png" for one in _pictures_of(family))
    lead = get_configuration(family.configurations[0])
    return Card(folder / CARD, lambda: family_card(name), pictures, lambda: draw(_drawn(family, lead), folder))


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
    from mmmi_hf.dataset.generation.rows import load_bijections, make_rows, modality_entries

    bijections = load_bijections(config, device="cpu")
    table = make_rows(config, 0, ROWS_SHOWN, bijections=bijections)
    rows = {column: table.column(column).to_pylist() for column in table.column_names if not is_view_column(column)}
    latents = config.model.sample_rows(rows["row"], seed=config.seed, standardize=config.standardize)
    return tuples_figure(config.name, config.model, modality_entries(config, bijections), rows, latents=latents)


def _information(configs: Sequence[MMMIConfig]) -> Table:
    """I(xi; y) of up to three modalities, of all together, and I(x1; xi) of the first two others.

    Of a target that is made, also what a predictor reaches at best: of classes their accuracy, of numbers R²; of an
    intervention, how far it moves them.
    """
    sets = list(dict.fromkeys(names for config in configs for names in _sets(config)))
    pairs = list(dict.fromkeys(f"I(x1;{one})" for config in configs for one in config.model.modalities[1:3]))
    words = dict.fromkeys(word for config in configs for word in _ceilings(config))
    names = [*(f"I({one};y)" for one in sets), *pairs, *(f"{word}({one};y)" for word in words for one in sets)]
    if any(not config.model.law.is_standard for config in configs):
        names += [f"KL({one})" for one in sets]
    rows = ((f"`{one.name}`", *(_exact(name, one) for name in names)) for one in configs)
    return Table("", "", ("configuration", *map(_short_name, names)), tuple(rows))


def _sets(config: MMMIConfig) -> list[str]:
    names = config.model.modalities
    return [*names[:3], *([",".join(names)] if len(names) > 1 else [])]


def _ceilings(config: MMMIConfig) -> tuple[str, ...]:
    if config.model.classes is not None:
        return ("bayes_accuracy",)
    return () if config.model.law.is_gaussian else ("r2_ceiling",)


def _short_name(name: str) -> str:
    """A quantity of many modalities with the first and the last of them."""
    blocks = name[name.index("(") + 1 :].rstrip(")").partition(";")[0].split(",")
    return name if len(blocks) <= 3 else name.replace(",".join(blocks), f"{blocks[0]},…,{blocks[-1]}")


def _exact(name: str, config: MMMIConfig) -> str:
    """A value; nothing where a configuration has not these modalities, or no exact one."""
    quantity = read(name)
    if not {block for part in quantity.blocks for block in part} <= set(config.model.names):
        return "–"
    try:
        return _nats(quantity.of(config.model))
    except NotExactError:
        return "–"


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
