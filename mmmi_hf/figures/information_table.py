"""The mutual information of every pair of blocks as a heat map.

Owns its colours and the treatment of zero and infinite cells. Imports causal/ and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from mmmi_hf.causal import CausalModel
from mmmi_hf.figures import style
from mmmi_hf.figures.graph import pairwise_information

_LOG_FROM = 50.0
_MOST_NUMBERS = 16
_COMPACT_CELL, _COMPACT_SIDE = 0.95, 3.2


@style.look
def information_table(model: CausalModel, *, title: str | None = None, compact: bool = False) -> Figure:
    """I(a; b) of all pairs of x1 … xM and y, in nats.

    The colours are logarithmic where the largest value is 50 times the smallest positive one. A zero is white, an
    infinite value hatched, and a block with itself left out. Every cell carries its number up to 16 blocks; then a
    compact figure, which can be read at the width of a phone, has no colour bar.
    """
    values = pairwise_information(model)
    names = model.names
    side = max((0.72 if len(names) <= 4 else 0.52) * min(len(names), _MOST_NUMBERS), 1.8)
    barless = compact and len(names) <= _MOST_NUMBERS
    if barless:
        side = max(min(_COMPACT_CELL * len(names), _COMPACT_SIDE), 0.46 * len(names))
    over = 0.45 + (0.25 if title else 0.0)
    figure = style.new_figure(
        max(0.5 + side + (0.15 if barless else 1.15), 3.6),
        side + over + (0.15 if _finite(values) else 0.35),
        constrained=False,
    )
    width, height = figure.get_size_inches()
    bottom = (height - over - side) / height
    axes = figure.add_axes((0.5 / width, bottom, side / width, side / height))
    finite = _finite(values)
    norm = _norm(finite)
    colours = matplotlib.colormaps[style.AMOUNT]
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if a != b:
                value = values[min((a, b), (b, a), key=lambda pair: names.index(pair[0]))]
                size = 9.0 if barless and side >= 0.6 * len(names) else 7.5
                _cell(axes, j, i, value, norm, colours, size=size if len(names) <= _MOST_NUMBERS else None)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    labels = [style.symbol(name) for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=10.5)
    axes.set_yticks(range(len(names)), labels, fontsize=10.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if finite and not barless:
        place = figure.add_axes(((0.5 + side + 0.15) / width, bottom, 0.14 / width, side / height))
        log = isinstance(norm, LogNorm)
        bar = figure.colorbar(
            ScalarMappable(norm, colours),
            cax=place,
            format=None if log else FuncFormatter(lambda one, _: style.number(one)),
        )
        bar.set_label("mutual information [nats]" + (", log scale" if log else ""))
        bar.outline.set_visible(False)
    elif not finite:
        axes.set_xlabel("mutual information [nats]")
    if title:
        text, size = style.fitted(title, width)
        figure.text(0.1 / width, 1.0 - 0.17 / height, text, va="center", fontsize=size)
    return figure


def _finite(values: Mapping[tuple[str, str], float]) -> list[float]:
    return [value for value in values.values() if 0.0 < value < math.inf]


def _norm(values: list[float]) -> Normalize:
    if not values:
        return Normalize(0.0, 1.0)
    if max(values) >= _LOG_FROM * min(values):
        return LogNorm(min(values), max(values))
    return Normalize(0.0, max(values))


def _cell(
    axes: matplotlib.axes.Axes,
    x: int,
    y: int,
    value: float,
    norm: Normalize,
    colours: matplotlib.colors.Colormap,
    *,
    size: float | None,
) -> None:
    plain = value == 0.0 or math.isinf(value)
    colour = (1.0, 1.0, 1.0, 1.0) if plain else colours(float(norm(value)))
    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.48),
            0.96,
            0.96,
            facecolor=colour,
            edgecolor=style.GREY if plain else colour,
            linewidth=0.5,
            hatch="////" if math.isinf(value) else None,
            gid=f"cell:{x},{y}",
        )
    )
    if size is not None or math.isinf(value):
        dark = float(np.dot(colour[:3], (0.299, 0.587, 0.114))) < 0.5
        axes.text(
            x,
            y,
            style.nats(value),
            ha="center",
            va="center",
            fontsize=size or 7.5,
            color="white" if dark else "black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if math.isinf(value) else None,
        )
