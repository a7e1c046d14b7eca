"""Information against the number of the modality, for several strengths of decay (the paper's Fig. 6).

Owns the two panels. Imports causal/ and this room only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from mmmi_hf.causal import CausalModel
from mmmi_hf.figures import style

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class DecaySetting:
    """A model and the decays α (of shared sources) and β (of the cause) that it was made with."""

    alpha: float
    beta: float
    model: CausalModel


def decay_series(model: CausalModel) -> tuple[list[float], list[float]]:
    """I(x_i; y) for i = 1 … M, and I(x_1; x_i) for i = 2 … M, in nats."""
    first, *others = model.modalities
    return (
        [model.mutual_information(name, "y") for name in model.modalities],
        [model.mutual_information(first, name) for name in others],
    )


@style.look
def decay_curves(settings: Sequence[DecaySetting]) -> Figure:
    """I(x_i; y) and I(x_1; x_i) against i: a colour and marker for every α, a line style for every β.

    Raises:
        ValueError: no settings, or a model of fewer than two modalities.
    """
    if not settings or any(len(setting.model.modalities) < 2 for setting in settings):
        raise ValueError(
            f"settings holds {len(settings)} models, expected at least one, each of two or more modalities"
        )
    alphas = sorted({setting.alpha for setting in settings})
    betas = sorted({setting.beta for setting in settings})
    figure = style.new_figure(9.2, 3.6)
    left, right = figure.subplots(1, 2)
    for setting in settings:
        look = _look(alphas.index(setting.alpha), betas.index(setting.beta))
        about_target, with_first = decay_series(setting.model)
        left.plot(range(1, len(about_target) + 1), about_target, **look)
        right.plot(range(2, len(with_first) + 2), with_first, **look)
    _panel(left, "$I(x_i;y)$ [nats]", max(len(setting.model.modalities) for setting in settings))
    _panel(right, "$I(x_1;x_i)$ [nats]", max(len(setting.model.modalities) for setting in settings))
    right.set_yscale("log")
    right.yaxis.set_major_formatter(ScalarFormatter())
    left.set_ylim(bottom=0.0)
    handles = [
        left.plot([], [], **(_look(n, 0) | {"linestyle": ""}), label=rf"$\alpha={a:g}$")[0]
        for n, a in enumerate(alphas)
    ]
    handles += [
        left.plot([], [], color=style.GREY, linestyle=_LINES[n % len(_LINES)], label=rf"$\beta={b:g}$")[0]
        for n, b in enumerate(betas)
    ]
    figure.legend(handles=handles, loc="outside right center")
    return figure


def _look(alpha: int, beta: int) -> dict[str, object]:
    return {
        "color": style.CYCLE[alpha % len(style.CYCLE)],
        "marker": _MARKERS[alpha % len(_MARKERS)],
        "linestyle": _LINES[beta % len(_LINES)],
        "markersize": 4.0,
        "linewidth": 1.2,
    }


def _panel(axes: Axes, label: str, modalities: int) -> None:
    axes.set_xlabel("number of the modality, $i$")
    axes.set_ylabel(label)
    axes.set_xticks(range(1, modalities + 1, -(-modalities // 12)))
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
