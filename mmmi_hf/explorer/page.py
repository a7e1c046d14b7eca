"""The page: its panels, its looks, and how it is served.

Owns the order of the panels, the theme and the style sheet. Gradio is imported inside.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mmmi_hf.explorer.surroundings import Surroundings

if TYPE_CHECKING:
    import gradio

TITLE = "mmmi-hf explorer"
ABOUT = "Multimodal data whose mutual information is known: design it, look at it, compare estimators with it."
_FONTS = ("system-ui", "sans-serif")
_LETTERS = ("ui-monospace", "monospace")


def page(surroundings: Surroundings | None = None) -> gradio.Blocks:
    """The page, ready to be launched; see `launch`."""
    import gradio as gr

    from mmmi_hf.explorer.design import panel as design
    from mmmi_hf.explorer.estimators import panel as estimators
    from mmmi_hf.explorer.reading import panel as reading
    from mmmi_hf.explorer.tuples import panel as tuples

    where = surroundings or Surroundings()
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 600)) as made:
        gr.HTML(f'<h1 class="mmmi-title">{TITLE}</h1><p class="mmmi-note">{ABOUT}</p>')
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Design", id="design"):
                last = design.add(gr)
            with gr.Tab("Tuples", id="tuples") as rows:
                tuples.add(gr, rows, last)
            with gr.Tab("Dataset", id="dataset"):
                reading.add(gr, where)
            with gr.Tab("Estimators", id="estimators") as results:
                estimators.add(gr, results)
    return made


def looks() -> dict[str, Any]:
    """Theme and style sheet, as `gradio.Blocks.launch` takes them: fonts of the reader's machine alone."""
    import gradio as gr

    theme = gr.themes.Base(
        primary_hue="blue", secondary_hue="blue", neutral_hue="slate", font=list(_FONTS), font_mono=list(_LETTERS)
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_300",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )
    return {"theme": theme, "css": (files("mmmi_hf.explorer") / "assets" / "page.css").read_text()}
