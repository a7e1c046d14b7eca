"""The panel Design: controls at the left, what they mean at the right.

Owns layout and events. Gradio is given by the page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.design.answers import Answer, answer, offer
from mmmi_hf.explorer.design.controls import Choice, Control
from mmmi_hf.explorer.design.kinds import Kind, kinds

if TYPE_CHECKING:
    import gradio

FIRST = "wanted"
_STAYS = "Pictures, table and texts still show the last design that can be had."


def starting() -> tuple[str, dict[str, Any]]:
    """The kind and the values that a visitor sees first."""
    return FIRST, {control.name: control.start for control in kinds()[FIRST].controls}


def add(gr: Any) -> gradio.State:
    """Add the panel to the page that is being made; returns the state that holds the last design: (kind, values)."""
    known = kinds()
    first = answer(known[FIRST], starting()[1])
    last, nearest = gr.State(starting()), gr.State({})
    controls: dict[tuple[str, str], Any] = {}
    groups: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=300, elem_classes="mmmi-controls"):
            kind = gr.Radio(
                [(each.label, each.name) for each in known.values()], value=FIRST, label="Story", elem_id="design-kind"
            )
            for each in known.values():
                with gr.Group(visible=each.name == FIRST) as group:
                    gr.HTML(html.note(each.about), padding=True)
                    for control in each.controls:
                        controls[each.name, control.name] = _component(gr, each, control)
                groups.append(group)
            problem = gr.HTML("", elem_id="design-problem")
            nearer = gr.Button("Use the nearest", visible=False, variant="primary", elem_id="design-nearest")
        with gr.Column(scale=3, min_width=300):
            pictures = gr.HTML(first.pictures, elem_id="design-pictures")
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            table = gr.HTML(first.table, elem_id="design-table")
        with gr.Column(scale=3, min_width=300):
            command = _to_copy(gr, "Command", first.command, "design-command", 4)
            python = _to_copy(gr, "Python", first.python, "design-python", 6)
            yaml = _to_copy(gr, "YAML", first.yaml, "design-yaml", 12)
    outputs = [problem, nearer, nearest, pictures, table, yaml, command, python, last]

    def draw(name: str, *values: Any) -> list[Any]:
        of_kind = _chosen(known, name)
        given = {key: value for (owner, key), value in zip(controls, values, strict=True) if owner == of_kind.name}
        return _updates(gr, of_kind, answer(of_kind, given))

    def choose(name: str) -> list[Any]:
        return [gr.update(visible=each.name == _chosen(known, name).name) for each in known.values()]

    def move(name: str, values: dict[str, float]) -> list[Any]:
        return [values.get(key, gr.skip()) if owner == name and key in values else gr.skip() for owner, key in controls]

    inputs = [kind, *controls.values()]
    # Values are read as they come (`preprocess`): of a wrong one Gradio would tell the visitor in its own way.
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "preprocess": False}
    changes = [each.change for each in inputs]
    gr.on(changes, draw, inputs, outputs, trigger_mode="always_last", **quiet)
    kind.change(choose, kind, groups, **quiet)
    nearer.click(move, [kind, nearest], list(controls.values()), **quiet)
    return last


def _chosen(known: dict[str, Kind], name: object) -> Kind:
    return known[name] if isinstance(name, str) and name in known else known[FIRST]


def place_of(kind: Kind, control: Control) -> str:
    """What a control is called on the page."""
    return f"design-{kind.name}-{re.sub('[^A-Za-z0-9]+', '-', control.name).strip('-')}"


def _component(gr: Any, kind: Kind, control: Control) -> Any:
    place = place_of(kind, control)
    if isinstance(control, Choice):
        return gr.Radio(list(control.options), value=control.start, label=control.label, elem_id=place)
    return gr.Slider(
        control.low, control.high, value=control.start, step=control.step, label=control.label, elem_id=place
    )


def _to_copy(gr: Any, label: str, text: str, place: str, lines: int) -> Any:
    return gr.Textbox(
        text, label=label, lines=lines, max_lines=lines, interactive=False, buttons=["copy"], elem_id=place,
        elem_classes="mmmi-copy",
    )  # fmt: skip


def _updates(gr: Any, kind: Kind, found: Answer) -> list[Any]:
    """What changes on the page: of what cannot be had the message alone, and pictures stay."""
    if found.values is None:
        moves = dict(found.nearest or {})
        button = gr.update(visible=bool(moves), value=offer(kind, moves) if moves else "Use the nearest")
        return [html.wrong(found.problem) + html.note(_STAYS), button, moves, *[gr.skip()] * 6]
    shown = [found.pictures, found.table, found.yaml, found.command, found.python]
    return ["", gr.update(visible=False), {}, *shown, (kind.name, dict(found.values))]
