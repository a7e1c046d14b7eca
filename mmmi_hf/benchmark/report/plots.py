"""Plots of the benchmark, from records alone.

Owns what is drawn; the look of figures and their files are those of `mmmi_hf.figures.style`. Reads no files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from mmmi_hf.figures import style

Record = dict[str, Any]
_LINES = ("-", "--", ":")
LOUD = 4.0
"""A value that many times the median of all would hide the others on a linear axis."""


@style.look
def truth_figure(rows: Sequence[Record], title: str | None, *, compact: bool = False) -> Figure:
    """Estimate against truth, a panel per estimator: one point per cell with its interval, nulls as crosses.

    Args:
        rows: of the results table, one kind of data, pair and number of training rows.
        compact: so that it can be read at the width of a phone.
    """
    names = list(dict.fromkeys(row["estimator"] for row in rows))
    figure, panels = _grid(len(names), title, "true mutual information (nats)", "estimate (nats)", compact)
    shown = [row for row in rows if row["value"] is not None]
    top = 1.08 * max([row["truth"] for row in shown] + [0.1])
    values = [row["value"] for row in shown] or [0.0]
    bottom, ceiling = min(-0.12 * top, min(values) - 0.05 * top), max(top, max(values) + 0.05 * top)
    bottom, ceiling = max(bottom, -0.6 * top), min(ceiling, 1.8 * top)
    for name, axes in zip(names, panels, strict=True):
        axes.plot([0, top], [0, top], color=style.GREY, lw=1, zorder=1)
        left_out = 0
        for null, marker, colour in ((False, "o", style.BLUE), (True, "x", style.VERMILLION)):
            mine = [row for row in shown if row["estimator"] == name and row["null"] is null]
            if not mine:
                continue
            x = np.array([row["truth"] for row in mine]) + _beside(mine, top)
            y = np.array([row["value"] for row in mine])
            reach = np.array([0.0 if row["high"] is None else row["high"] - row["value"] for row in mine])
            axes.errorbar(
                x,
                y,
                yerr=reach,
                fmt=marker,
                ms=3.5 if not null else 5,
                color=colour,
                lw=0.8,
                zorder=3,
                label="null" if null else None,
            )
            left_out += sum(not bottom <= float(value) <= ceiling for value in y)
        heading = f"{name}\n({left_out} outside)" if left_out else name  # in the panel it would lie on the data
        axes.set(title=heading, xlim=(-0.04 * top, top), ylim=(bottom, ceiling))
    with_null = [axes for axes in panels if axes.get_legend_handles_labels()[1]]
    if with_null:
        with_null[0].legend(loc="upper left")
    return figure


@style.look
def bias_figure(summary: Sequence[Record], title: str | None, *, compact: bool = False) -> Figure:
    """Bias, standard deviation between seeds and RMSE of every estimator, with intervals.

    Where a few values would hide the others, their axis is logarithmic, that of the bias beyond the power of ten that
    the median size is below.

    Args:
        summary: of one kind of data, pair and number of training rows.
        compact: so that it can be read at the width of a phone.
    """
    figure = style.new_figure(4.4 if compact else 8.4, 1.3 + 0.28 * len(summary))
    figure.suptitle(title or "")
    names = [row["estimator"] for row in summary]
    places = np.arange(len(names))
    for index, (quantity, label) in enumerate(
        (("bias", "bias (nats)"), ("variance", "sd between seeds (nats)"), ("rmse", "RMSE (nats)"))
    ):
        axes = figure.add_subplot(1, 3, index + 1)
        axes.axvline(0, color=style.GREY, lw=1)
        shown: list[float] = []
        for place, row in zip(places.tolist(), summary, strict=True):
            entry = row[quantity]
            if entry is None:
                axes.text(0.03, place, "–", transform=axes.get_yaxis_transform(), va="center")
                continue
            ends = [float(entry[k]) for k in ("low", "high", "value") if entry[k] is not None]
            *reach, value = [math.sqrt(end) for end in ends] if quantity == "variance" else ends
            if reach:
                axes.plot(reach, [place, place], color=style.CYCLE[index], lw=1.2)
            axes.plot(value, place, "o", color=style.CYCLE[index], ms=4)
            shown.append(value)
        shown_label = label.replace("between ", "between\n") if compact else label
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=shown_label, yticks=places)
        axes.set_yticklabels(names if index == 0 else [])
        axes.xaxis.set_major_locator(MaxNLocator(2 if compact else 4))
        sizes = np.abs(shown)
        middle = float(np.median(sizes)) if shown else 0.0
        if not middle or sizes.max() <= LOUD * middle:
            continue
        linear, end = 10.0 ** math.ceil(math.log10(middle)), 10.0 ** math.floor(math.log10(sizes.max()))
        if quantity == "bias" and end > linear:
            axes.set_xscale("symlog", linthresh=linear)
            axes.xaxis.set_major_locator(FixedLocator([-linear, linear, *([] if compact else (-end, 0.0, end))]))
            axes.xaxis.set_major_formatter("{x:g}")
        elif quantity != "bias" and sizes.min() > 0.0:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
    return figure


@style.look
def curves_figure(summary: Sequence[Record], title: str) -> Figure:
    """Bias and RMSE against the number of training rows, a line per estimator."""
    figure = style.new_figure(9.4, 3.6)
    figure.suptitle(title)
    names = list(dict.fromkeys(row["estimator"] for row in summary))
    for index, (quantity, label) in enumerate((("bias", "bias (nats)"), ("rmse", "RMSE (nats)"))):
        axes = figure.add_subplot(1, 2, index + 1)
        if quantity == "bias":
            axes.axhline(0, color=style.GREY, lw=1)
        for k, name in enumerate(names):
            mine = sorted((r["n"], r[quantity]["value"]) for r in summary if r["estimator"] == name and r[quantity])
            if not mine:
                continue
            line = _LINES[k // len(style.CYCLE) % len(_LINES)]
            axes.plot(
                *zip(*mine, strict=True), line, marker="o", ms=3, color=style.CYCLE[k % len(style.CYCLE)], label=name
            )
        sizes = sorted({row["n"] for row in summary})
        axes.set(xlabel="training rows", ylabel=label, xscale="log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axes.minorticks_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    return figure


def _grid(count: int, title: str | None, x_label: str, y_label: str, compact: bool) -> tuple[Figure, list[Axes]]:
    columns = min(3 if compact else 4, count)
    lines = -(-count // columns)
    width, height = (1.25, 1.45) if compact else (2.15, 2.1)
    figure = style.new_figure(width * columns + 0.6, height * lines + 0.7)
    figure.suptitle(title or "")
    figure.supxlabel(x_label)
    figure.supylabel(y_label)
    axes: list[Axes] = []
    for index in range(count):
        panel = figure.add_subplot(
            lines, columns, index + 1, sharex=axes[0] if axes else None, sharey=axes[0] if axes else None
        )
        if index % columns:
            panel.tick_params(labelleft=False)
        if index + columns < count:
            panel.tick_params(labelbottom=False)
        axes.append(panel)
    return figure, axes


def _beside(rows: Iterable[Record], top: float) -> np.ndarray:
    """Seeds of one level stand side by side."""
    seeds = np.array([row["seed"] for row in rows], dtype=float)
    return np.asarray((seeds - seeds.mean()) * 0.012 * top)
