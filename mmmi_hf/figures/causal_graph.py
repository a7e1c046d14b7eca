"""The causal graph of any model (the paper's Figs. 1a and 5).

Owns the layout: the target above, then common causes, modalities and vector sources; arrows as wide as their
coefficients, with numbers while there are few, beside matrices when there are many, and one node for a whole layer of
very many. Imports causal/ and this room only.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mmmi_hf.causal import CausalModel
from mmmi_hf.figures import style
from mmmi_hf.figures.canvas import RADIUS, Box, Canvas, Point, heat_map
from mmmi_hf.figures.graph import (
    Edge,
    Kind,
    categorical_cause,
    causal_structure,
    has_causes,
    pairwise_information,
    templates_of,
)
from mmmi_hf.figures.pictures import Array

MOST_NODES = 12
"""A layer of more nodes is drawn as one."""
MOST_LABELS = 12
"""More arrows between two layers carry no numbers; a matrix stands beside the graph."""

MOST_ARROWS = 36
"""Of more arrows between two layers only the strongest to or from each node is drawn; the matrix has them all."""

_LEFT = 1.25
_SPELT = 4  # categories of which the probabilities are no longer spelt out
_WRAPPED, _COMPACT_WRAPPED = 84, 52  # characters of a line under the title
_PANEL = 3.3
_COMPACT_LEFT, _COMPACT_WIDTH = 0.45, 3.3
_PANEL_ROW, _ABOVE_PANEL = 0.35, 0.75
_Panel = tuple[Array, list[str], list[str], str]
"""A matrix, the names of its rows and columns, and its heading."""
_LAYERS: tuple[tuple[Kind, str], ...] = (
    ("target", "target"),
    ("cause", "common causes"),
    ("modality", "modalities"),
    ("source", "vector sources"),
)
_BUNDLES: tuple[tuple[Kind, Kind], ...] = (("cause", "target"), ("cause", "modality"), ("source", "modality"))


@style.look
def causal_graph(model: CausalModel, *, title: str | None = None, compact: bool = False) -> Figure:
    """The model as a directed acyclic graph with its coefficients η_k, w_ik and G_ij.

    On the arrows of a categorical cause stand its means in the modality, in standard deviations of the noise. What the
    arrows leave out, as a common scale or absences, stands under the title. A model of `from_matrix` has no causes:
    its blocks are drawn with the mutual information between them, in nats, and the figure says so. A compact figure
    can be read at the width of a phone.
    """
    drawn = has_causes(model) or categorical_cause(model) is not None
    return _layers(model, title, compact) if drawn else _blocks(model, title)


def _layers(model: CausalModel, title: str | None, compact: bool) -> Figure:
    graph = causal_structure(model)
    names = {kind: graph.layer(kind) for kind, _ in _LAYERS}
    shown = {kind: _together(layer) if len(layer) > MOST_NODES else layer for kind, layer in names.items()}
    widest = max(map(len, shown.values()))
    bundles = {bundle: graph.between(*bundle) for bundle in _BUNDLES}
    labelled = {
        bundle: len(edges) <= MOST_LABELS and all(shown[kind] == names[kind] for kind in bundle)
        for bundle, edges in bundles.items()
    }
    category = categorical_cause(model)
    signs = category is not None or (model.target is not None and model.target.made_of is not None)
    panels = _matrices(model, names, labelled | ({("cause", "target"): True} if signs else {}))
    one_template, icons = _icons(model, bundles["cause", "modality"], labelled["cause", "modality"])
    remark = textwrap.wrap(model.law.remark, _COMPACT_WRAPPED if compact else _WRAPPED)

    left, width = _LEFT, max(4.4, widest * (1.75 if widest <= 4 else 0.92))
    if compact:
        left, width = _COMPACT_LEFT, max(_COMPACT_WIDTH, widest * 0.7)
    heights = (1.15, 1.35 + (0.75 if icons else 0.0) + 0.05 * widest, 1.3 + 0.09 * widest)
    if compact:
        heights = (0.95, heights[1] - 0.2, 1.0 + 0.09 * widest)
    under = [_PANEL_ROW * len(rows) + _ABOVE_PANEL for _, rows, _, _ in panels] if compact else []
    bottom = 0.55 + sum(under) if compact else 0.42
    levels = np.cumsum([0.0, *heights[::-1]])[::-1] + bottom
    top = float(levels[0]) + 0.42 + (0.3 if title else 0.0) + 0.17 * len(remark)
    total = left + width + 0.1 + (_PANEL if panels and not compact else 0.0)
    figure = style.new_figure(total, top, constrained=False)
    canvas = Canvas.on(figure, left + width, top)
    if title:
        text, size = style.fitted(title, total)
        canvas.text((0.1, top - 0.2), text, size=size, colour="black")
    _remark(canvas, remark, top - (0.46 if title else 0.2))

    def side(height: float, text: str) -> None:
        canvas.text((0.2 if compact else 0.1, height), text, upright=compact)

    at: dict[str, Point] = {}
    for (kind, heading), level in zip(_LAYERS, levels, strict=True):
        side(float(level), _heading(model, kind, heading))
        layer = shown[kind]
        for n, name in enumerate(layer):
            place = (left + (n + 0.5) * width / len(layer), float(level))
            group = layer != names[kind]
            at |= dict.fromkeys(names[kind] if group else [name], place)
            label = f"{style.cause(names[kind][0])} … {style.cause(names[kind][-1])}" if group else style.cause(name)
            canvas.node(name, kind, place, label, width=1.5 if group else 2 * RADIUS)
    grouped = {name: shown[kind][0] for kind, layer in names.items() if shown[kind] != layer for name in layer}
    for bundle, edges in bundles.items():
        telling = edges if len(edges) <= MOST_ARROWS else _strongest(edges)
        if len(telling) < len(edges) and not set(shown[bundle[0]] + shown[bundle[1]]) - set(at):
            middle = (at[telling[0].start][1] + at[telling[0].end][1]) / 2
            side(middle, "strongest arrows;\nthe matrix has all")
        numbered = labelled[bundle] and not (signs and bundle[1] == "target")
        _draw(canvas, telling, at, grouped, labelled=numbered, icons=icons if bundle[1] == "modality" else {})
    if one_template is not None:
        _one_template(canvas, one_template, (left + width - 0.3, float(levels[0])), "\n" if compact else " ")
    _draw_panels(figure, panels, left, left + width, top, under)
    return figure


def _draw_panels(
    figure: Figure, panels: Sequence[_Panel], left: float, right: float, top: float, under: Sequence[float]
) -> None:
    """The matrices right of the graph, or below it where `under` says how high each stands there."""
    for n, (matrix, rows, columns, heading) in enumerate(panels):
        high = (top - 0.5) / len(panels) - 0.55
        box: Box = (right + 0.65, 0.4 + n * (high + 0.55), _PANEL - 1.3, high)
        if under:
            box = (left + 0.4, 0.3 + sum(under[:n]), _PANEL - 1.3, _PANEL_ROW * len(rows))
        heat_map(figure, box, matrix, [*map(style.cause, rows)], [*map(style.cause, columns)], heading)


def _remark(canvas: Canvas, lines: list[str], height: float) -> None:
    """What the arrows leave out, from this height downwards."""
    for n, line in enumerate(lines):
        canvas.text((0.1, height - 0.17 * n), line)


def _heading(model: CausalModel, kind: Kind, heading: str) -> str:
    """What a layer is, in as many words as fit beside the graph."""
    category = categorical_cause(model)
    if kind == "cause" and category is not None:
        chances = ", ".join(style.number(float(each)) for each in category.probabilities)
        count = len(category.probabilities)
        return f"categorical cause:\n{f'p = {chances}' if count < _SPELT else f'{count} categories'}"
    if kind == "target" and model.target is not None:
        return f"{heading}:\n{f'{model.classes} classes' if model.target.kind == 'classes' else model.target.kind}"
    return heading


def _strongest(edges: list[Edge]) -> list[Edge]:
    """The strongest arrow from each start and to each end, the first of equal ones."""
    kept = set()
    for node in dict.fromkeys(name for edge in edges for name in (edge.start, edge.end)):
        own = [edge for edge in edges if node in (edge.start, edge.end)]
        kept.add(max(own, key=lambda edge: abs(edge.coefficient)))
    return [edge for edge in edges if edge in kept]


def _together(layer: list[str]) -> list[str]:
    return [f"{layer[0]}…{layer[-1]}"]


def _matrices(
    model: CausalModel, names: dict[Kind, list[str]], labelled: dict[tuple[Kind, Kind], bool]
) -> list[_Panel]:
    """The coefficients that the arrows do not tell, from the bottom of the figure to its top."""
    panels: list[_Panel] = []
    category = categorical_cause(model)
    if category is not None:
        if not labelled["cause", "modality"]:
            numbers = [f"c{label + 1}" for label in range(len(category.probabilities))]
            panels.append((category.means, names["modality"], numbers, "means $m_{ic}$"))
        return panels
    if not labelled["source", "modality"]:
        panels.append((model.mixing, names["modality"], names["source"], "mixing $G_{ij}$"))
    if not labelled["cause", "modality"]:
        panels.append((model.weights, names["modality"], names["cause"], "weights $w_{ik}$"))
    if not labelled["cause", "target"]:
        panels.append((model.eta[None, :], names["target"], names["cause"], r"target $\eta_k$"))
    return panels


def _icons(model: CausalModel, edges: list[Edge], labelled: bool) -> tuple[Array | None, dict[tuple[str, str], Array]]:
    """The template of all edges if it is one, else the template of every edge while they are few."""
    templates = templates_of(model)
    found = {
        (edge.start, edge.end): value
        for edge in edges
        if (value := templates[edge.start][model.modalities.index(edge.end)]) is not None
    }
    if not found:
        return None, {}
    first = next(iter(found.values()))
    if all(value.shape == first.shape and np.array_equal(value, first) for value in found.values()):
        return first, {}
    return None, found if labelled else {}


def _draw(
    canvas: Canvas,
    edges: list[Edge],
    at: dict[str, Point],
    grouped: dict[str, str],
    *,
    labelled: bool,
    icons: dict[tuple[str, str], Array],
) -> None:
    largest = max((abs(edge.coefficient) for edge in edges), default=1.0)
    drawn = set()
    for edge in edges if labelled else ():
        canvas.keep_clear(*_ends(at[edge.start], at[edge.end]))
    for edge in edges:
        name = f"{grouped.get(edge.start, edge.start)}→{grouped.get(edge.end, edge.end)}"
        if name in drawn:
            continue
        drawn.add(name)
        single = edge.start not in grouped and edge.end not in grouped
        start, end = _ends(at[edge.start], at[edge.end])
        strength = abs(edge.coefficient) / largest if single else 0.3
        canvas.edge(name, start, end, strength=strength, sign=edge.coefficient if single else 1.0)
        if labelled:
            told = edge.told or style.number(edge.coefficient)
            canvas.label(start, end, told, icon=icons.get((edge.start, edge.end)))


def _ends(start: Point, end: Point) -> tuple[Point, Point]:
    """An arrow between the rims of two nodes."""
    up = math.copysign(RADIUS, end[1] - start[1])
    return (start[0], start[1] + up), (end[0], end[1] - up)


def _one_template(canvas: Canvas, template: Array, at: Point, space: str) -> None:
    canvas.icon(at, template)
    canvas.text((at[0] - 0.26, at[1]), f"template of{space}every\narrow from{space}a cause", align="right")


def _blocks(model: CausalModel, title: str | None) -> Figure:
    """Blocks on a circle, lines between them as wide as their information."""
    values = pairwise_information(model)
    names = model.names
    radius = 1.35 if len(names) <= 4 else 0.36 * len(names)
    size = 2 * radius + 1.5
    width = max(size, 5.2)
    figure = style.new_figure(width, size + 0.75, constrained=False)
    canvas = Canvas.on(figure, width, size + 0.75)
    heading = "dense linear model: no causes to draw"
    text, points = style.fitted(f"{title}: {heading}" if title else heading, width)
    canvas.text((0.1, size + 0.5), text, size=points, colour="black")
    canvas.text((0.1, size + 0.2), "lines: mutual information in nats; none where it is 0")
    at = {}
    for n, name in enumerate(names):
        angle = math.pi / 2 - 2 * math.pi * (n + 1) / len(names)
        at[name] = (width / 2 + radius * math.cos(angle), size / 2 + radius * math.sin(angle))
        canvas.node(name, "target" if name == "y" else "modality", at[name], style.symbol(name))
    finite = [value for value in values.values() if math.isfinite(value)]
    largest = max(finite, default=0.0) or 1.0
    lines = {pair: value for pair, value in values.items() if value > 0.0}
    for (a, b), value in lines.items():
        strength = min(value / largest, 1.0)
        canvas.edge(f"{a}–{b}", at[a], at[b], strength=strength, arrow=False)
    if len(lines) <= 2 * MOST_LABELS:
        for (a, b), value in lines.items():
            canvas.label(at[a], at[b], style.nats(value))
    return figure
