"""What the page says of results: a table in the order that is asked for, truth against estimate, and bias.

Owns the choice of cells and the words. Statistics and figures are the benchmark's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.drawing import shown
from mmmi_hf.explorer.estimators.committed import Benchmark, Row, committed

SORTS = ("estimator", "correlation", "bias", "sd between seeds", "RMSE", "null", "seconds")
YOURS = "yours"
_MOST_ESTIMATORS = 24
_READ = (
    "A cell is one run of one estimator on one set of rows. Correlation is that of estimates with truths; bias, sd and "
    "RMSE are in nats; null is the mean estimate where the truth is 0; oracles are told what no estimator knows. – is "
    "not known."
)
_Key = tuple[str, str, str, int]


def groups(rows: Sequence[Row]) -> dict[str, _Key]:
    """What people call the kinds of data of some cells: kind, pair and number of training rows."""
    keys = sorted({(row["series"], row["a"], row["b"], row["n"]) for row in rows})
    return {f"I({a};{b}) of {series}, {n:,} training rows": (series, a, b, n) for series, a, b, n in keys}


def compared(
    name: str, group: str, own: Sequence[Row], sort: str, descending: bool, *, draw: bool = True
) -> tuple[str, str]:
    """Table and pictures of one kind of data in a benchmark, a visitor's cells of it beside them.

    Without `draw` there are no pictures: they take half a second.

    Raises:
        ValueError: no such benchmark, kind of data, or order.
    """
    if not isinstance(name, str) or name not in committed():
        raise ValueError(f"benchmark must be one of {', '.join(committed())}")
    benchmark = committed()[name]
    known = groups([*benchmark.rows, *own])
    if not isinstance(group, str) or group not in known:
        raise ValueError("there is no such kind of data in this benchmark; choose one of the list")
    if sort not in SORTS:
        raise ValueError(f"the order must be by one of {', '.join(SORTS)}")
    return (
        _table(benchmark, known[group], own, sort, descending),
        _pictures(benchmark, group, known[group], own) if draw else "",
    )


def _summary(benchmark: Benchmark, key: _Key, own: Sequence[Row]) -> list[Row]:
    """One entry per estimator: those that come with the package, and a visitor's."""
    from mmmi_hf.benchmark.protocol.summary import summarize

    series, a, b, n = key
    there = [row for row in benchmark.summary if (row["series"], row["pair"], row["n"]) == (series, f"{a}:{b}", n)]
    return [*there, *summarize(_yours(own, key))][:_MOST_ESTIMATORS]


def _of(rows: Sequence[Row], key: _Key) -> list[Row]:
    return [row for row in rows if (row["series"], row["a"], row["b"], row["n"]) == key]


def _yours(own: Sequence[Row], key: _Key) -> list[Row]:
    return [{**row, "estimator": f"{row['estimator']} ({YOURS})"} for row in _of(own, key)]


def _table(benchmark: Benchmark, key: _Key, own: Sequence[Row], sort: str, descending: bool) -> str:
    lines = []
    for row in _summary(benchmark, key, own):
        spread = None if row["variance"] is None else row["variance"]["value"] ** 0.5
        numbers = [*(_value(row[each]) for each in ("correlation", "bias")), spread]
        numbers += [_value(row["rmse"]), _value(row["null"]), benchmark.seconds.get(row["estimator"])]
        lines.append(
            (row["estimator"], numbers, f"{row['cells']}" + (f", {row['failed']} failed" * bool(row["failed"])))
        )
    place = SORTS.index(sort)

    def order(line: tuple[str, list[Any], str]) -> Any:
        return line[0] if place == 0 else line[1][place - 1]

    known = sorted((line for line in lines if order(line) is not None), key=order, reverse=descending)
    ordered = known + [line for line in lines if order(line) is None]
    rows = [(name, *(_shown(number) for number in numbers), cells) for name, numbers, cells in ordered]
    header = (*SORTS[:-1], "seconds of a cell", "cells")
    caption = f"Estimators, by {sort}, {'largest' if descending else 'smallest'} first"
    return html.table(header, rows, caption=caption, right=range(1, len(header))) + html.note(_READ)


def _value(entry: Row | None) -> float | None:
    return None if entry is None else entry["value"]


def _shown(number: float | None) -> str:
    from mmmi_hf.benchmark.protocol.summary import digits

    return "–" if number is None else digits(number)


def _pictures(benchmark: Benchmark, group: str, key: _Key, own: Sequence[Row]) -> str:
    from mmmi_hf.benchmark.report.plots import bias_figure, truth_figure

    rows = [*_of(benchmark.rows, key), *_yours(own, key)]
    names = list(dict.fromkeys(row["estimator"] for row in rows))[:_MOST_ESTIMATORS]
    rows = [row for row in rows if row["estimator"] in names]
    summary = _summary(benchmark, key, own)
    keep = () if own else (benchmark.name, group)
    truth = shown(
        lambda: truth_figure(rows, None, compact=True),
        f"Estimate against truth, a panel for each of {', '.join(names)}; the line is where both are equal.",
        "Estimate against truth: a panel for each estimator, a point for each cell with its interval, a cross where "
        "the truth is 0; on the line both are equal.",
        *(("truth", *keep) if keep else ()),
    )
    bias = shown(
        lambda: bias_figure(summary, None, compact=True),
        "Bias, standard deviation between seeds and RMSE of every estimator; the numbers are in the table.",
        "How wrong each is, with intervals: on average (bias), from seed to seed (sd), and altogether (RMSE).",
        *(("bias", *keep) if keep else ()),
    )
    return html.pictures(truth, bias)
