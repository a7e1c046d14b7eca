"""Summaries of finished cells: bias, variance, RMSE and correlation with the truth, with intervals.

Owns the statistics and the tables. Imports NumPy and pyarrow.

A group is one kind of data, pair, number of training rows and estimator; its members are levels (configurations) ×
seeds. Bias is the mean of value − truth, variance the mean over levels of the variance between seeds, RMSE the root of
the mean squared error, correlation Pearson's r of value and truth. 95 % intervals are percentiles of 2,000 resamples of
the members (of the levels, for the variance), with a fixed seed: members have independent rows, and neither their
errors nor the levels are normal. Nulls are kept apart. What cannot be had of so few members is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

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
        ("null", pa.bool_()),
        ("truth", pa.float64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("standard_error", pa.float64()),
        ("error", pa.string()),
        ("train_rows", pa.list_(pa.int64(), 2)),
        ("validation_rows", pa.list_(pa.int64(), 2)),
        ("test_rows", pa.list_(pa.int64(), 2)),
        ("settings", pa.string()),
        ("details", pa.string()),
    ]
)


def results_table(records: Sequence[Record]) -> pa.Table:
    """One row per cell."""
    import json

    rows = []
    for record in records:
        settings, result = record["settings"], record["result"]
        rows.append(
            {
                **{name: settings[name] for name in ("config", "a", "b", "seed", "n", "null")},
                "series": record["series"],
                "estimator": settings["estimator"]["estimator"],
                "truth": record["truth"],
                **{name: result.get(name) for name in ("value", "low", "high", "standard_error", "error")},
                **{f"{split}_rows": rows_of for split, rows_of in settings["rows"].items()},
                "settings": json.dumps(settings["estimator"], sort_keys=True),
                "details": json.dumps(result.get("details", {}), sort_keys=True),
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
    known = [row for row in members if row["value"] is not None and not row["null"]]
    nulls = np.array([row["value"] for row in members if row["value"] is not None and row["null"]])
    truth, value = (np.array([row[name] for row in known], dtype=float) for name in ("truth", "value"))
    levels: dict[str, list[float]] = {}
    for row in known:
        levels.setdefault(row["config"], []).append(row["value"])
    variances = np.array([np.var(values, ddof=1) for values in levels.values() if len(values) > 1])
    errors = value - truth
    pairs = np.stack([truth, value], axis=1)
    return {
        "cells": len(known),
        "failed": sum(row["value"] is None for row in members),
        "correlation": _with_interval(pairs, _correlation),
        "bias": _with_interval(errors, np.mean),
        "variance": _with_interval(variances, np.mean),
        "rmse": _with_interval(errors, lambda e: np.sqrt(np.mean(e**2))),
        "null": None
        if not len(nulls)
        else {"value": float(nulls.mean()), "low": float(nulls.min()), "high": float(nulls.max()), "cells": len(nulls)},
    }


def _correlation(pairs: np.ndarray) -> float:
    deviations = pairs - pairs.mean(axis=0)
    scale = float(np.sqrt(np.prod(np.sum(deviations**2, axis=0))))
    return float(deviations[:, 0] @ deviations[:, 1]) / scale if scale > 0 else float("nan")


def _with_interval(members: np.ndarray, statistic: Callable[[np.ndarray], Any]) -> Record | None:
    """The statistic with the percentile interval of resampled members; None where it is undefined."""
    if not len(members):
        return None
    value = float(statistic(members))
    if not np.isfinite(value):
        return None
    if len(members) < 3:
        return {"value": value, "low": None, "high": None}
    generator = np.random.default_rng(0)
    draws = np.array(
        [statistic(members[generator.integers(len(members), size=len(members))]) for _ in range(RESAMPLES)]
    )
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


def markdown(summary: Sequence[Record], *, beside_paper: bool = False) -> str:
    """The summary as Markdown, one table per kind of data, pair and number of training rows."""
    parts: dict[tuple[str, str, int], list[Record]] = {}
    for row in summary:
        parts.setdefault((row["series"], row["pair"], row["n"]), []).append(row)
    lines: list[str] = []
    for (series, pair, n), rows in parts.items():
        lines += [f"### I({pair.replace(':', '; ')}), {series}, {n:,} training rows", ""]
        head = ["estimator", "cells", "correlation", "bias", "sd between seeds", "RMSE", "null (range)"]
        if beside_paper:
            head += ["paper: correlation", "paper: RMSE"]
        lines += [_line(head), _line(["---"] + ["---:"] * (len(head) - 1))]
        for row in rows:
            name = row["estimator"]
            failed = f" ({row['failed']} failed)" if row["failed"] else ""
            cells = [
                name,
                f"{row['cells']}{failed}",
                _shown(row["correlation"]),
                _shown(row["bias"]),
                _shown(_rooted(row["variance"])),
                _shown(row["rmse"]),
                _shown(row["null"]),
            ]
            if beside_paper:
                cells += [f"{number}" for number in PAPER_TABLE_1.get(name, ("–", "–"))]
            lines.append(_line(cells))
        lines.append("")
    return "\n".join(lines)


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
        return f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} ({entry['low']:.3f} … {entry['high']:.3f})".replace("-", "−")
