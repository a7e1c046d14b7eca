"""Which configurations have rows that are made here, and the reading of what a visitor asks of them.

Owns that choice: the quickest pipelines that come with the package, element-wise maps, few modalities. Imports
what dataset/ offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality, has_no_classes
from mmmi_hf.dataset.releases.designed import designed
from mmmi_hf.dataset.releases.pipelines import DEFAULT_PIPELINE, SOUND_PIPELINE
from mmmi_hf.dataset.releases.registry import get_configuration, get_family, is_here, list_families
from mmmi_hf.explorer.design.kinds import kinds
from mmmi_hf.explorer.surroundings import MOST_MODALITIES, MOST_ROW_NUMBER, MOST_TEXT

DESIGN = "the design"
"""What the panel Design shows."""
OWN = "the-design"
"""The same as the name of a configuration."""
MOST_SEED = 2**63 - 1


@cache
def offered() -> tuple[str, ...]:
    """What rows can be asked of: the design first, then released configurations."""
    releases = (release for family in list_families() for release in get_family(family).releases)
    return (
        DESIGN,
        *(
            release.name
            for release in releases
            if len(release.modalities) <= MOST_MODALITIES and all(map(_is_quick, release.modalities))
        ),
    )


def _is_quick(modality: Modality) -> bool:
    name = modality.pipeline
    return is_here(name) and (name in (DEFAULT_PIPELINE, SOUND_PIPELINE) or has_no_classes(name))


def configuration(name: object, design: tuple[str, Mapping[str, Any]], seed: int) -> MMMIConfig:
    """The configuration of a name, with a seed; posteriors of classes are made too.

    Raises:
        ValueError: it is not offered.
    """
    if not isinstance(name, str) or name not in offered():
        raise ValueError("there is no such data here; choose one of the list")
    if name == DESIGN:
        kind, values = design
        found = kinds()[kind].make(values)
        config = designed(OWN, found.model, found.spec, found.description)
    else:
        config = get_configuration(str(name))
    return config.replace(seed=seed, store_posterior=True if config.model.classes is not None else None)


def read_whole_text(what: str, given: object, most: int) -> int:
    """A whole number that was written, 0 … most.

    Raises:
        ValueError: something else.
    """
    text = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_SEED)) and int(text) <= most):
        shown = text if len(text) <= MOST_TEXT // 10 else f"{text[: MOST_TEXT // 10]}…"
        raise ValueError(f"{what} is {repr(shown) if shown else 'empty'}; give a whole number from 0 to {most:,}")
    return int(text)


def read_seed(what: str, given: object) -> int:
    """A seed. Raises ValueError for anything else."""
    return read_whole_text(what, given, MOST_SEED)


def read_row(given: object) -> int:
    """The number of a row. Raises ValueError for anything else."""
    return read_whole_text("first row", given, MOST_ROW_NUMBER)
