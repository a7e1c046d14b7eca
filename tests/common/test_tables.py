"""Tables fit the terminal, whatever is in them."""

import pytest

from mmmi_hf.common.terminal import table_lines

WIDE = [
    ("common-cause-1.0-cifar10", "x1:y", "10,000", "oracle-dv", "12", "0.123456", "-0.12345"),
    ("two-telescopes-mass-concentrated", "x1:x2", "1,000", "ksg", "2", "–", "1.2"),
]
HEADER = ("data", "pair", "rows", "estimator", "cells", "correlation", "bias of all cells")


def test_what_fits_is_as_wide_as_its_cells():
    assert table_lines(("of", "nats"), [("x1", "0.5"), ("x10", "10.5")], right=(1,)) == [
        "of   nats",
        "───  ────",
        "x1    0.5",
        "x10  10.5",
    ]


def test_headers_are_wrapped_first():
    lines = table_lines(HEADER, WIDE, right=(2, 4, 5, 6), width=88)
    assert max(map(len, lines)) <= 88
    assert "two-telescopes-mass-concentrated" in "\n".join(lines)
    assert [line.split()[-1] for line in lines[:3]] == ["bias", "all", "cells"] or "bias of" in lines[0]


@pytest.mark.parametrize("width", [80, 72, 60, 40, 30])
def test_then_text_and_then_columns_go_below(width):
    lines = table_lines(HEADER, WIDE, right=(2, 4, 5, 6), width=width)
    assert max(map(len, lines)) <= width
    text = "".join("".join(lines).split())
    for number in ("10,000", "0.123456", "-0.12345"):
        assert number in text
    if width >= 72:
        assert "" not in lines
    else:
        assert lines.count("") >= (width < 60)


def test_many_numbers_are_continued_below_with_the_first_column():
    header = ("", *(f"u{n}" for n in range(20)))
    rows = [(f"x{i}", *("0.123456" for _ in range(20))) for i in range(3)]
    lines = table_lines(header, rows, right=range(1, 21), width=80)
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("x1")] == ["x1"] * lines.count("") + ["x1"]
    assert "u19" in lines[-5]


def test_a_piece_that_is_longer_than_the_width_stays_whole():
    lines = table_lines(("name", "file"), [("a" * 90, "b")], width=80)
    assert "a" * 90 in lines[2]
