"""Figures of rows: tuples and histograms of pointwise information."""

import math

import numpy as np
import pytest

from mmmi_hf.causal import common_cause, independent
from mmmi_hf.figures import pointwise_histograms, style, tuple_grid
from mmmi_hf.figures.pointwise import MOST_PANELS

MODEL = common_cause((1, 4, 4), mi=1.0)
LATENTS = MODEL.sample(300, seed=5)
PAIRS = [("x1", "y"), ("x2", "y"), ("x1", "x2")]


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]


def grid(rows=4, **changes):
    data = {name: z[:rows] for name, z in LATENTS.z.items()} | {"x3": np.random.default_rng(0).normal(size=(rows, 20))}
    arguments = {
        "data": data,
        "numbers": {"$y$": LATENTS.y[:rows]},
        "half_ranges": dict.fromkeys(data, 4.0),
        "captions": {"x1": "class 7"},
        "title": "two\nlines",
    } | changes
    return tuple_grid(arguments.pop("data"), arguments.pop("numbers"), **arguments)


def test_a_row_has_every_modality_and_number():
    figure = grid()
    assert len(figure.axes) == 4 * 3
    assert {f"datum:{row},{name}" for row in range(4) for name in ("x1", "x2", "x3")} == {
        axes.get_gid() for axes in figure.axes
    }
    shown = texts(figure)
    assert {style.decimals(value) for value in LATENTS.y[:4]} <= set(shown)
    assert {"class 7", "two\nlines", "$y$", "$x_{1}$"} <= set(shown)


def test_names_of_classes_stand_where_numbers_do():
    assert {"boots", "bags"} <= set(texts(grid(2, numbers={"$y$": ["boots", "bags"]})))


def test_images_are_shown_on_the_fixed_range_and_series_as_curves():
    figure = grid()
    by_gid = {axes.get_gid(): axes for axes in figure.axes}
    image = by_gid["datum:2,x1"].get_images()[0]
    np.testing.assert_array_equal(image.get_array(), LATENTS.z["x1"][2, 0])
    assert image.get_clim() == (-4.0, 4.0)
    assert len(by_gid["datum:0,x3"].lines) == 1


def test_sounds_are_shown_by_their_kind_as_wave_form_and_spectrogram():
    tone = np.sin(2 * np.pi * 1000 * np.arange(2048) / 8000)
    figure = grid(1, data={"x1": tone[None]}, half_ranges={"x1": 2.0}, kinds={"x1": "sound"})
    (axes,) = figure.axes
    (spectrum,) = axes.get_images()
    levels = spectrum.get_array()
    assert np.argmax(levels, axis=0).tolist() == [1000 * 256 // 8000] * levels.shape[1]
    assert len(axes.lines) == 1
    assert axes.lines[0].get_ydata().min() > 0.66, "the wave form is clipped, and stays above the spectrogram"
    silent = grid(1, data={"x1": np.zeros((1, 64))}, half_ranges={"x1": 2.0}, kinds={"x1": "sound"})
    assert np.isfinite(silent.axes[0].get_images()[0].get_array()).all()


def test_colour_images_are_clipped_for_the_picture():
    figure = grid(1, data={"x1": np.linspace(-9, 9, 48).reshape(1, 3, 4, 4)}, half_ranges={"x1": 1.0})
    pixels = figure.axes[0].get_images()[0].get_array()
    assert pixels.shape == (4, 4, 3)
    assert (pixels.min(), pixels.max()) == (0.0, 1.0)


def test_rows_must_be_there_and_agree():
    with pytest.raises(ValueError, match="expected the same number"):
        grid(numbers={"$y$": LATENTS.y[:3]})
    with pytest.raises(ValueError, match="at least 1"):
        grid(0)


def pointwise(pairs, rows=300):
    return {pair: MODEL.pointwise_mutual_information(LATENTS, *pair)[:rows] for pair in pairs}


def test_a_panel_compares_the_mean_with_the_exact_value():
    values = pointwise(PAIRS)
    figure = pointwise_histograms(MODEL, values, title="small")
    assert len(figure.axes) == 3
    for axes, (pair, one) in zip(figure.axes, values.items(), strict=True):
        assert (
            sum(patch.get_height() for patch in axes.patches if patch.get_gid() is None and patch.get_height() >= 1)
            >= 300
        )
        lines = {line.get_label(): line.get_xdata()[0] for line in axes.lines}
        assert lines["exact mutual information"] == MODEL.mutual_information(*pair)
        assert lines["their mean ± standard error"] == pytest.approx(one.mean())
        (text,) = axes.texts
        assert style.with_error(one.mean(), one.std(ddof=1) / math.sqrt(300)) in text.get_text()
        assert style.nats(math.sqrt(MODEL.pointwise_variance(*pair))) in text.get_text()
        assert "nats" in axes.get_xlabel()
    assert figure.get_suptitle() == "small"


def test_what_is_left_out_is_said():
    model = common_cause((2,), modalities=6, mi=0.5)
    latents = model.sample(20, seed=1)
    names = model.modalities
    pairs = [(name, "y") for name in names] + [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    values = {pair: model.pointwise_mutual_information(latents, *pair) for pair in pairs}
    figure = pointwise_histograms(model, values)
    assert sum(axes.get_visible() for axes in figure.axes) == MOST_PANELS
    assert figure.get_suptitle() == f"the first {MOST_PANELS} of {len(pairs)} pairs"


def test_constant_values_are_one_line():
    figure = pointwise_histograms(MODEL, {("x1", "y"): np.full(9, 1.0)})
    assert "9 rows" in figure.axes[0].texts[0].get_text()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "values is empty"),
        ({("x1", "y"): np.ones(1)}, "1 rows, expected at least 2"),
        ({("x1", "y"): np.array([1.0, np.nan])}, "all finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(values, says):
    with pytest.raises(ValueError, match=says):
        pointwise_histograms(MODEL, values)


def test_rounding_gets_no_axis_of_its_own():
    rounding = np.random.default_rng(0).integers(-3, 1, 40) * 1e-17
    figure = pointwise_histograms(independent((1, 4, 4)), {("x1", "y"): np.zeros(40), ("x2", "y"): rounding})
    assert [axes.get_xlim() for axes in figure.axes] == [(-0.05, 0.05)] * 2


def test_names_of_classes_are_written_as_they_are(tmp_path):
    """ "$" is no formula, and a long name does not lie on the next column."""
    names = ["$\\bad{$", "1$", "a" * 80]
    figure = tuple_grid({"x1": np.zeros((3, 2, 2))}, {"y": names}, half_ranges={"x1": 1.0})
    assert style.save(figure, tmp_path / "tuples")[0].is_file()
    written = [text.get_text() for text in figure.texts]
    assert "$\\bad{$" in written
    assert "a" * 12 + "…" in written
