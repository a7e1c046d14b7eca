"""What an encoder keeps of y against what modalities share, and where: a panel for each way of learning.

Owns the figure of configurations of equal I(x1; y) that differ in the rest. It is drawn from summaries alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mmmi_hf.benchmark.downstream.probing import CONTROLS
from mmmi_hf.benchmark.downstream.ssl import KINDS
from mmmi_hf.benchmark.downstream.tasks import probe_score
from mmmi_hf.figures import style

Record = dict[str, Any]
_LEAST, _MOST = 0.12, 0.95  # of the colours, which end in what is hard to see on white


def shows_sharing(summary: Sequence[Record]) -> bool:
    """Whether I(x1; y) is one, and what is shared where y sits is known and is not."""
    known = [row for row in summary if not row["null"]]
    placed = [row["aligned"] for row in known]
    alike = np.ptp([row["information"] for row in known]) < 1e-6
    return bool(alike and None not in placed and np.ptp(placed) > 1e-6)


@style.look
def sharing_figure(summary: Sequence[Record], title: str) -> Figure:
    """R² or accuracy of the probe against I(E[y | x1]; x2), of what `shows_sharing`; colour: all of I(x1; x2).

    Triangles: x2 knows nothing of y. Points of equal I(E[y | x1]; x2) and different I(x1; x2) are set apart sideways.
    """
    score, label, limit = probe_score(summary[0]["task"])
    known = [row for row in summary if not row["null"]]
    methods = [method for method in KINDS if any(row["method"] == method for row in known)]
    levels = sorted({round(row["shared"], 6) for row in known})
    shade = dict(zip(levels, np.linspace(_LEAST, _MOST, len(levels)), strict=True))
    width = 0.012 * max(row["aligned"] for row in known)
    lines = {f"{each} (mean)": np.mean([r[score] for r in known if r["method"] == each]) for each in CONTROLS[:2]}
    figure = style.new_figure(3.0 * len(methods) + 1.4, 3.9)
    figure.suptitle(title)
    best = known[0][limit]
    shared = None
    for index, method in enumerate(methods):
        axes = shared = figure.add_subplot(1, len(methods), index + 1, sharey=shared)
        axes.axhline(best, color=style.BLACK, lw=1)
        for value in lines.values():
            axes.axhline(value, color=style.GREY, lw=1, ls=":")
        if index == 0:
            for name, value in {"at best": best, **lines}.items():
                low, left = name.startswith("raw"), not name.startswith("untrained")  # away from each other and points
                axes.annotate(
                    name,
                    (0.02 if left else 0.98, value),
                    xycoords=("axes fraction", "data"),
                    ha="left" if left else "right",
                    va="top" if low else "bottom",
                    size=7.5,
                )
        for row in (row for row in known if row["method"] == method):
            level = round(row["shared"], 6)
            axes.errorbar(
                row["aligned"] + width * _apart(row, known),
                row[score],
                yerr=1.96 * row[f"{score}_error"],
                fmt="o" if row["other"] > 0.0 else "^",
                ms=6,
                lw=1,
                color=colormaps[style.AMOUNT](shade[level]),
                mec=style.BLACK,
                mew=0.4,
            )
        axes.set(
            title=method,
            xlabel="nats shared where y sits",
            ylabel=f"{label} of a linear probe of y" if index == 0 else "",
        )
    handles = [
        figure.axes[0].plot([], [], marker, ms=6, color=style.GREY, label=text)[0]
        for marker, text in (("o", "x2 tells of y"), ("^", "x2 knows nothing of y"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), style.AMOUNT), ax=figure.axes, pad=0.01)
    bar.ax.set_ylim(_LEAST - 0.08, _MOST + 0.05)
    bar.set_ticks(list(shade.values()), labels=[f"{level:.2g}" for level in levels])
    bar.set_label("all of I(x1; x2), nats")
    return figure


def _apart(row: Record, known: Sequence[Record]) -> float:
    """How many steps sideways, of those that share as much where y sits in order of what they share in all."""
    beside = [other for other in known if np.isclose(other["aligned"], row["aligned"], rtol=1e-6, atol=1e-9)]
    totals = sorted({round(other["shared"], 6) for other in beside})
    return totals.index(round(row["shared"], 6)) - 0.5 * (len(totals) - 1)
