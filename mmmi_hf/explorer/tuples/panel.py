"""The panel Tuples: which rows, and what is done with them.

Owns layout and events. Gradio is given by the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.failing import in_a_line
from mmmi_hf.explorer.surroundings import MOST_ROWS
from mmmi_hf.explorer.tuples.offered import DESIGN, offered
from mmmi_hf.explorer.tuples.requests import Asked, Requests, counts

_OTHER = "common-cause-2.5"
_COMPARE = "The same random numbers under another model: what changes is what the information makes of them."
_RESAMPLE = "An intervention: one common cause gets other random numbers. Images it does not reach stay as they are."
_INVERT = "The way back from an image to the latents it was made of, and to the image again."
_LOOK = (
    "() => { const shown = document.getElementById('tuples-shown'); if (innerWidth < 700 && "
    "!document.querySelector('#tuples-problem p')) shown.scrollIntoView(); }"
)
"""On a phone what was made is below all controls."""
_BEFORE = "Rows are made when you ask for them. The first take some seconds, as the pipeline is loaded."


def add(gr: Any, tab: Any, design: Any) -> None:
    """Add the panel to its tab of the page that is being made; `design` is the state of the panel Design."""
    names = list(offered())
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            name = gr.Dropdown(
                names, value=DESIGN, label="Data", elem_id="tuples-data",
                info="“the design” is what the panel Design shows; the others are released configurations.",
            )  # fmt: skip
            with gr.Row():
                seed = gr.Textbox("0", label="Seed", max_lines=1, elem_id="tuples-seed", min_width=120)
                first = gr.Textbox("0", label="First row", max_lines=1, elem_id="tuples-first", min_width=120)
            count = gr.Radio([1, 2, 4, MOST_ROWS], value=4, label="Rows", elem_id="tuples-rows")
            problem = gr.HTML("", elem_id="tuples-problem")
            make = gr.Button("Make the rows", variant="primary", elem_id="tuples-make")
            with gr.Group():
                gr.HTML(html.note(_COMPARE), padding=True)
                other = gr.Dropdown(
                    names, value=_OTHER, label="The same seed with the information of", elem_id="tuples-other"
                )
                compare = gr.Button("Compare", elem_id="tuples-compare")
            with gr.Group():
                gr.HTML(html.note(_RESAMPLE), padding=True)
                cause = gr.Dropdown(_numbered("ũ", 2), value=1, label="Cause", elem_id="tuples-cause", filterable=False)
                anew = gr.Textbox("1", label="Seed of that cause", max_lines=1, elem_id="tuples-cause-seed")
                resample = gr.Button("Draw it anew, all else stays", elem_id="tuples-resample")
            with gr.Group():
                gr.HTML(html.note(_INVERT), padding=True)
                modality = gr.Dropdown(
                    _numbered("x", 2), value=1, label="Modality", elem_id="tuples-modality", filterable=False
                )
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

        done = gr.on(triggers, told, [*fields, *more], [problem, shown], **busy)
        done.then(None, js=_LOOK)

    def fit(name: Any, design: Any, *chosen: Any) -> list[Any]:
        try:
            there = counts(name, design)
        except ValueError:
            return [gr.skip()] * 2
        return [
            gr.update(choices=_numbered(letter, count), value=now if now in range(1, count + 1) else 1)
            for letter, count, now in zip("ũx", there, chosen, strict=True)
        ]

    on([make.click, seed.submit, first.submit], requests.rows)
    on([compare.click], requests.compared, other)
    on([resample.click, anew.submit], requests.resampled, cause, anew)
    on([invert.click], requests.inverted, modality)
    gr.on(
        [tab.select, name.change], fit, [name, design, cause, modality], [cause, modality],
        show_progress="hidden", api_visibility="private", preprocess=False,
    )  # fmt: skip


def _numbered(letter: str, count: int) -> list[tuple[str, int]]:
    return [(f"{letter}{n}", n) for n in range(1, count + 1)]
