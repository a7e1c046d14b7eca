"""A grid of generated tuples with their pointwise information (the paper's Fig. 2).

Owns the layout of rows of data. Imports matplotlib and this room only; what it draws comes as arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mmmi_hf.figures import style
from mmmi_hf.figures.pictures import Array, show_datum

_CELL, _SMALL_CELL = 0.85, 0.6
_NUMBER = 0.85
_FEW = 3
_LONGEST = 13  # characters of a text in a column of numbers


@style.look
def tuple_grid(
    data: Mapping[str, Array],
    numbers: Mapping[str, Array | Sequence[str]],
    *,
    half_ranges: Mapping[str, float],
    kinds: Mapping[str, str] | None = None,
    captions: Mapping[str, str] | None = None,
    title: str | None = None,
    compact: bool = False,
) -> Figure:
    """One tuple per row: its modalities side by side, and numbers such as y and pointwise information at the right.

    Args:
        data: modality → (n, *shape) with shape (C, H, W), (H, W) or (T,), NaN in rows that lack it.
        numbers: heading → (n,) numbers, written with three digits, or texts.
        half_ranges: modality → h; values from -h to h are shown, what lies outside is clipped, for the picture.
        kinds: modality → "sound" of those that are sounds; the others are shown by their shape.
        captions: modality → a line under its name.
        title: over the figure.
        compact: more than three modalities are drawn smaller and without captions, so that the figure can be read at
            the width of a phone.

    Raises:
        ValueError: no rows, or columns of different length.
    """
    counts = {name: len(values) for name, values in {**data, **numbers}.items()}
    rows = next(iter(counts.values()), 0)
    if rows == 0 or set(counts.values()) != {rows}:
        raise ValueError(f"columns have {counts} rows, expected the same number, at least 1, in each")
    small = compact and len(data) > _FEW
    cell, captions = (_SMALL_CELL, {}) if small else (_CELL, captions or {})
    extra = 0.35 if captions else 0.0
    over = 0.19 * len(title.splitlines()) + 0.15 if title else 0.05
    width = cell * len(data) + _NUMBER * len(numbers) + 0.3
    figure = style.new_figure(max(width, 3.6), cell * rows + 0.5 + extra + over, constrained=False)
    total_width, total_height = figure.get_size_inches()
    left = (total_width - width) / 2 + 0.1
    top = total_height - over - 0.4 - extra
    if title:
        name, *others = title.splitlines()
        text, size = style.fitted(name, total_width)
        text = "\n".join([text, *others])
        figure.text(0.5, 1.0 - 0.1 / total_height, text, ha="center", va="top", fontsize=size, linespacing=1.4)

    def heading(x: float, text: str, size: float) -> None:
        figure.text(x / total_width, (top + 0.08) / total_height, text, ha="center", va="bottom", fontsize=size)

    for column, (name, values) in enumerate(data.items()):
        caption = captions.get(name, "")
        x = left + (column + 0.5) * cell
        figure.text(x / total_width, (top + 0.1 + extra) / total_height, style.symbol(name), ha="center", fontsize=11)
        if caption:
            figure.text(x / total_width, (top + 0.08) / total_height, caption, ha="center", va="bottom", fontsize=7.5)
        for row in range(rows):
            place = (left + column * cell + 0.03, top - (row + 1) * cell + 0.03, cell - 0.06, cell - 0.06)
            axes = figure.add_axes(
                (place[0] / total_width, place[1] / total_height, place[2] / total_width, place[3] / total_height),
                gid=f"datum:{row},{name}",
            )
            show_datum(axes, np.asarray(values[row], dtype=np.float64), half_ranges[name], (kinds or {}).get(name))
    for column, (name, written) in enumerate(numbers.items()):
        x = left + cell * len(data) + (column + 0.5) * _NUMBER
        heading(x, name, 8.5)
        for row in range(rows):
            y = top - (row + 0.5) * cell
            value = written[row]
            is_text = isinstance(value, str)
            text = _shortened(str(value)) if is_text else style.decimals(float(value))
            figure.text(
                x / total_width, y / total_height, text, ha="center", va="center", fontsize=9, parse_math=not is_text
            )
    return figure


def _shortened(text: str) -> str:
    """A text that fits into its column."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
