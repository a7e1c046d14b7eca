"""Three figures at the top of a card: errors of values, what intervals hold, and what realism costs.

Owns what is drawn of several results folders together. Reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mmmi_hf.benchmark.protocol.plan import FORMS
from mmmi_hf.figures import style

Record = dict[str, Any]
_LIMIT = 0.6  # of a bias, as a part of the largest truth, that axes show
_ABREAST = 4  # panels


@style.look
def errors_figure(sections: Mapping[str, Sequence[Record]]) -> Figure:
    """Estimate − truth of every cell, a panel per kind of data, a line per estimator; darker where the truth is larger.

    Args:
        sections: name → rows of the results table, four abreast. What lies outside the panel stands at its edge, as a
            triangle.
    """
    titles = list(sections)
    bands = [titles[start : start + _ABREAST] for start in range(0, len(titles), _ABREAST)]
    named = [list(dict.fromkeys(row["estimator"] for title in band for row in sections[title])) for band in bands]
    heights = [0.9 + 0.235 * len(names) for names in named]
    figure = style.new_figure(3.0 * len(bands[0]) + 1.6, sum(heights))
    grid = figure.add_gridspec(len(bands), len(bands[0]), height_ratios=heights)
    for title, (band, index) in zip(titles, ((k // _ABREAST, k % _ABREAST) for k in range(len(titles))), strict=True):
        rows, names = sections[title], named[band]
        place = {name: index for index, name in enumerate(names)}
        axes = figure.add_subplot(grid[band, index])
        shown = [row for row in rows if row["value"] is not None]
        top = max((row["truth"] for row in shown), default=1.0) or 1.0
        limit = _LIMIT * top
        axes.axvline(0, color=style.GREY, lw=1, zorder=1)
        for row in shown:
            error = row["value"] - row["truth"]
            inside = abs(error) <= limit
            marker = "o" if inside else ">" if error > 0 else "<"
            colour = style.VERMILLION if row["null"] else style.BLUE
            alpha = 1.0 if row["null"] else 0.25 + 0.75 * row["truth"] / top
            axes.plot(
                float(np.clip(error, -limit, limit)),
                place[row["estimator"]],
                marker,
                ms=3.6,
                color=colour,
                alpha=alpha,
                mew=0,
            )
        axes.set(title=title, xlabel="estimate − truth (nats)", ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)))
        axes.set_xlim(-1.06 * limit, 1.06 * limit)
        axes.set_yticklabels(names if index == 0 else [])
        axes.grid(axis="y", color="#E8E8E8", lw=0.6)
        axes.set_axisbelow(True)
    return figure


@style.look
def intervals_figure(summary: Sequence[Record]) -> Figure:
    """How often stated intervals hold the truth, and how often those of a null lie above 0, with exact intervals.

    Args:
        summary: of one or more kinds of data, each estimator with all of them together. Who states none is left out.
    """
    summary = [row for row in summary if (row["coverage"], row["alarms"]) != (None, None)]
    names = list(dict.fromkeys(row["estimator"] for row in summary))
    figure = style.new_figure(8.6, 0.9 + 0.235 * len(names))
    for index, (name, title, mark) in enumerate(
        (
            ("coverage", "intervals of 95 % that hold the truth", 0.95),
            ("alarms", "intervals of the null above 0", 0.025),
        )
    ):
        axes = figure.add_subplot(1, 2, index + 1)
        axes.axvline(mark, color=style.GREY, lw=1)
        for place, row in enumerate(summary):
            if row[name] is not None:
                axes.plot([row[name]["low"], row[name]["high"]], [place, place], color=style.BLUE, lw=1.4)
                axes.plot(row[name]["value"], place, "o", color=style.BLUE, ms=4)
        axes.set(title=title, xlim=(-0.03, 1.03), ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_yticklabels(names if index == 0 else [])
        axes.grid(axis="y", color="#E8E8E8", lw=0.6)
        axes.set_axisbelow(True)
    return figure


@style.look
def forms_figure(rows: Sequence[Record]) -> Figure:
    """The same rows as latents, numbers of images and 8-bit pictures, side by side: a panel per level.

    Args:
        rows: of the results table, with several forms.
    """
    names = list(dict.fromkeys(row["estimator"] for row in rows))
    levels = sorted({row["truth"] for row in rows})
    figure = style.new_figure(2.6 * len(levels) + 1.6, 1.2 + 0.29 * len(names))
    colours = dict(zip(FORMS, (style.BLUE, style.GREEN, style.VERMILLION), strict=True))
    labels = {"float": "images, floats", "latents": "latents", "views": "images, 8 bits"}
    shift = {"latents": -0.24, "float": 0.0, "views": 0.24}
    for index, level in enumerate(levels):
        axes = figure.add_subplot(1, len(levels), index + 1)
        axes.axvline(level, color=style.GREY, lw=1)
        limit = max(1.6 * level, 0.4)
        for row in rows:
            if row["truth"] != level or row["value"] is None:
                continue
            height = names.index(row["estimator"]) + shift[row["form"]]
            value, reach = row["value"], 1.96 * (row["standard_error"] or 0.0)
            colour = colours[row["form"]]
            if -0.25 * limit <= value <= limit:
                axes.plot([value - reach, value + reach], [height, height], color=colour, lw=1.1)
                axes.plot(value, height, "o", ms=3.2, color=colour)
            else:
                axes.plot(
                    limit if value > limit else -0.25 * limit, height, ">" if value > limit else "<", ms=4, color=colour
                )
        title = "null" if level == 0.0 else f"{level:g} nats"
        axes.set(
            title=title, xlim=(-0.28 * limit, 1.04 * limit), ylim=(len(names) - 0.4, -0.6), xlabel="estimate (nats)"
        )
        axes.set_yticks(range(len(names)), names if index == 0 else [""] * len(names))
        axes.grid(axis="y", color="#E8E8E8", lw=0.6)
        axes.set_axisbelow(True)
    handles = [figure.axes[0].plot([], [], "o", ms=4, color=colours[form], label=labels[form])[0] for form in shift]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure
