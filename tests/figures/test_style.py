"""The common look: numbers, files that are the same bytes each time, refusals."""

import hashlib
import os
import subprocess
import sys

import matplotlib
import pytest
from PIL import Image

from mmmi_hf.causal import common_cause
from mmmi_hf.figures import causal_graph, save, style

MODEL = common_cause((1, 4, 4), mi=1.0)
PROGRAM = """
import sys
from mmmi_hf.causal import common_cause
from mmmi_hf.figures import causal_graph, save
save(causal_graph(common_cause((1, 4, 4), mi=1.0)), sys.argv[1], ("png", "pdf", "svg"))
print("matplotlib.pyplot" in sys.modules, "torch" in sys.modules)
"""


def digests(stem):
    return {kind: hashlib.sha256(stem.with_suffix(f".{kind}").read_bytes()).hexdigest() for kind in style.FORMATS}


@pytest.mark.parametrize(
    ("value", "short", "nats"),
    [
        (0.0, "0", "0"),
        (1.0, "1", "1.00"),
        (-0.5, "−0.5", "−0.500"),
        (0.68845, "0.688", "0.688"),
        (0.0124, "0.0124", "0.0124"),
        (0.000012, "1.2e−5", "1.2e−5"),
        (100.0, "100", "100"),
        (999.6, "1,000", "1,000"),
        (5731.4, "5,731", "5,731"),
        (2.5e7, "2.50e7", "2.50e7"),
        (float("inf"), "∞", "∞"),
    ],
)
def test_numbers(value, short, nats):
    assert style.number(value) == short
    assert style.nats(value) == nats


def test_a_standard_error_has_two_digits_and_its_mean_the_same_places():
    assert style.with_error(1.0284, 0.0421) == "1.028 ± 0.042"
    assert style.with_error(-1217.58, 6.83) == "−1,217.6 ± 6.8"
    assert style.with_error(1.0, 0.0) == "1.00 ± 0.00"


def test_symbols():
    assert style.symbol("x10") == "$x_{10}$"
    assert style.information("x1", "y") == "$I(x_{1};y)$"
    assert style.information(("x1", "x2"), "y") == "$I(x_{1},x_{2};y)$"
    assert style.information(("x1", "x2", "x3", "x4"), "y") == r"$I(x_{1},\ldots,x_{4};y)$"
    assert style.pointwise("x1", "x2") == "$i(x_{1};x_{2})$"
    assert (style.decimals(-0.316), style.decimals(1173.2)) == ("−0.32", "1,173")


def test_files_are_the_same_bytes_in_every_process_and_whatever_matplotlibrc_says(tmp_path):
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        written = save(causal_graph(MODEL), tmp_path / "one" / "here", style.FORMATS)
    assert [path.name for path in written] == ["here.png", "here.pdf", "here.svg"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["here.pdf", "here.png", "here.svg"]
    there = tmp_path / "two"
    shown = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(there)],
        env=os.environ | {"PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "0", "MPLBACKEND": "svg"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert digests(tmp_path / "one" / "here") == digests(there)
    assert shown.stdout.split() == ["False", "False"], "neither pyplot nor torch is needed"


def test_a_png_carries_no_metadata_and_no_transparency(tmp_path):
    (path,) = save(causal_graph(MODEL), tmp_path / "figure")
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        assert picture.info == {}


def test_a_wide_figure_has_no_more_pixels_than_a_card_shows():
    figure = style.new_figure(25.0, 2.0)
    assert figure.dpi * figure.get_figwidth() <= style.MOST_PIXELS + 1


@pytest.mark.parametrize(("formats", "says"), [(("png", "gif"), "is gif, expected some of png"), ((), "is missing")])
def test_formats_that_are_not_written_are_refused(tmp_path, formats, says):
    with pytest.raises(ValueError, match=says):
        save(causal_graph(MODEL), tmp_path / "figure", formats)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "save", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save(causal_graph(MODEL), tmp_path / "figure")
    assert not list(tmp_path.iterdir())


def test_titles_fit_their_figure():
    assert style.fitted("common-cause-1.0", 3.6) == ("common-cause-1.0", 10.5)
    text, size = style.fitted("n" * 45, 3.6)
    assert (text, size < 10.5) == ("n" * 45, True)
    text, size = style.fitted("begins" + "-" * 90 + "ends", 3.6)
    assert text.startswith("begins")
    assert text.endswith("ends")
    assert "…" in text
    assert len(text) * 0.0875 * size / 10.5 <= 3.6


def test_long_names_stay_inside_every_picture():
    from mmmi_hf.causal import common_cause
    from mmmi_hf.figures import causal_graph, information_table, templates_and_maps

    model, title = common_cause((1, 4, 4), mi=1.0), "a-long-name-" * 8
    for draw in (causal_graph, information_table, templates_and_maps):
        figure = draw(model, title=title)
        figure.draw_without_rendering()
        texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
        (shown,) = (text for text in texts if text.get_text().startswith("a-long-name"))
        assert shown.get_window_extent().x1 <= figure.bbox.x1
