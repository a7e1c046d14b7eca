"""The panel Tuples: which rows, and what is done with them.

Owns layout and events. Gradio is given by the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.failing import in_a_line
from mmmi_hf.explorer.surroundings import MOST_MODALITIES, MOST_ROWS
from mmmi_hf.explorer.tuples.offered import DESIGN, offered
from mmmi_hf.explorer.tuples.requests import MOST_CAUSES, Asked, Requests

_OTHER = "common-cause-2.5"
_BEFORE = "Rows are made when you ask for them. The first take some seconds, as the pipeline is loaded."


def add(gr: Any, design: Any) -> None:
    """Add the panel to the page that is being made; `design` is the state of the panel Design."""
    names = list(offered())
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            name = gr.Dropdown(names, value=DESIGN, label="Data", elem_id="tuples-data")
            seed = gr.Textbox("0", label="Seed", max_lines=1, elem_id="tuples-seed")
            first = gr.Textbox("0", label="First row", max_lines=1, elem_id="tuples-first")
            count = gr.Radio([1, 2, 4, MOST_ROWS], value=4, label="Rows", elem_id="tuples-rows")
            problem = gr.HTML("", elem_id="tuples-problem")
            make = gr.Button("Make the rows", variant="primary", elem_id="tuples-make")
            with gr.Group():
                other = gr.Dropdown(
                    names, value=_OTHER, label="The same seed with the information of", elem_id="tuples-other"
                )
                compare = gr.Button("Compare", elem_id="tuples-compare")
            with gr.Group():
                causes = [(f"ũ{k}", k) for k in range(1, MOST_CAUSES + 1)]
                cause = gr.Dropdown(causes, value=1, label="Cause", elem_id="tuples-cause", filterable=False)
                anew = gr.Textbox("1", label="Seed of that cause", max_lines=1, elem_id="tuples-cause-seed")
                resample = gr.Button("Draw it anew, all else stays", elem_id="tuples-resample")
            with gr.Group():
                blocks = [(f"x{i}", i) for i in range(1, MOST_MODALITIES + 1)]
                modality = gr.Dropdown(blocks, value=1, label="Modality", elem_id="tuples-modality", filterable=False)
                invert = gr.Button("Invert the first row", elem_id="tuples-invert")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(html.note(_BEFORE), elem_id="tuples-shown")

    requests, progress = Requests(), gr.Progress()  # a default value of it is how Gradio knows who shows progress
    fields = [name, seed, first, count, design]
    busy: dict[str, Any] = {
        "show_progress": "full",
        "show_progress_on": shown,
        "api_visibility": "private",
        "preprocess": False,
        "concurrency_id": "rows",
        "concurrency_limit": 2,
    }

    def on(triggers: list[Any], answer: Callable[..., str], *more: Any) -> None:
        """What is shown after an event, or what is wrong; then what was shown stays."""

        def told(tick: Any = progress, *given: Any) -> list[Any]:
            try:
                return ["", answer(Asked(*given[: len(fields)]), *given[len(fields) :], tick)]
            except Exception as error:
                return [html.wrong(in_a_line(error)), gr.skip()]

        gr.on(triggers, told, [*fields, *more], [problem, shown], **busy)

    on([make.click, seed.submit, first.submit], requests.rows)
    on([compare.click], requests.compared, other)
    on([resample.click, anew.submit], requests.resampled, cause, anew)
    on([invert.click], requests.inverted, modality)
