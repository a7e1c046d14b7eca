"""The mutual information of every pair of blocks as a heat map.

Owns its colours and the treatment of zero and infinite cells. Imports causal/ and this room only.
"""

from __future__ import annotations

import math

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmmi_hf.causal import CausalModel
from mmmi_hf.figures import style
from mmmi_hf.figures.graph import pairwise_information

_LOG_FROM = 50.0
_MOST_NUMBERS = 16


@style.look
def information_table(model: CausalModel, *, title: str | None = None) -> Figure:
    """I(a; b) of all pairs of x1 … xM and y, in nats.

    The colours are logarithmic where the largest value is 50 times the smallest positive one. A zero is white, an
    infinite value hatched, and a block with itself left out. Every cell carries its number up to 16 blocks.
    """
    values = pairwise_information(model)
    names = model.names
    size = 0.52 * min(len(names), _MOST_NUMBERS) + 0.9
    figure = style.new_figure(max(size + 1.7, 4.0), max(size + 0.7, 2.6))
    axes = figure.add_subplot()
    finite = [value for value in values.values() if 0.0 < value < math.inf]
    norm = _norm(finite)
    colours = matplotlib.colormaps[style.AMOUNT]
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if a != b:
                value = values[min((a, b), (b, a), key=lambda pair: names.index(pair[0]))]
                _cell(axes, j, i, value, norm, colours, numbered=len(names) <= _MOST_NUMBERS)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_aspect("equal")
    labels = [style.symbol(name) for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=10.5)
    axes.set_yticks(range(len(names)), labels, fontsize=10.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if finite:
        bar = figure.colorbar(matplotlib.cm.ScalarMappable(norm, colours), ax=axes, shrink=0.9, aspect=16)
        bar.set_label("mutual information [nats]" + (", log scale" if isinstance(norm, LogNorm) else ""))
        bar.outline.set_visible(False)
    else:
        axes.set_xlabel("mutual information [nats]")
    if title:
        figure.suptitle(title, fontsize=10.5)
    return figure


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
    numbered: bool,
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
    if numbered or math.isinf(value):
        dark = float(np.dot(colour[:3], (0.299, 0.587, 0.114))) < 0.5
        axes.text(
            x,
            y,
            style.nats(value),
            ha="center",
            va="center",
            fontsize=7.5,
            color="white" if dark else "black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if math.isinf(value) else None,
        )
