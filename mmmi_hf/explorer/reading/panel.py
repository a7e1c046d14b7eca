"""The panel Dataset: which one, which configuration of it, and what it holds.

Owns layout and events. Gradio is given by the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.failing import in_a_line
from mmmi_hf.explorer.reading.answers import described, located
from mmmi_hf.explorer.reading.places import Place, read_place
from mmmi_hf.explorer.surroundings import Surroundings

_NONE_OFFERED = (
    "This page offers no dataset, and a public page opens no path and no address of a visitor. Run "
    "`mmmi-hf explore` on your own machine to open a folder or a repository."
)
_BEFORE = (
    "Open a dataset of this package to see its ground truth, what its certificate says, some rows, and what plain "
    "load_dataset gives. It is read as any user reads it; nothing of it is kept."
)


def add(gr: Any, where: Surroundings) -> None:
    """Add the panel to the page that is being made."""
    if where.public and not where.datasets:
        gr.HTML(html.note(_NONE_OFFERED))
        return
    found = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            if where.public:
                name = gr.Dropdown(
                    list(where.datasets), value=where.datasets[0], label="Dataset", elem_id="dataset-name"
                )
                revision = gr.Textbox("", visible=False)
            else:
                name = gr.Textbox(
                    "", label="Folder, or owner/name of the Hub", max_lines=1, elem_id="dataset-name",
                    placeholder="my-dataset",
                )  # fmt: skip
                revision = gr.Textbox(
                    "", label="Revision, of the Hub", max_lines=1, elem_id="dataset-revision",
                    placeholder="the newest release",
                )  # fmt: skip
            problem = gr.HTML("", elem_id="dataset-problem")
            button = gr.Button("Open", variant="primary", elem_id="dataset-open")
            config = gr.Dropdown([], label="Configuration", visible=False, elem_id="dataset-config", filterable=False)
            source = gr.HTML("", elem_id="dataset-source")
            certificate = gr.HTML("", elem_id="dataset-certificate")
        with gr.Column(scale=3, min_width=300):
            truth = gr.HTML(html.note(_BEFORE), elem_id="dataset-truth")
            pictures = gr.HTML("", elem_id="dataset-pictures")
            plain = gr.HTML("", elem_id="dataset-plain")
    parts = [truth, certificate, pictures, plain]

    def open_it(given: Any, tag: Any) -> list[Any]:
        try:
            wanted = read_place(given, tag, where)
            root, names, said = located(wanted)
        except Exception as error:
            return [html.wrong(in_a_line(error)), None, gr.update(visible=False), "", *[""] * 4]
        state, listed = (
            (wanted.name, wanted.revision, str(root)),
            gr.update(choices=names, value=names[0], visible=True),
        )
        problem, *parts = choose(state, names[0])
        return [problem, state, listed, html.note(said), *parts]

    def choose(opened: Any, chosen: Any) -> list[Any]:
        if opened is None:
            return [gr.skip()] * 5
        try:
            return ["", *_shown(Place(*opened[:2]), Path(opened[2]), str(chosen))]
        except Exception as error:
            return [html.wrong(in_a_line(error)), *[""] * 4]

    busy: dict[str, Any] = {
        "show_progress": "minimal",
        "show_progress_on": problem,
        "api_visibility": "private",
        "preprocess": False,
    }
    opening = [button.click] if where.public else [button.click, name.submit, revision.submit]
    gr.on(opening, open_it, [name, revision], [problem, found, config, source, *parts], **busy)
    config.input(choose, [found, config], [problem, *parts], **busy)


def _shown(where: Place, root: Any, name: str) -> list[str]:
    told = described(where, root, name)
    return [
        html.heading(name) + told.truth,
        html.heading("Certificate") + told.certificate,
        html.heading("Pictures") + told.pictures,
        html.heading("What plain load_dataset gives") + told.plain,
    ]
