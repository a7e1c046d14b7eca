"""What can be asked of rows: to be made, compared, drawn anew in one cause, inverted.

Owns the reading of the fields, and which samples an answer needs. Nothing here needs Gradio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmmi_hf.explorer.surroundings import MOST_MODALITIES, MOST_ROWS
from mmmi_hf.explorer.tuples.answers import changed, inverted, named, rows_shown
from mmmi_hf.explorer.tuples.offered import configuration, read_row, read_seed
from mmmi_hf.explorer.tuples.samples import Sample, Tick, Workshop

MOST_CAUSES = 8


@dataclass(frozen=True)
class Asked:
    """What stands in the fields: data, seed, first row, number of rows; and what the panel Design shows."""

    name: object
    seed: object
    first: object
    count: object
    design: tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Requests:
    """Answers as HTML. All raise ValueError where a field cannot be used."""

    workshop: Workshop = field(default_factory=Workshop)

    def rows(self, asked: Asked, tick: Tick) -> str:
        """The rows, and their numbers."""
        return rows_shown(self._sample(asked, tick), str(asked.name))

    def compared(self, asked: Asked, other: object, tick: Tick) -> str:
        """The rows, and those of the same seed with other information."""
        before = self._sample(asked, tick)
        config = configuration(other, asked.design, before.config.seed)
        if config.model.shapes != before.config.model.shapes:
            raise ValueError(
                f"{other} has other modalities than {asked.name}; choose data of the same number and shape"
            )
        after = self.workshop.rows(config, before.first, len(before.latents), {}, tick)
        what = f"The same seed and rows: the numbers that were drawn are the same, {asked.name} became {other}."
        return changed(before, after, f"{asked.name} and {other}", what, named(after))

    def resampled(self, asked: Asked, cause: object, seed: object, tick: Tick) -> str:
        """The rows, and those in which one cause is of another seed while all else stays."""
        number, fresh = read_number("cause", cause, MOST_CAUSES), read_seed("seed of that cause", seed)
        before = self._sample(asked, tick)
        model = before.config.model
        causes = 0 if model.structure is None else len(model.eta)
        if causes and number > causes:
            raise ValueError(f"cause is {number}, and {asked.name} has {causes}: choose 1 to {causes}")
        after = self._sample(asked, tick, {number - 1: fresh})
        what = f"ũ{number} is that of seed {fresh}; other causes, sources and noise are as they were."
        return changed(before, after, f"ũ{number} drawn anew", what, f"the same rows with ũ{number} of seed {fresh}.")

    def inverted(self, asked: Asked, modality: object, tick: Tick) -> str:
        """A modality of the first row, its latents, and the modality again."""
        chosen, sample = f"x{read_number('modality', modality, MOST_MODALITIES)}", self._sample(asked, tick)
        return inverted(self.workshop.round_trip(sample, chosen, 0, tick), sample, chosen, sample.first)

    def _sample(self, asked: Asked, tick: Tick, causes: Mapping[int, int] | None = None) -> Sample:
        first, count = read_row(asked.first), read_number("rows", asked.count, MOST_ROWS)
        config = configuration(asked.name, asked.design, read_seed("seed", asked.seed))
        return self.workshop.rows(config, first, count, causes or {}, tick)


def counts(name: object, design: tuple[str, Mapping[str, Any]]) -> tuple[int, int]:
    """How many causes and modalities there are to choose from; a model without causes is asked for one, and refuses.

    Raises:
        ValueError: there is no such data.
    """
    model = configuration(name, design, 0).model
    return 1 if model.structure is None else len(model.eta), len(model.modalities)


def read_number(what: str, given: object, most: int) -> int:
    """A whole number of a list, 1 … most. Raises ValueError for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 1 <= given <= most or given != int(given):
        raise ValueError(f"{what} is empty or no whole number; give one from 1 to {most}")
    return int(given)
