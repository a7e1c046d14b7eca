"""Results of a tier as files, and the table of a run beside the committed ones.

Owns both. A results file is CSV, as a run or `Benchmark.write` leaves it; of its columns those of `NEEDED` must be
there, `low` and `high`, the group and the tier with its version may be.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmmi_hf.benchmark.protocol.plan import Cell
from mmmi_hf.benchmark.protocol.summary import digits
from mmmi_hf.benchmark.tiers.tier import Tier, folder_of

Record = dict[str, Any]
NEEDED = ("config", "form", "a", "b", "estimator", "seed", "null", "value")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}
_WIDTHS = (15, 7, 7, 7, 7, 7, 7, 7, 7)
_HEADS = ("estimator", "bias", "RMSE", "score", "covers", "alarms", "core-s", "bias", "RMSE")


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which problem of its group a row answers."""
    return tuple(row[name] for name in ("config", "form", "a", "b", "seed", "null"))


def read_results(path: Path) -> list[Record]:
    """The rows of a results file, numbers as numbers.

    Raises:
        ValueError: no such file, a column is missing, a value is of another kind, or a problem is answered twice;
            names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"results: {path} has no column {missing[0]!r}; it needs {', '.join(NEEDED)}")
            rows = [_typed(row, f"results: {path}, line {line}") for line, row in enumerate(reader, 2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"results: {path} cannot be read ({error}); give a CSV file") from None
    lines: dict[tuple[Any, ...], int] = {}
    for line, row in enumerate(rows, 2):
        first = lines.setdefault((row["estimator"], row["group"], *key_of(row)), line)
        if first != line:
            raise ValueError(
                f"results: {path}, line {line}: {row['estimator']!r} answers the problem of line {first} again; leave "
                "one answer"
            )
    return rows


def _typed(row: Mapping[str, str], where: str) -> Record:
    found: Record = {name: row[name] for name in ("config", "form", "a", "b", "estimator")}
    found |= {name: row.get(name) or None for name in ("group", "tier")}
    try:
        found["seed"] = int(row["seed"])
        found["null"] = _TRUTHS[row["null"].lower()]
        for name in ("value", "low", "high"):
            text = row.get(name) or ""
            found[name] = float(text) if text else None
        if any(found[name] is not None and math.isnan(found[name]) for name in ("value", "low", "high")):
            raise ValueError
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(
            f"{where}: seed must be a whole number, null true or false, value, low and high numbers or empty"
        ) from None
    if found["value"] is not None and math.isinf(found["value"]):
        raise ValueError(f"{where}: value must be finite, or empty where the estimator cannot say")
    low, high = found["low"], found["high"]
    if low is not None and high is not None and low > high:
        raise ValueError(f"{where}: low is {low:g} and high {high:g}; low must not be above high")
    found["abstained"] = found["value"] is None and not row.get("error")
    return found


def read_others(tier: Tier, paths: Sequence[Path], names: Iterable[str]) -> list[Record]:
    """The rows of results files for a tier's table.

    Args:
        names: of the run's own estimators, and of those with committed results. One of a file that is called like
            these, or like one of an earlier file, stands as FILE:NAME.

    Raises:
        ValueError: a file that cannot be read, is of another tier or version, or is called like another.
    """
    found: list[Record] = []
    taken = set(names)
    for path in paths:
        rows = read_results(path)
        other = next((row["tier"] for row in rows if row["tier"] not in (None, tier.label)), None)
        if other is not None:
            raise ValueError(
                f"results: {path} is of {other}, expected {tier.label}; answer the problems that load_benchmark gives"
            )
        called = {name: f"{path.stem}:{name}" if name in taken else name for name in {row["estimator"] for row in rows}}
        again = sorted(taken.intersection(called.values()))
        if again:
            raise ValueError(f"results: {path}: {again[0]!r} is in another file of that name; rename one of both files")
        taken.update(called.values())
        found += [{**row, "estimator": called[row["estimator"]]} for row in rows]
    return found


def write_results(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a results file."""
    names = ["tier", "group", *NEEDED, "low", "high"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([[row.get(name) for name in names] for row in rows])


def reference_results(tier: Tier) -> list[Record]:
    """The committed results of a tier; empty where there are none."""
    path = folder_of(tier) / "reference.csv"
    return read_results(path) if path.is_file() else []


def judged_rows(group: str, cells: Iterable[Cell], rows: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Rows that answer the problems of a group's cells, with truth, series and number of rows; others are left out.

    Who answers one problem of the cells answers all: what a file has nothing of counts as "cannot say". A row without a
    group answers in all that have its problem.
    """
    known = {key_of(cell.settings): cell for cell in cells}
    answers: dict[str, dict[tuple[Any, ...], Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("group") in (None, group) and key_of(row) in known:
            answers.setdefault(row["estimator"], {})[key_of(row)] = row
    silent = {"value": None, "low": None, "high": None, "abstained": True}
    return [
        {
            **silent,
            **{name: cell.settings[name] for name in ("config", "form", "a", "b", "seed", "null", "n")},
            "estimator": estimator,
            **found.get(key, {}),
            "truth": cell.truth,
            "series": cell.series,
        }
        for estimator, found in answers.items()
        for key, cell in known.items()
    ]


def table(
    title: str,
    summary: Sequence[Record],
    reference: Sequence[Record],
    seconds: Mapping[str, float],
    bounds: Mapping[str, str],
) -> list[str]:
    """Lines of at most 80 characters: a group's estimators of a run, and the committed results beside them.

    Args:
        summary, reference: of `summarize`. seconds: of one core for a cell, by estimator. bounds: "upper" or "lower".
    """
    lines: list[str] = []
    groups = dict.fromkeys((row["series"], row["pair"]) for row in (*summary, *reference))
    for series, pair in groups:
        mine = {row["estimator"]: row for row in summary if (row["series"], row["pair"]) == (series, pair)}
        theirs = {row["estimator"]: row for row in reference if (row["series"], row["pair"]) == (series, pair)}
        lines += [f"{title}: I({pair.replace(':', '; ')}), {series}"[:80], _line(_HEADS)]
        lines[-1:] = [" " * 65 + "  reference", lines[-1]]
        for name in dict.fromkeys((*mine, *theirs)):
            own, other = mine.get(name), theirs.get(name)
            mark = "↑" if bounds.get(name) == "upper" else ""
            lines.append(
                _line(
                    (
                        f"{name}{mark}",
                        *(_number(own, what) for what in ("bias", "rmse", "score")),
                        *(_share(own, what) for what in ("coverage", "alarms")),
                        f"{seconds[name]:.1f}" if name in seconds else "–",
                        *(_number(other, what) for what in ("bias", "rmse")),
                    )
                )
            )
        lines.append("")
    return lines


LEGEND = (
    "In nats. Score: the RMSE in which what has no answer counts as the mean of the levels. Covers: intervals of 95 % "
    "that hold the truth. Alarms: intervals of the null above 0. Core-s: seconds of one core for a cell. ↑: an upper "
    "bound. Reference: the results that come with the package."
)


def _line(cells: Sequence[str]) -> str:
    first, *rest = zip(cells, _WIDTHS, strict=True)
    return f"{first[0][: first[1]]:<{first[1]}}" + "".join(f" {cell:>{width}}" for cell, width in rest)


def _number(row: Record | None, name: str) -> str:
    if row is None or row[name] is None:
        return "–"
    value, width = row[name]["value"], _WIDTHS[1]
    told = digits(value)
    return told if len(told) <= width else f"{value:.0f}".replace("-", "−") if abs(value) < 1e6 else f"{value:.0e}"


def _share(row: Record | None, name: str) -> str:
    return "–" if row is None or row[name] is None else f"{100 * row[name]['value']:.0f} %"
