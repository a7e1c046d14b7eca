"""The information of several configurations side by side.

Owns the choice of quantities that are compared. Imports causal/ and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mmmi_hf.causal import CausalModel, InfiniteInformationError
from mmmi_hf.figures import style

Blocks = str | Sequence[str]
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LOG_FROM = 50.0
_APART, _SPREAD = 0.075, 0.7
"""Inches between the markers of one row, so that equal values hide none, and the share of a row that they take."""


@style.look
def family_overview(models: Mapping[str, CausalModel]) -> Figure:
    """I(x_i; y) of up to three modalities, I(x_1, …, x_M; y) and I(x_1; x_2) of every configuration, in nats.

    Infinite values are left out of the picture. Raises ValueError without models.
    """
    if not models:
        raise ValueError("models is empty, expected at least one configuration by name")
    quantities = list(dict.fromkeys(name for model in models.values() for name in _quantities(model)))
    values = {name: [_quantities(model).get(name, math.nan) for model in models.values()] for name in quantities}
    width = 3.0 + 0.083 * max(map(len, models)) + 1.3
    row = max(0.27, _APART * len(quantities) / _SPREAD)
    figure = style.new_figure(max(width, 5.5), row * len(models) + 1.1)
    axes = figure.add_subplot()
    count = len(quantities)
    for n, (name, series) in enumerate(values.items()):
        places = [place + _SPREAD * ((n + 0.5) / count - 0.5) for place in range(len(models))]
        shown = [value if math.isfinite(value) else math.nan for value in series]
        axes.plot(
            shown, places, linestyle="", marker=_MARKERS[n % 7], markersize=4.5, color=style.CYCLE[n % 7], label=name
        )
    for place in range(1, len(models), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#F4F4F4", zorder=0)
    axes.set_yticks(range(len(models)), list(models))
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_xlabel("mutual information [nats]")
    positive = [value for series in values.values() for value in series if 0.0 < value < math.inf]
    zeros = any(value == 0.0 for series in values.values() for value in series)
    if positive and not zeros and max(positive) >= _LOG_FROM * min(positive):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(value)))
    else:
        axes.set_xlim(left=-0.03 * max(positive, default=1.0))
    figure.legend(loc="outside right center")
    return figure


def _quantities(model: CausalModel) -> dict[str, float]:
    names = model.modalities
    queries: dict[str, tuple[Blocks, str]] = {style.information(name, "y"): (name, "y") for name in names[:3]}
    if len(names) > 1:
        queries[style.information(names, "y")] = (names, "y")
        queries[style.information(names[0], names[1])] = (names[0], names[1])
    found = {}
    for symbol, (a, b) in queries.items():
        try:
            found[symbol] = model.mutual_information(a, b)
        except InfiniteInformationError:
            found[symbol] = math.inf
    return found
