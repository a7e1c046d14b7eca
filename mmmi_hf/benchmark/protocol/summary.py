"""Summaries of finished cells: bias, variance, RMSE and correlation with the truth, with intervals.

Owns the statistics and the tables. Imports NumPy and pyarrow.

A group is one kind of data, pair, number of training rows and estimator; its members are levels (configurations) ×
seeds. Bias is the mean of value − truth, variance the mean over levels of the variance between seeds, RMSE the root of
the mean squared error, correlation Pearson's r of value and truth. 95 % intervals are percentiles of 2,000 resamples of
the levels, each with all its seeds, with a fixed seed: what the seeds of a level share, most of an estimator's error,
is drawn once; the levels' errors are not normal. A single level has its seeds resampled. Nulls are kept apart. What
cannot be had of so few members is None.

Coverage is the share of stated intervals that hold the truth, and a false alarm an interval of a null that lies above
0; both have exact intervals. That an estimator cannot say is an answer: in the score, an RMSE of all cells, it has
the error of who knows only which levels there are and says their mean; so has a failure. A wild value costs more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import betaincinv

RESAMPLES = 2000
Record = dict[str, Any]

RESULTS = pa.schema(
    [
        ("config", pa.string()),
        ("series", pa.string()),
        ("a", pa.string()),
        ("b", pa.string()),
        ("estimator", pa.string()),
        ("seed", pa.int64()),
        ("n", pa.int64()),
        ("form", pa.string()),
        ("null", pa.bool_()),
        ("truth", pa.float64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("standard_error", pa.float64()),
        ("error", pa.string()),
        ("abstained", pa.bool_()),
        ("train_rows", pa.list_(pa.int64(), 2)),
        ("validation_rows", pa.list_(pa.int64(), 2)),
        ("test_rows", pa.list_(pa.int64(), 2)),
        ("settings", pa.string()),
        ("details", pa.string()),
        ("versions", pa.string()),
    ]
)


def results_table(records: Sequence[Record]) -> pa.Table:
    """One row per cell."""
    rows = []
    for record in records:
        settings, result = record["settings"], record["result"]
        rows.append(
            {
                **{name: settings[name] for name in ("config", "a", "b", "seed", "n", "form", "null")},
                "series": record["series"],
                "estimator": settings["estimator"]["estimator"],
                "truth": record["truth"],
                **{name: result.get(name) for name in ("value", "low", "high", "standard_error", "error")},
                "abstained": result.get("abstained", False),
                **{f"{split}_rows": rows_of for split, rows_of in settings["rows"].items()},
                "settings": json.dumps(settings["estimator"], sort_keys=True),
                "details": json.dumps(result.get("details", {}), sort_keys=True),
                "versions": json.dumps(record["versions"], sort_keys=True),
            }
        )
    return pa.Table.from_pylist(rows, schema=RESULTS)


def summarize(rows: Sequence[Record]) -> list[Record]:
    """One record per group, in the order of the rows.

    Args:
        rows: of the results table.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault((row["series"], row["a"], row["b"], row["n"], row["estimator"]), []).append(row)
    return [
        {"series": s, "pair": f"{a}:{b}", "n": n, "estimator": name, **_of_group(members)}
        for (s, a, b, n, name), members in groups.items()
    ]


def _of_group(members: Sequence[Record]) -> Record:
    asked = [row for row in members if not row["null"]]
    known = [row for row in asked if row["value"] is not None]
    levels: dict[str, list[tuple[float, float]]] = {}
    for row in known:
        levels.setdefault(row["config"], []).append((row["truth"], row["value"]))
    pairs = [np.array(of_level) for of_level in levels.values()]
    if len(pairs) == 1:
        pairs = list(pairs[0][:, None])
    errors = [of_level[:, 1] - of_level[:, 0] for of_level in pairs]
    abstained = sum(bool(row.get("abstained")) for row in asked)
    spreads = [np.var(of_level, axis=0, ddof=1)[1:] for of_level in map(np.array, levels.values()) if len(of_level) > 1]
    return {
        "cells": len(known),
        "abstained": abstained,
        "failed": len(asked) - len(known) - abstained,
        "correlation": _with_interval(pairs, _correlation),
        "bias": _with_interval(errors, np.mean),
        "variance": _with_interval(spreads, np.mean),
        "rmse": _with_interval(errors, _root_mean_square),
        "score": _score(asked),
        **stated_of(members),
    }


def stated_of(members: Sequence[Record]) -> Record:
    """What the intervals of an estimator's cells hold, how often those of nulls lie above 0, and what nulls read."""
    known = [row for row in members if row["value"] is not None]
    nulls = np.array([row["value"] for row in known if row["null"]])
    stated = [row for row in known if not row["null"] and (row["low"] is not None or row["high"] is not None)]
    tried = [row for row in members if row["null"] and row["low"] is not None]
    return {
        "coverage": share([_covers(row) for row in stated]),
        "alarms": share([row["low"] > 0.0 for row in tried]),
        "null": None
        if not len(nulls)
        else {"value": float(nulls.mean()), "low": float(nulls.min()), "high": float(nulls.max()), "cells": len(nulls)},
    }


def _covers(row: Record) -> bool:
    """Whether an interval holds the truth; an end that is not stated is as far away as can be."""
    low, high = row["low"], row["high"]
    return (low is None or low <= row["truth"]) and (high is None or row["truth"] <= high)


def share(found: Sequence[bool], *, error: float = 0.05) -> Record | None:
    """The share of true ones with its exact interval (Clopper and Pearson 1934); None of nothing.

    Args:
        error: the chance that the interval misses, at most.
    """
    count, true = len(found), sum(found)
    if not count:
        return None
    low = float(betaincinv(true, count - true + 1, error / 2)) if true else 0.0
    high = float(betaincinv(true + 1, count - true, 1 - error / 2)) if true < count else 1.0
    return {"value": true / count, "low": low, "high": high, "cells": count}


def _score(asked: Sequence[Record]) -> Record | None:
    """The RMSE of all cells, those without a value with the error of the mean of the levels; levels resampled."""
    truths = {row["config"]: row["truth"] for row in asked}
    if not truths:
        return None
    middle = float(np.mean(list(truths.values())))
    errors: dict[str, list[float]] = {}
    for row in asked:
        said = middle if row["value"] is None else row["value"]
        errors.setdefault(row["config"], []).append(said - row["truth"])
    units = [np.array(of_level) for of_level in errors.values()]
    return _with_interval(units if len(units) > 1 else list(units[0][:, None]), _root_mean_square)


def _root_mean_square(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _correlation(pairs: np.ndarray) -> float:
    if len(np.unique(pairs[:, 0])) < 2:  # of one level rounding alone would be correlated
        return float("nan")
    deviations = pairs - pairs.mean(axis=0)
    scale = float(np.sqrt(np.prod(np.sum(deviations**2, axis=0))))
    return float(deviations[:, 0] @ deviations[:, 1]) / scale if scale > 0 else float("nan")


def _with_interval(units: Sequence[np.ndarray], statistic: Callable[[np.ndarray], Any]) -> Record | None:
    """The statistic of all units together, with the percentile interval of resampled units; None if undefined."""
    if not units:
        return None
    value = float(statistic(np.concatenate(units)))
    if not np.isfinite(value):
        return None
    if len(units) < 3:
        return {"value": value, "low": None, "high": None}
    generator, count = np.random.default_rng(0), len(units)
    chosen = generator.integers(count, size=(RESAMPLES, count))
    draws = np.array([statistic(np.concatenate([units[k] for k in which])) for which in chosen])
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}


PAPER_TABLE_1: dict[str, tuple[float, float]] = {
    "dv": (0.995, 0.1094),
    "js": (0.993, 0.3049),
    "infonce": (0.991, 0.1981),
    "mine": (0.993, 0.0983),
    "nwj": (0.996, 0.0851),
    "smile-1": (0.998, 0.0935),
    "smile-5": (0.993, 0.0974),
    "smile-inf": (0.993, 0.0969),
}
"""Correlation and RMSE that the paper (arXiv 2510.21686, Table 1) prints, on its own data and recipe."""


def markdown(summary: Sequence[Record]) -> str:
    """The summary as Markdown, one table per kind of data, pair and number of training rows."""
    parts: dict[tuple[str, str, int], list[Record]] = {}
    for row in summary:
        parts.setdefault((row["series"], row["pair"], row["n"]), []).append(row)
    lines: list[str] = []
    for (series, pair, n), rows in parts.items():
        lines += [f"### I({pair.replace(':', '; ')}), {series}, {n:,} training rows", ""]
        head = [
            "estimator",
            "cells",
            "correlation",
            "bias",
            "sd between seeds",
            "RMSE",
            "score",
            "coverage",
            "null (range)",
            "false alarms",
        ]
        lines += [_line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
        for row in rows:
            name = row["estimator"]
            shown = [row["correlation"], row["bias"], _rooted(row["variance"]), row["rmse"], row["score"]]
            told = [*map(_shown, shown), percent(row["coverage"]), _shown(row["null"]), percent(row["alarms"])]
            lines.append(_line([name, f"{row['cells']}{failures(row)}", *told]))
        lines.append("")
    return "\n".join(lines)


def curves_markdown(summary: Sequence[Record]) -> str:
    """Bias against the number of training rows as Markdown, one table per kind of data and pair; in brackets the
    standard deviation between seeds."""
    lines: list[str] = []
    for series, pair in dict.fromkeys((row["series"], row["pair"]) for row in summary):
        mine = [row for row in summary if (row["series"], row["pair"]) == (series, pair)]
        sizes = sorted({row["n"] for row in mine})
        bias = {(row["estimator"], row["n"]): _bias_with_spread(row) for row in mine}
        lines += [f"### I({pair.replace(':', '; ')}), {series}: bias (sd between seeds) by training rows", ""]
        lines += [_line(["estimator", *(f"{size:,}" for size in sizes)]), _line(["---"] + ["---:"] * len(sizes))]
        for name in dict.fromkeys(row["estimator"] for row in mine):
            lines.append(_line([name, *(bias.get((name, size), "–") for size in sizes)]))
        lines.append("")
    return "\n".join(lines)


def beside_paper(sections: Sequence[tuple[str, bool, Sequence[Record]]]) -> str:
    """The paper's Table 1 and, beside it, correlation / RMSE of its eight estimators in every kind of data and pair.

    Of several numbers of training rows the largest is shown; data of a single level have no correlation and are left
    out. The last rows give the range of the nulls' means and the exact critic on the same rows. Empty where there is
    nothing to show.

    Args:
        sections: of each its name, which stands in the head of the table, whether values are of training rows, and its
            summary.
    """
    known = [
        (section, row)
        for section, (_, _, summary) in enumerate(sections)
        for row in summary
        if row["estimator"] in PAPER_TABLE_1 and row["correlation"] is not None
    ]
    columns: dict[tuple[int, str, str], int] = {}
    for section, row in known:
        key = section, row["series"], row["pair"]
        columns[key] = max(row["n"], columns.get(key, 0))
    if not columns:
        return ""
    here = {(section, row["series"], row["pair"], row["n"], row["estimator"]): row for section, row in known}
    head = ["estimator", "the paper"]
    for (section, series, pair), n in columns.items():
        name, seen, _ = sections[section]
        rows = f"{n:,} rows that were seen" if seen else f"{n:,} rows"
        head.append(", ".join([*([name] if name else []), f"I({pair.replace(':', '; ')})", series, rows]))
    lines = [_line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
    for name, (correlation, rmse) in PAPER_TABLE_1.items():
        found = [here.get((*key, n, name)) for key, n in columns.items()]
        values = [_order_and_size(row) if row else "–" for row in found]
        lines.append(_line([name, f"{correlation:.3f} / {rmse:.4f}", *values]))
    nulls, oracles = [], []
    for key, n in columns.items():
        mine = [here[*key, n, name] for name in PAPER_TABLE_1 if (*key, n, name) in here]
        of_null = [row["null"]["value"] for row in mine if row["null"] is not None]
        nulls.append(f"{digits(min(of_null))} … {digits(max(of_null))}" if of_null else "–")
        oracle = oracle_of(sections[key[0]][2], *key[1:], n)
        oracles.append("–" if oracle is None else _order_and_size(oracle))
    lines.append(_line(["means of the null over seeds", "–", *nulls]))
    lines.append(_line(["the exact critic (`oracle-dv`)", "–", *oracles]))
    return "\n".join(lines)


def oracle_of(summary: Sequence[Record], series: str, pair: str, n: int) -> Record | None:
    """The row of the exact critic on the same rows, None where there is none with a correlation."""
    for row in summary:
        if (row["series"], row["pair"], row["n"], row["estimator"]) == (series, pair, n, "oracle-dv"):
            return row if row["correlation"] is not None else None
    return None


def _order_and_size(row: Record) -> str:
    return f"{digits(row['correlation']['value'])} / {digits(row['rmse']['value'])}"


def _bias_with_spread(row: Record) -> str:
    if row["bias"] is None:
        return "–"
    spread = "" if row["variance"] is None else f" ({digits(row['variance']['value'] ** 0.5)})"
    return f"{digits(row['bias']['value'])}{spread}"


def _rooted(entry: Record | None) -> Record | None:
    if entry is None:
        return None
    return {name: None if entry[name] is None else entry[name] ** 0.5 for name in ("value", "low", "high")}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(entry: Record | None) -> str:
    if entry is None:
        return "–"
    if entry["low"] is None:
        return digits(entry["value"])
    return f"{digits(entry['value'])} ({digits(entry['low'])} … {digits(entry['high'])})"


def failures(row: Record) -> str:
    """How many cells of a summary have no value, to stand behind a number; nothing where all have one."""
    counts = ((row.get("abstained", 0), "cannot say"), (row["failed"], "failed"))
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f" ({told})" if told else ""


def percent(entry: Record | None) -> str:
    """A share as "80 % of 5", "–" where there is none."""
    return "–" if entry is None else f"{100 * entry['value']:.0f} % of {entry['cells']}"


def digits(number: float) -> str:
    """Three digits, with a true minus sign, and none before zero."""
    text = f"{number:.3f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")
