"""The common look of all figures, and how they are written.

Owns palette, fonts, number formats and the writing of files. Imports matplotlib (never pyplot: there is no global
state) and nothing of other rooms. A file depends on the figure alone: no dates, no versions, fixed identifiers.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from PIL import Image

from mmmi_hf.common.files import replacing

FORMATS = ("png", "pdf", "svg")
DPI = 130
MOST_PIXELS = 1250
_LETTER = 0.0875
"""Inches of an average letter of 10.5 points."""
_SMALLEST = 0.7
"""The least size of a title, as a part of the usual one."""

# Okabe and Ito's colours, which readers with any kind of colour vision tell apart.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#8A8A8A"
CYCLE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)

SIGNED = LinearSegmentedColormap.from_list("mmmi_signed", [VERMILLION, "#FFFFFF", BLUE])
"""Negative to positive, zero is white."""
AMOUNT = "cividis"
"""From little to much."""

_NOT_OURS = ("backend", "backend_fallback", "interactive", "toolbar", "timezone", "date.epoch")
_LOOK: Any = {name: value for name, value in matplotlib.rcParamsDefault.items() if name not in _NOT_OURS} | {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "savefig.dpi": "figure",
    "svg.hashsalt": "mmmi_hf",
    "pdf.fonttype": 42,
}
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}

look = matplotlib.rc_context(_LOOK)
"""Decorates every function that makes a figure, so that a user's own matplotlibrc changes nothing."""


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """An empty figure of so many inches; a wide one gets fewer pixels to the inch."""
    return Figure(
        figsize=(width, height), dpi=min(DPI, MOST_PIXELS / width), layout="constrained" if constrained else None
    )


def fitted(title: str, width: float) -> tuple[str, float]:
    """A title for a figure of so many inches, and its size in points: smaller if it is long, then cut in the middle."""
    room = max(width - 0.2, 1.0) / _LETTER
    longest = max(map(len, title.splitlines()), default=0)
    size = 10.5 * min(1.0, max(room / max(longest, 1), _SMALLEST))
    most = int(room / _SMALLEST)
    lines = (
        line if len(line) <= most else f"{line[: most // 2]}…{line[len(line) - most + most // 2 + 1 :]}"
        for line in title.splitlines()
    )
    return "\n".join(lines), size


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once. Raises ValueError for one that is not written."""
    unknown = [one for one in formats if one not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"format of files is {', '.join(unknown) or 'missing'}, expected some of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(formats))


@look
def save(figure: Figure, stem: str | os.PathLike[str], formats: Sequence[str] = ("png",)) -> list[Path]:
    """Write a figure to stem.png, …; its folder is made, and a file appears complete or not at all.

    Raises:
        ValueError: a format other than png, pdf and svg.
    """
    written = []
    for kind in check_formats(formats):
        path = Path(f"{os.fspath(stem)}.{kind}")
        with replacing(path) as partial:
            if kind == "png":
                partial.write_bytes(png(figure))
            else:
                figure.savefig(partial, format=kind, metadata=_METADATA[kind])
        written.append(path)
    return written


@look
def png(figure: Figure, *, effort: int = 6) -> bytes:
    """A figure as a PNG without an alpha channel and without metadata; `effort`, 1 … 9, is that of its compression."""
    canvas = _Canvas(figure)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # the layout knows the labels' sizes from the second drawing on
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    written = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(written, format="PNG", compress_level=effort)
    return written.getvalue()


class _Canvas(FigureCanvasAgg):
    """Formulae are set once per process: a renderer of one's own forgets them with every figure."""

    def get_renderer(self) -> Any:
        renderer = super().get_renderer()  # type: ignore[no-untyped-call]
        renderer.mathtext_parser = _formulae()
        return renderer


@cache
def _formulae() -> MathTextParser[Any]:
    return MathTextParser("path")


def number(value: float) -> str:
    """Three significant digits for people: 5,731 · 3.67 · 0.0125 · 1.2e−5 · 0 · ∞."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 999.5:
        text = f"{value:,.0f}" if size < 1e6 else f"{value:.2e}"
    elif size == 0.0 or size >= 1e-3:
        text = f"{value:.3g}"
    else:
        text = f"{value:.1e}"
    mantissa, _, exponent = text.partition("e")
    return (mantissa + (f"e{int(exponent)}" if exponent else "")).replace("-", "−")


def nats(value: float) -> str:
    """Information with three significant digits, trailing zeros kept: 1.00 · 0.688 · 5,731 · 0 · ∞."""
    size = abs(value)
    if 1e-3 <= size < 999.5:
        return f"{value:#.3g}".rstrip(".").replace("-", "−")
    return number(value)


def with_error(value: float, error: float) -> str:
    """An estimate ± its standard error, which has two significant digits: 1.028 ± 0.042."""
    places = 1 - math.floor(math.log10(error)) if error > 0.0 else 2
    places = min(max(places, 0), 9)
    return f"{value:,.{places}f} ± {error:,.{places}f}".replace("-", "−")


def decimals(value: float) -> str:
    """Two decimals for columns of numbers; large ones without."""
    return (f"{value:.2f}" if abs(value) < 999.5 else f"{value:,.0f}").replace("-", "−")


def symbol(*blocks: str) -> str:
    """Names of blocks as mathematics: x1 → $x_{1}$."""
    return f"${_joint(blocks)}$"


def cause(name: str) -> str:
    """A cause or source as mathematics: ũ1, û1 or c."""
    accent = {"ũ": r"\tilde{u}", "û": r"\hat{u}"}.get(name[0])
    return symbol(name) if accent is None else f"${accent}_{{{name[1:]}}}$"


def information(a: str | Sequence[str], b: str | Sequence[str]) -> str:
    """The symbol of the mutual information of two blocks."""
    return f"$I({_joint(a)};{_joint(b)})$"


def _joint(blocks: str | Sequence[str]) -> str:
    names = [blocks] if isinstance(blocks, str) else list(blocks)
    shown = [f"{name[0]}_{{{name[1:]}}}" if len(name) > 1 else name for name in names]
    return ",".join(shown if len(shown) <= 3 else [shown[0], r"\ldots", shown[-1]])


def pointwise(a: str | Sequence[str], b: str | Sequence[str]) -> str:
    """The symbol of the pointwise mutual information of two blocks."""
    return information(a, b).replace("I(", "i(")
