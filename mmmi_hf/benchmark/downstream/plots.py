"""Plots of regression, classification and self-supervised learning, in the look of `mmmi_hf.figures.style`.

They are drawn from summaries alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mmmi_hf.benchmark.downstream.probing import METHODS
from mmmi_hf.benchmark.downstream.regression import BINS
from mmmi_hf.benchmark.downstream.sharing_figure import sharing_figure, shows_sharing
from mmmi_hf.benchmark.downstream.tasks import PROBED, input_names, learned
from mmmi_hf.common.files import slug
from mmmi_hf.figures import style

Record = dict[str, Any]


@style.look
def regression_figure(summary: Sequence[Record], title: str) -> Figure:
    """RMSE / σ_y against I(inputs; y) with its floor, and error histograms of the lowest and highest level,
    both of the first inputs."""
    figure = style.new_figure(9.4, 3.8)
    figure.suptitle(title)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    known = [row for row in summary if not row["null"]]
    ordered = sorted({(row["information"], row["floor"] / row["sigma"]) for row in known})
    left.plot(*zip(*ordered, strict=True), "_-", color=style.GREY, lw=1, label="floor")
    for k, inputs in enumerate(dict.fromkeys(row["inputs"] for row in known)):
        mine = sorted((row for row in known if row["inputs"] == inputs), key=lambda row: float(row["information"]))
        left.errorbar(
            [row["information"] for row in mine],
            [row["rmse"] / row["sigma"] for row in mine],
            yerr=[1.96 * row["rmse_error"] / row["sigma"] for row in mine],
            fmt="o-",
            ms=4,
            lw=1,
            color=style.CYCLE[k % len(style.CYCLE)],
            label=input_names(inputs),
        )
    nulls = [row for row in summary if row["null"]]
    if nulls:
        left.errorbar(
            [0.0] * len(nulls),
            [row["rmse"] / row["sigma"] for row in nulls],
            yerr=[1.96 * row["rmse_error"] / row["sigma"] for row in nulls],
            fmt="x",
            ms=5,
            lw=1,
            color=style.BLACK,
            label="null",
        )
    left.set(xlabel="I(inputs; y) (nats)", ylabel="RMSE / standard deviation of y", ylim=(0, None))
    left.legend()
    single = sorted(
        (row for row in known if row["inputs"] == known[0]["inputs"]), key=lambda row: float(row["information"])
    )
    for k, row in enumerate([single[0], single[-1]] if len(single) > 1 else single):
        right.stairs(
            *histogram_density(np.array(row["histogram"], dtype=float), row["rmse"] / row["sigma"]),
            color=style.CYCLE[k],
            lw=1.5,
            label=f"{row['config']}, {row['inputs']}: {row['information']:.2f} nats",
        )
    right.set(xlabel="error / standard deviation of y", ylabel="density")
    right.legend()
    right.set_ylim(top=1.25 * right.get_ylim()[1])
    return figure


@style.look
def ssl_figure(summary: Sequence[Record], title: str) -> Figure:
    """R² of the probe against I(x1; x2) and against I(x1; y), with its ceiling."""
    figure = style.new_figure(9.4, 3.8)
    figure.suptitle(title)
    known = [row for row in summary if not row["null"]]
    nulls = [row for row in summary if row["null"]]
    lowest = max(-1.0, min([row["r_squared"] - 1.96 * row["r_squared_error"] for row in summary] + [0.0]))
    for index, (name, label) in enumerate((("shared", "I(x1; x2) (nats)"), ("information", "I(x1; y) (nats)"))):
        axes = figure.add_subplot(1, 2, index + 1)
        ordered = sorted({(row[name], row["ceiling"]) for row in known})
        axes.plot(*zip(*ordered, strict=True), "_-", color=style.GREY, lw=1, label="ceiling")
        for method in dict.fromkeys(row["method"] for row in known):
            mine = sorted((row for row in known if row["method"] == method), key=lambda row: float(row[name]))
            axes.errorbar(
                [row[name] for row in mine],
                [row["r_squared"] for row in mine],
                yerr=[1.96 * row["r_squared_error"] for row in mine],
                fmt="o-",
                ms=4,
                lw=1,
                color=style.CYCLE[METHODS.index(method)],
                label=method,
            )
        if nulls:
            axes.errorbar(
                [row[name] if name == "shared" else 0.0 for row in nulls],
                [row["r_squared"] for row in nulls],
                yerr=[1.96 * row["r_squared_error"] for row in nulls],
                fmt="x",
                ms=5,
                lw=1,
                color=style.BLACK,
                label="null",
            )
        if name == "shared" and max(row[name] for row in known) > 10.0 * min(row[name] for row in known) > 3.0:
            axes.set_xscale("log")
        axes.set(
            xlabel=label,
            ylabel="R² of a linear probe of y" if index == 0 else "",
            ylim=(min(-0.05, 1.1 * lowest), 1.05),
        )
        axes.axhline(0, color=style.GREY, lw=0.6)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@style.look
def classification_figure(summary: Sequence[Record], title: str) -> Figure:
    """Accuracy of every method in every configuration, beside the Bayes accuracy of its inputs."""
    known = [row for row in summary if not row["null"]]
    configs = list(dict.fromkeys(row["config"] for row in known))
    ways = list(dict.fromkeys((row["method"], row["inputs"]) for row in known))
    figure = style.new_figure(7.5, 1.3 + 0.14 * len(configs) * (1 + len(ways)))
    axes = figure.add_subplot()
    for n, way in enumerate(ways):
        mine = [row for row in known if (row["method"], row["inputs"]) == way]
        places = [configs.index(row["config"]) + 0.8 * ((n + 0.5) / len(ways) - 0.5) for row in mine]
        colour = style.CYCLE[n % len(style.CYCLE)]
        axes.errorbar(
            [row["accuracy"] for row in mine],
            places,
            xerr=[1.96 * row["accuracy_error"] for row in mine],
            fmt="o",
            ms=4,
            lw=1,
            color=colour,
            label=f"{way[0]}, {input_names(way[1])}",
        )
        best = [(row["bayes_accuracy"], y) for row, y in zip(mine, places, strict=True) if row["bayes_accuracy"]]
        if best:
            axes.plot(*zip(*best, strict=True), "|", ms=7, mew=2, color=colour)
    axes.set_yticks(range(len(configs)), configs)
    axes.set_ylim(len(configs) - 0.5, -0.5)
    axes.set(xlabel="accuracy (| the Bayes accuracy of the same inputs)", title=title)
    figure.legend(loc="outside right center")
    return figure


_FIGURES = {
    "regression": (regression_figure, "regression of y"),
    "ssl": (ssl_figure, "self-supervised learning"),
    "classification": (classification_figure, "classification of y"),
    "ssl-classes": (classification_figure, "self-supervised learning, classes"),
}


def write_downstream_plots(summary: Sequence[Record], folder: Path) -> list[Path]:
    """A picture per kind of data and task that has a result; returns where they are."""
    written = []
    there = learned(summary)
    for series, task in dict.fromkeys((row["series"], row["task"]) for row in there if not row["null"]):
        mine = [row for row in there if (row["series"], row["task"]) == (series, task)]
        draw, what = _FIGURES[task]
        if task in PROBED and shows_sharing(mine):
            draw = sharing_figure
        written += style.save(draw(mine, f"{what}, {series}"), folder / f"{task}-{slug(series)}")
    return written


def histogram_density(counts: np.ndarray, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Densities and edges of a histogram over `BINS`, neighbours merged to about the width of Scott's rule."""
    width, bins = BINS[1] - BINS[0], len(counts)
    wanted = 3.49 * deviation / counts.sum() ** (1 / 3) / width
    together = min((k for k in range(1, bins + 1) if bins % k == 0), key=lambda k: abs(k - wanted))
    merged = counts.reshape(-1, together).sum(axis=1)
    return merged / merged.sum() / (together * width), BINS[::together]
