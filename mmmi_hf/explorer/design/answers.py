"""What the page says of a design: pictures, table, texts to copy; or what is wrong, with the nearest that can be had.

Owns the words. Draws with figures/; nothing here needs Gradio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.errors import InfeasibleError
from mmmi_hf.explorer import html
from mmmi_hf.explorer.design.controls import Control, Slider
from mmmi_hf.explorer.design.kinds import Found, Kind
from mmmi_hf.explorer.drawing import GRAPH, INFORMATION, TEMPLATES, shown

NAME = "designed"
_FEW = 3
_LONG = re.compile(r"\d+\.\d{5,}(e[+-]?\d+)?")
"""Numbers with more digits than people read."""


@dataclass(frozen=True)
class Answer:
    """What is shown of a design; nothing but `problem` and `nearest` where there is no such model.

    Attributes:
        problem: what is wrong, in a line; empty if nothing is.
        nearest: control → the nearest value that can be had, of those that would have to move.
        pictures, table: HTML.
        yaml, command, python: to copy.
        values: of the controls, where the model exists.
    """

    problem: str = ""
    nearest: Mapping[str, float] | None = None
    pictures: str = ""
    table: str = ""
    yaml: str = ""
    command: str = ""
    python: str = ""
    values: Mapping[str, Any] | None = None


def answer(kind: Kind, given: Mapping[str, object]) -> Answer:
    """What to show for the values of a kind's controls; errors become a line, as they are a visitor's."""
    from mmmi_hf.dataset.releases.designed import designed

    try:
        values = kind.read(given)
        found = kind.make(values)
        config = designed(NAME, found.model, found.spec, found.description)
        return Answer(
            "", None, _pictures(found.model), _table(found), config.to_yaml(), found.command, found.python, values
        )
    except InfeasibleError as error:
        return Answer(_said(kind, str(error)), _moved(kind, error))
    except (ValueError, ArithmeticError) as error:
        return Answer(str(error))


def _said(kind: Kind, message: str) -> str:
    """An error in the words of the page: what its controls are called, and no more digits than people read."""
    for control in kind.controls:
        if "(" in control.name:
            message = message.replace(control.name, _label(control))
    return _LONG.sub(lambda found: f"{float(found[0]):.4g}", message)


def _label(control: Control) -> str:
    return control.label.removesuffix(" in nats")


def offer(kind: Kind, nearest: Mapping[str, float]) -> str:
    """What the button says that moves the controls there."""
    labels = {control.name: _label(control) for control in kind.controls}
    return "Use " + ", ".join(f"{labels[name]} = {value:.4g}" for name, value in nearest.items())


def _moved(kind: Kind, error: InfeasibleError) -> dict[str, float]:
    """The nearest values of the controls that would have to move, within their ranges."""
    sliders = {control.name: control for control in kind.controls if isinstance(control, Slider)}
    return {
        name: value
        for name, value in error.nearest.items()
        if name in sliders and value != error.wanted.get(name) and sliders[name].low <= value <= sliders[name].high
    }


def _pictures(model: CausalModel) -> str:
    from mmmi_hf.figures import causal_graph, information_table, templates_and_maps

    digest = model.digest
    graph = shown(
        lambda: causal_graph(model, compact=True), f"Causal graph. {_equations(model)}", GRAPH, "graph", digest
    )
    table = shown(
        lambda: information_table(model, compact=True),
        "Mutual information of every pair of blocks as a heat map; the numbers are in the table below.",
        INFORMATION,
        "information",
        digest,
    )
    maps = shown(
        lambda: templates_and_maps(model, compact=True),
        "Where each cause is in each image, and how much every single latent coordinate tells of y.",
        TEMPLATES,
        "templates",
        digest,
    )
    return html.pictures(graph, table, maps, tall=True)


def _equations(model: CausalModel) -> str:
    from mmmi_hf.dataset.cards.text import graph_text

    return "; ".join(line.strip() for line in graph_text(model).splitlines() if "=" in line)


def _table(found: Found) -> str:
    """The information that the ground truth of such a dataset would state: of many modalities what concerns y."""
    from mmmi_hf.causal.quantities import read, reported_values
    from mmmi_hf.causal.quantities.quantity import NATS
    from mmmi_hf.figures.style import nats

    values = reported_values(found.model)
    if len(found.model.modalities) > _FEW:
        values = {name: value for name, value in values.items() if ";y)" in name and "|" not in name}
    kinds = {name: read(name).kind for name in values}
    rows = [
        (f"{name}\n{kinds[name].meaning}", nats(value) + (f" {kinds[name].unit}" if kinds[name].unit != NATS else ""))
        for name, value in values.items()
    ]
    chosen = html.heading("Chosen where your wishes leave it open") + html.listed(found.choices)
    caption = "Table of information, exact, in nats where nothing else is said"
    return html.table(("quantity", "value"), rows, caption=caption, right=(1,)) + (chosen if found.choices else "")
