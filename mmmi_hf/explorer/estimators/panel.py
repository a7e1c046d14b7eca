"""The panel Estimators: which results, in which order, and a visitor's own file.

Owns layout and events. Gradio is given by the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.estimators.answers import SORTS, compared, groups
from mmmi_hf.explorer.estimators.committed import committed
from mmmi_hf.explorer.estimators.own import read_results
from mmmi_hf.explorer.failing import in_a_line

_YOURS = "A file results.json or results.parquet, as mmmi-hf benchmark writes them, is shown beside these."
_DIRECTIONS = (("smallest first", "up"), ("largest first", "down"))


def add(gr: Any, tab: Any) -> None:
    """Add the panel to its tab of the page that is being made; its pictures are drawn when it is opened."""
    known = committed()
    first = next(iter(known))
    kinds = list(groups(known[first].rows))
    table, _ = compared(first, kinds[0], (), "RMSE", False, draw=False)
    own = gr.State((), time_to_live=3600)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            name = gr.Radio(list(known), value=first, label="Benchmark", elem_id="estimators-benchmark")
            group = gr.Dropdown(kinds, value=kinds[0], label="Data", elem_id="estimators-data", filterable=False)
            sort = gr.Dropdown(list(SORTS), value="RMSE", label="Order by", elem_id="estimators-sort", filterable=False)
            direction = gr.Radio(list(_DIRECTIONS), value="up", label="Direction", elem_id="estimators-direction")
            upload = gr.UploadButton(
                "Add results of your own",
                file_types=[".json", ".parquet"],
                elem_id="estimators-upload",
            )
            gr.HTML(html.note(_YOURS))
            forget = gr.Button("Remove them", visible=False, elem_id="estimators-forget")
            problem = gr.HTML("", elem_id="estimators-problem")
            remarks = gr.HTML(html.prose(known[first].remarks), elem_id="estimators-remarks")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(table, elem_id="estimators-table")
            drawn = gr.HTML("", elem_id="estimators-pictures")

    def draw(name: str, group: str, sort: str, direction: str, own: Any) -> list[Any]:
        try:
            return ["", *compared(name, group, own, sort, direction == "down")]
        except Exception as error:
            return [html.wrong(in_a_line(error)), gr.skip(), gr.skip()]

    def choose(name: str, own: Any) -> list[Any]:
        if not _is(name, known):
            return [gr.skip()] * 2
        choices = list(groups([*known[name].rows, *own]))
        return [gr.update(choices=choices, value=choices[0]), html.prose(known[name].remarks)]

    def read(file: Any, name: str) -> list[Any]:
        if not isinstance(file, dict) or not _is(name, known):
            return [gr.skip()] * 4
        try:
            rows = read_results(Path(file["path"]))
        except Exception as error:
            return [html.wrong(in_a_line(error)), *[gr.skip()] * 3]
        choices = list(groups([*known[name].rows, *rows]))
        mine = next(iter(groups(rows)))
        return ["", rows, gr.update(choices=choices, value=mine), gr.update(visible=True)]

    def remove(name: str) -> list[Any]:
        if not _is(name, known):
            return [gr.skip()] * 4
        choices = list(groups(known[name].rows))
        return ["", (), gr.update(choices=choices, value=choices[0]), gr.update(visible=False)]

    asked = [name, group, sort, direction, own]
    # Values are read as they come (`preprocess`), as everywhere on the page. Of a file Gradio has looked that it is one
    # that was uploaded; its own preparation would leave an empty one behind.
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "preprocess": False}
    chosen = name.change(choose, [name, own], [group, remarks], **quiet)
    # Two benchmarks may have the same kind of data: then its field does not change.
    chosen.then(draw, asked, [problem, shown, drawn], **quiet)
    changes = [tab.select, *(each.change for each in (group, sort, direction, own))]
    gr.on(changes, draw, asked, [problem, shown, drawn], trigger_mode="always_last", **quiet)
    changed = [problem, own, group, forget]
    upload.upload(read, [upload, name], changed, **quiet)
    forget.click(remove, name, changed, **quiet)


def _is(name: object, known: Any) -> bool:
    return isinstance(name, str) and name in known
