"""A drawing board in inches: nodes, arrows, and labels that keep out of each other's way.

Owns how nodes and edges of any graph look. Imports matplotlib and this room only. Every node and edge carries a group
id, "node:NAME" or "edge:START→END", so that what was drawn can be counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from mmmi_hf.figures import style
from mmmi_hf.figures.pictures import Array, show_pattern

Point = tuple[float, float]
Box = tuple[float, float, float, float]

RADIUS = 0.27
ICON = 0.36
_FILL = {"target": "#EBD3E1", "cause": "#FBE3B5", "modality": "#BFE5D9", "source": "#D3EBF9"}
_EDGE = {"target": style.PURPLE, "cause": style.ORANGE, "modality": style.GREEN, "source": style.SKY}
_PLACES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8)
_STEPS = 60
_ALONG = 0.3  # square inches that a label on the whole of another arrow counts


@dataclass
class Canvas:
    """One Axes whose units are inches, origin at the lower left."""

    axes: Axes
    taken: list[Box] = field(default_factory=list)
    lines: list[tuple[Point, Point]] = field(default_factory=list)

    @classmethod
    def on(cls, figure: Figure, width: float, height: float) -> Canvas:
        """The left part, `width` inches wide, of a figure."""
        total_width, total_height = figure.get_size_inches()
        axes = figure.add_axes((0.0, 0.0, width / total_width, height / total_height))
        axes.set_xlim(0.0, width)
        axes.set_ylim(0.0, height)
        axes.set_axis_off()
        return cls(axes)

    def node(self, name: str, kind: str, at: Point, label: str, *, width: float = 2 * RADIUS) -> None:
        """A circle for a hidden variable, a rounded box for an observed one (or for a group, by its width)."""
        x, y = at
        observed = kind in ("modality", "target")
        look: Any = {
            "facecolor": _FILL[kind],
            "edgecolor": _EDGE[kind],
            "linewidth": 1.5,
            "zorder": 3,
            "gid": f"node:{name}",
        }
        shape: Circle | FancyBboxPatch
        if observed or width > 2 * RADIUS:
            inset = 0.06 if observed else 0.2
            shape = FancyBboxPatch(
                (x - width / 2 + inset, y - RADIUS + inset),
                width - 2 * inset,
                2 * (RADIUS - inset),
                boxstyle=f"round,pad={inset}",
                **look,
            )
        else:
            shape = Circle(at, RADIUS, **look)
        self.axes.add_patch(shape)
        self.axes.text(x, y, label, ha="center", va="center", fontsize=11.5, zorder=4)
        self.taken.append((x - width / 2, y - RADIUS, x + width / 2, y + RADIUS))

    def edge(
        self, name: str, start: Point, end: Point, *, strength: float = 1.0, sign: float = 1.0, arrow: bool = True
    ) -> None:
        """An arrow (or a line) whose width and darkness grow with `strength`, 0 … 1; negative ones are dashed."""
        self.axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>" if arrow else "-",
                mutation_scale=7.0 + 3.0 * strength,
                linewidth=0.5 + 1.7 * strength,
                linestyle="-" if sign >= 0 else (0, (4, 2)),
                color="#333333" if sign >= 0 else style.VERMILLION,
                alpha=0.25 + 0.75 * strength,
                shrinkA=0.0,
                shrinkB=0.0,
                zorder=1 + strength,
                gid=f"edge:{name}",
            )
        )

    def keep_clear(self, start: Point, end: Point) -> None:
        """Labels of other arrows had better not lie on this one."""
        self.lines.append((start, end))

    def label(self, start: Point, end: Point, text: str, *, icon: Array | None = None, kind: str = "label") -> None:
        """A number on an edge, under a template's icon if there is one, where it covers least."""
        width = max(0.075 * len(text) + 0.06, 0.0 if icon is None else ICON)
        height = 0.16 + (0.0 if icon is None else ICON + 0.02)
        boxes = []
        for place in _PLACES:
            x, y = start[0] + place * (end[0] - start[0]), start[1] + place * (end[1] - start[1])
            boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        others = [line for line in self.lines if line != (start, end)]
        box = min(
            boxes,
            key=lambda one: (
                sum(_overlap(one, other) for other in self.taken) + sum(_ALONG * _covered(one, line) for line in others)
            ),
        )
        self.taken.append(box)
        middle = (box[0] + box[2]) / 2
        if icon is None and abs(end[0] - start[0]) < 0.1:
            middle += width / 2 + 0.05  # beside an upright arrow, which a 1 on it would look like
        self.axes.text(
            middle,
            box[1] + 0.08,
            text,
            ha="center",
            va="center",
            fontsize=8.5,
            zorder=6,
            gid=kind,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.9},
        )
        if icon is not None:
            self.icon((middle, box[3] - ICON / 2), icon)

    def icon(self, centre: Point, pattern: Array) -> None:
        """A template as a small picture."""
        x, y = centre
        inset = self.axes.inset_axes(
            (x - ICON / 2, y - ICON / 2, ICON, ICON), transform=self.axes.transData, zorder=5, gid="icon"
        )
        show_pattern(inset, pattern)

    def text(
        self, at: Point, text: str, *, align: str = "left", size: float = 8.5, colour: str = "#444444",
        upright: bool = False,
    ) -> None:  # fmt: skip
        """A remark; an upright one is read from below and stands around its place."""
        look: Any = {"ha": "center", "rotation": 90.0, "multialignment": "center"} if upright else {"ha": align}
        self.axes.text(*at, text, va="center", fontsize=size, color=colour, zorder=6, **look)


def _covered(box: Box, line: tuple[Point, Point]) -> float:
    """The share of a line that lies under a box."""
    (x, y), (to_x, to_y) = line
    steps = [(n + 0.5) / _STEPS for n in range(_STEPS)]
    places = [(x + step * (to_x - x), y + step * (to_y - y)) for step in steps]
    return sum(box[0] <= px <= box[2] and box[1] <= py <= box[3] for px, py in places) / _STEPS


def _overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 0.04
    height = min(a[3], b[3]) - max(a[1], b[1]) + 0.04
    return max(width, 0.0) * max(height, 0.0)


def heat_map(figure: Figure, place: Box, matrix: Array, rows: list[str], columns: list[str], title: str) -> None:
    """A matrix of coefficients, zero white, with its colour bar; `place` is (left, bottom, width, height) in inches."""
    width, height = figure.get_size_inches()
    left, bottom, wide, most = place
    high = min(most, max(0.35, 0.3 * len(rows)))
    bottom += most - high
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height), gid=f"matrix:{title}")
    limit = float(abs(matrix).max()) or 1.0
    image = axes.imshow(matrix, cmap=style.SIGNED, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    for axis, names in ((axes.yaxis, rows), (axes.xaxis, columns)):
        step = -(-len(names) // (12 if len(names) < 16 else 5))
        axis.set_ticks(range(0, len(names), step), [names[n] for n in range(0, len(names), step)])
    axes.tick_params(length=0, labelsize=8.0)
    axes.set_title(title, fontsize=9.5)
    bar = figure.add_axes(((left + wide + 0.1) / width, bottom / height, 0.1 / width, high / height))
    figure.colorbar(image, cax=bar)
    bar.set_ylim(min(float(matrix.min()), 0.0), limit)
    bar.locator_params(nbins=max(2, int(high / 0.25)))
    bar.tick_params(labelsize=7.5)
