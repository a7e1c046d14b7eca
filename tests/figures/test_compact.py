"""Compact figures: at the width of a phone every word of them can be read, and lies within the figure."""

import numpy as np
import pytest

from mmmi_hf.benchmark.report.plots import bias_figure, truth_figure
from mmmi_hf.explorer.design.kinds import kinds
from mmmi_hf.explorer.estimators.answers import groups
from mmmi_hf.explorer.estimators.committed import committed
from mmmi_hf.figures import causal_graph, information_table, templates_and_maps, tuple_grid
from mmmi_hf.figures.style import png

PHONE = 340  # pixels that a picture has there
LEAST = 6.0  # of the smallest letters, such as those of a range in a template, for six modalities; two have 8


def models():
    for kind in kinds().values():
        start = {control.name: control.start for control in kind.controls}
        yield pytest.param(kind.make(start).model, 8.0, id=kind.name)
        if "modalities" in start:
            yield pytest.param(kind.make(start | {"modalities": 6}).model, LEAST, id=f"{kind.name}-6")


def check(figure, least):
    png(figure)
    renderer = figure.canvas.get_renderer()
    width, height = figure.get_size_inches() * figure.dpi
    texts = [text for text in figure.findobj(lambda one: hasattr(one, "get_text")) if text.get_text().strip()]
    shown = [text for text in texts if text.get_visible()]
    smallest = min(text.get_fontsize() for text in shown) / 72 * PHONE / figure.get_size_inches()[0]
    assert smallest >= least, smallest
    for text in shown:
        box = text.get_window_extent(renderer)
        if box.width:
            assert -1 <= box.x0 < box.x1 <= width + 1, text.get_text()
            assert -1 <= box.y0 < box.y1 <= height + 1, text.get_text()


@pytest.mark.parametrize(("model", "least"), list(models()))
@pytest.mark.parametrize("draw", [causal_graph, information_table, templates_and_maps])
def test_of_models(draw, model, least):
    check(draw(model, compact=True), least)
    assert draw(model, compact=True).get_figwidth() <= draw(model).get_figwidth()


@pytest.mark.parametrize(("count", "least"), [(2, 9.0), (3, 7.5), (6, 7.0)])
def test_of_tuples(count, least):
    data = {f"x{n + 1}": np.zeros((2, 1, 4, 4)) for n in range(count)}
    numbers = {"row": ["0", "1"], "$y$": np.array([0.5, -12.25])}
    captions = dict.fromkeys(data, "T - shirt / top")
    figure = tuple_grid(data, numbers, half_ranges=dict.fromkeys(data, 1.0), captions=captions, compact=True)
    check(figure, least)


def test_of_estimators():
    benchmark = committed()["latents"]
    group, (series, a, b, n) = next(iter(groups(benchmark.rows).items()))
    rows = [row for row in benchmark.rows if (row["series"], row["a"], row["b"], row["n"]) == (series, a, b, n)]
    summary = [row for row in benchmark.summary if (row["series"], row["pair"], row["n"]) == (series, f"{a}:{b}", n)]
    for figure in (truth_figure(rows, None, compact=True), bias_figure(summary, None, compact=True)):
        assert figure.get_figwidth() <= 4.5, group
        assert 8.5 / 72 * PHONE / figure.get_figwidth() >= 8.0
