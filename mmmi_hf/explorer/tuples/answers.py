"""What the page says of rows: grids, tables, what changed, and round trips.

Owns the words and the choice of figures, which are the package's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmmi_hf.explorer import html
from mmmi_hf.explorer.drawing import shown
from mmmi_hf.explorer.tuples.offered import DESIGN, OWN
from mmmi_hf.explorer.tuples.samples import RoundTrip, Sample, posterior


def rows_shown(sample: Sample, title: str) -> str:
    """A grid of tuples, and a table of their numbers."""
    return html.heading(title) + html.pictures(_grid(sample, named(sample))) + _heard(sample, "") + _table(sample)


def changed(before: Sample, after: Sample, title: str, what: str, now: str) -> str:
    """Rows as they were and as they are, and the difference of every modality.

    Args:
        before, after: the rows.
        title, what: what was done, in a heading and in a sentence.
        now: what the rows are of after it.
    """
    differences = {
        name: np.asarray(after.columns[name] - before.columns[name], dtype=np.float64)
        for name in before.config.model.modalities
    }
    told = [_of_difference(name, values) for name, values in differences.items()]
    told += [f"y: {_numbers(before.columns['y'])} became {_numbers(after.columns['y'])}"] * ("y" in before.columns)
    return (
        html.heading(title)
        + html.note(what)
        + html.listed(told)
        + html.pictures(
            _grid(before, f"Before: {named(before)}"),
            _grid(after, f"After: {now}"),
            _difference_grid(before, differences),
        )
        + _heard(before, ", before")
        + _heard(after, ", after")
        + _table(after, "after it; ")
    )


def inverted(trip: RoundTrip, sample: Sample, modality: str, row: int) -> str:
    """An image, its latents as they were drawn and as the inverse gives them, and the image again."""
    from mmmi_hf.figures import tuple_grid

    latent = modality.replace("x", "z", 1)
    error = float(np.linalg.norm(trip.found - trip.drawn) / np.linalg.norm(trip.drawn))
    back = float(np.abs(trip.again - trip.value).max())
    data = {
        modality: trip.value.astype(np.float64),
        latent: trip.drawn,
        f"{latent}'": trip.found,
        f"{modality}'": trip.again.astype(np.float64),
    }
    captions = {modality: "made", latent: "drawn", f"{latent}'": "inverted", f"{modality}'": "made again"}
    half = {name: float(np.abs(values).max()) or 1.0 for name, values in data.items()}
    view = next(entry.view for entry in sample.entries if entry.name == modality)
    kinds = {} if view is None else dict.fromkeys((modality, f"{modality}'"), view.kind)
    picture = shown(
        lambda: tuple_grid(data, {}, half_ranges=half, kinds=kinds, captions=captions),
        f"{modality} of row {row}, the latents it was made of, those its inverse gives, and {modality} made of these.",
        f"From left to right: {modality} as it was made; the latents {latent} that it was made of; the latents that "
        f"the inverse finds in {modality} alone; and {modality} made of these once more.",
    )
    said = [
        f"The inverse gives the latents of (seed, row) again with a relative error of {error:.1e}.",
        f"{modality} made of them differs from the first by at most {back:.1e}.",
    ]
    return html.heading(f"{modality} of row {row} inverted") + html.listed(said) + html.pictures(picture)


def _heard(sample: Sample, when: str) -> str:
    """The sounds of rows, to be played."""
    return html.sounds(
        [
            (f"{name} of row {sample.first + n}{when}", content)
            for name, files in sample.sounds.items()
            for n, content in enumerate(files)
        ]
    )


def named(sample: Sample) -> str:
    """Which rows of what, and what their modalities tell of y and of each other."""
    from mmmi_hf.figures.style import nats

    model, last = sample.config.model, sample.first + len(sample.latents) - 1
    rows = f"row {last}" if last == sample.first else f"rows {sample.first} to {last}"
    pairs = [(name, "y") for name in model.modalities[:2]] + [model.modalities[:2]] * (len(model.modalities) > 1)
    told = ", ".join(f"I({a};{b}) = {nats(model.mutual_information(a, b))}" for a, b in pairs)
    name = DESIGN if sample.config.name == OWN else sample.config.name
    return f"{name}, seed {sample.config.seed}, {rows}. {told} nats."


def _grid(sample: Sample, caption: str) -> str:
    from mmmi_hf.dataset.cards.pictures import tuples_figure

    config = sample.config
    return shown(
        lambda: tuples_figure(
            config.name, config.model, sample.entries, sample.columns, latents=sample.latents, compact=True
        ),
        f"{named(sample)} Their numbers are in the table.",
        caption,
    )


def _difference_grid(sample: Sample, differences: dict[str, Any]) -> str:
    from mmmi_hf.figures import tuple_grid

    half = {name: float(np.abs(values).max()) or 1.0 for name, values in differences.items()}
    captions = {name: f"±{value:.2g}" for name, value in half.items()}
    numbers = {"row": [str(sample.first + n) for n in range(len(sample.latents))]}
    return shown(
        lambda: tuple_grid(differences, numbers, half_ranges=half, captions=captions, compact=True),
        "What changed in every modality, from black, less, to white, more; the largest change is in the list.",
        "After minus before: grey stayed, white became more, black less. Above each column is the largest change.",
    )


def _of_difference(name: str, values: Any) -> str:
    largest, mean = float(np.abs(values).max()), float(np.abs(values).mean())
    if largest == 0.0:
        return f"{name}: not a number changed"
    return f"{name}: changed by {mean:.3g} on average, by at most {largest:.3g}"


def _table(sample: Sample, when: str = "") -> str:
    from mmmi_hf.dataset.format.schema import pmi_pairs
    from mmmi_hf.dataset.format.target_columns import target_names

    model = sample.config.model
    targets, pairs = target_names(model), pmi_pairs(model)
    known = posterior(sample)
    header = ["row", *targets, *(["y given all"] if known else []), *(f"i({a};{b})" for a, b in pairs.values())]
    rows = []
    for n in range(len(sample.latents)):
        cells = [str(sample.first + n), *(_number(sample.columns[name][n]) for name in targets)]
        cells += [known[n]] if known else []
        rows.append([*cells, *(_number(sample.columns[column][n]) for column in pairs)])
    caption = f"Rows {when}pointwise information i in nats; its mean over all rows is I"
    return html.table(header, rows, caption=caption, right=range(len(header)))


def _numbers(values: Any) -> str:
    return ", ".join(_number(value) for value in values)


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}".replace("-", "−")
