"""Histograms of pointwise mutual information.

Owns what is compared: the mean of the rows with its standard error against the exact mutual information, and their
variance against Σ ρ². Imports causal/ and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmmi_hf.causal import CausalModel, NotExactError
from mmmi_hf.figures import style
from mmmi_hf.figures.pictures import Array

MOST_PANELS = 12
_LINES = 0.74
"""The part of a panel below its text."""
_ROUNDING = 1e-12
"""Nats that are drawn as 0: an axis of them would say nothing."""
Pair = tuple[str, str]


@style.look
def pointwise_histograms(model: CausalModel, values: Mapping[Pair, Array], *, title: str | None = None) -> Figure:
    """One histogram per pair of blocks, of at most 12 pairs; the figure says how many are left out.

    Args:
        model: gives I(a; b) and the variance of the pointwise values.
        values: (a, b) → pointwise mutual information of every row, (n,), in nats.

    Raises:
        ValueError: no pairs, fewer than two rows, or a value that is not finite.
    """
    for pair, one in values.items():
        if len(one) < 2 or not np.all(np.isfinite(one)):
            raise ValueError(f"pointwise values of {pair} are {len(one)} rows, expected at least 2, all finite")
    if not values:
        raise ValueError("values is empty, expected at least one pair of blocks")
    shown = list(values)[:MOST_PANELS]
    columns = min(len(shown), 3 if len(shown) <= 6 else 4)
    lines = -(-len(shown) // columns)
    figure = style.new_figure(max(2.75 * columns, 4.2), 2.35 * lines + 0.75)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, (a, b) in zip(grid.flat, shown, strict=False):
        _histogram(axes, model, (a, b), np.asarray(values[a, b], dtype=np.float64))
    left_out = len(values) - len(shown)
    remark = f"the first {len(shown)} of {len(values)} pairs" if left_out else ""
    heading = ": ".join(part for part in (title, remark) if part)
    if heading:
        figure.suptitle(heading, fontsize=10.5)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def _histogram(axes: Axes, model: CausalModel, pair: Pair, values: Array) -> None:
    exact = model.mutual_information(*pair)
    values = np.where(np.abs(values) <= _ROUNDING, 0.0, values)
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    axes.set_title(style.information(*pair) + f" = {style.nats(exact)} nats")
    if values.min() == values.max():
        axes.axvline(mean, color=style.SKY, linewidth=6.0, label="rows")
        axes.set_xlim(mean - 0.05, mean + 0.05)  # the limits of a single value would be rounding
    else:
        bins = min(40, max(8, round(math.sqrt(len(values)))))
        axes.hist(values, bins=bins, color=style.SKY, alpha=0.75, label="rows")
    axes.axvspan(mean - error, mean + error, color=style.ORANGE, alpha=0.45, linewidth=0.0, ymax=_LINES)
    axes.axvline(mean, color=style.ORANGE, linewidth=1.2, ymax=_LINES, label="their mean ± standard error")
    axes.axvline(exact, color=style.BLACK, linewidth=1.2, linestyle="--", ymax=_LINES, label="exact mutual information")
    axes.set_xlabel("pointwise information [nats]")
    axes.set_ylabel("rows")
    axes.locator_params(axis="x", nbins=5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    spread = f"s.d. {style.nats(float(values.std(ddof=1)))}"
    with suppress(NotExactError):
        spread += f" (exact {style.nats(math.sqrt(model.pointwise_variance(*pair)))})"
    axes.text(
        0.02,
        0.97,
        f"mean {style.with_error(mean, error)}\n{spread}\n{len(values):,} rows",
        transform=axes.transAxes,
        va="top",
        fontsize=7.0,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0},
    )
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)
