"""What results say: sentences that an interval backs, and nothing else.

Owns the rules. A sentence is made only where the interval that it names excludes what it denies. Shares of cells, each
of which has data of its own, have exact intervals, as wide as makes 95 % for all estimators of a table together
(Bonferroni): that an estimator reads too little or too much is said where the share of cells in which it does is above
one half with all of that interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from mmmi_hf.benchmark.protocol.summary import digits, share

Record = dict[str, Any]
STATED = 0.95
"""What intervals of estimates state."""
ERROR = 0.05
"""Chance that one of the intervals of a table misses, at most."""
ALARMED = 0.05
"""False alarms that such intervals may give, at most, on a null."""
_ORACLES = "oracle-"
_CHANGES = (("float", "the images made of them"), ("views", "the 8-bit pictures of these"))


def findings(
    part: str, summary: Sequence[Record], rows: Sequence[Record], bounds: Mapping[str, str], *, seen: bool = False
) -> dict[str, list[str]]:
    """Kind of data → sentences about it, of one results folder, in Markdown.

    Args:
        part: its name. summary, rows: as the folder has them. bounds: estimator → "upper", "lower" or "".
        seen: whether values are of training rows; of these only the null is told.

    Of rows in several forms, what changes between them is told and nothing else.
    """
    changed = _of_forms(rows)
    if changed:
        return {f"{part.capitalize()}, the same rows in several forms": changed}
    found: dict[str, list[str]] = {}
    for series, pair in dict.fromkeys((row["series"], row["pair"]) for row in summary):
        mine = [row for row in summary if (row["series"], row["pair"]) == (series, pair)]
        largest = max(row["n"] for row in mine)
        mine = [row for row in mine if row["n"] == largest]
        of_cells = [
            row for row in rows if (row["series"], f"{row['a']}:{row['b']}", row["n"]) == (series, pair, largest)
        ]
        kind = ", ".join([*([part.capitalize()] if part else []), f"I({pair.replace(':', '; ')})", series])
        if seen:
            found[kind] = _of_seen_nulls(of_cells)
        else:
            found[kind] = [
                *_of_the_oracle(mine),
                *_of_signs(mine, of_cells, bounds),
                *_of_coverage(mine),
                *_of_alarms(mine),
            ]
    return found


def _of_seen_nulls(of_cells: Sequence[Record]) -> list[str]:
    """What values of training rows say of pairs that share nothing: all of them, where all lie above 0."""
    nulls = [cell for cell in _competitors(of_cells) if cell["null"] and cell["value"] is not None]
    if not nulls or min(cell["value"] for cell in nulls) <= 0.0:
        return []
    low, high = (pick(cell["value"] for cell in nulls) for pick in (min, max))
    estimators = len({cell["estimator"] for cell in nulls})
    return [
        f"of pairs that share nothing, all {len(nulls)} values of training rows, of {estimators} estimators, lie "
        f"between {digits(low)} and {digits(high)} nats."
    ]


def _of_the_oracle(rows: Sequence[Record]) -> list[str]:
    oracle = _named(rows, "oracle-dv")
    if oracle is None or oracle["rmse"] is None:
        return []
    told = f"the exact critic has an RMSE of {digits(oracle['rmse']['value'])} nats in {oracle['cells']} cells"
    return [f"{told}: what the sampling of the test rows alone costs."]


def _of_signs(rows: Sequence[Record], of_cells: Sequence[Record], bounds: Mapping[str, str]) -> list[str]:
    """Who reads too little, and who too much, in more than half of the cells."""
    known = [row for row in _competitors(rows) if row["bias"] is not None]
    less: list[tuple[Record, Record]] = []
    more: list[tuple[Record, Record]] = []
    for row in known:
        errors = [
            cell["value"] - cell["truth"]
            for cell in of_cells
            if cell["estimator"] == row["estimator"] and not cell["null"] and cell["value"] is not None
        ]
        for found, wanted in ((less, [error < 0.0 for error in errors]), (more, [error > 0.0 for error in errors])):
            part = share(wanted, error=ERROR / len(known))
            if part is not None and part["low"] > 0.5:
                found.append((row, part))
    sentences = []
    if less:
        nearest, worst = (pick(less, key=lambda each: each[0]["bias"]["value"]) for pick in (max, min))
        sentences.append(
            f"{len(less)} of {len(known)} estimators read less than there is in more than half of the cells, on "
            f"average from {_by(nearest)} to {_by(worst)}."
        )
    for each in more:
        kind = ", an upper bound," if bounds.get(each[0]["estimator"]) == "upper" else ""
        sentences.append(f"{_by(each, kind)} reads more than there is.")
    return sentences


def _by(each: tuple[Record, Record], kind: str = "") -> str:
    row, part = each
    return f"`{row['estimator']}`{kind} ({digits(row['bias']['value'])} nats; {_share(part)})"


def _named(rows: Sequence[Record], name: str) -> Record | None:
    return next((row for row in rows if row["estimator"] == name), None)


def _of_coverage(rows: Sequence[Record]) -> list[str]:
    stating = [row for row in _competitors(rows) if row["coverage"] is not None]
    wide = [{**row, "coverage": _together(row["coverage"], len(stating))} for row in stating]
    short = [row for row in wide if row["coverage"]["high"] < STATED]
    if not short:
        return []
    sentence = f"intervals that state 95 % hold the truth less often for {len(short)} of {len(stating)} estimators: "
    sentence += _by_share(short, "coverage")
    oracle = _named(rows, "oracle-dv")
    if oracle is None or oracle["coverage"] is None:
        return [f"{sentence}."]
    return [f"{sentence}; for the exact critic {_share(oracle['coverage'])}."]


def _of_alarms(rows: Sequence[Record]) -> list[str]:
    tried = [row for row in _competitors(rows) if row["alarms"] is not None]
    wide = [{**row, "alarms": _together(row["alarms"], len(tried))} for row in tried]
    alarmed = [row for row in wide if row["alarms"]["low"] > ALARMED]
    if not alarmed:
        return []
    told = ", ".join(
        f"`{row['estimator']}` ({_share(row['alarms'])}; mean {digits(row['null']['value'])} nats)" for row in alarmed
    )
    return [f"where there is nothing, intervals lie above 0 more often than one in twenty for {told}."]


def _together(entry: Mapping[str, float], estimators: int) -> Record:
    """A share with the interval that holds for all estimators together."""
    count = int(entry["cells"])
    true = round(entry["value"] * count)
    found = share([True] * true + [False] * (count - true), error=ERROR / estimators)
    assert found is not None
    return found


def _of_forms(rows: Sequence[Record]) -> list[str]:
    """What changes from latents to what was made of them, on the same rows: mean differences whose interval misses 0.

    Intervals take the two estimates as independent, which they are not: the truth is narrower."""
    sentences = []
    for form, called in _CHANGES:
        changes = changes_of(rows, form)
        if not changes:
            continue
        less = {name: each for name, each in changes.items() if each["high"] < 0.0}
        more = {name: each for name, each in changes.items() if each["low"] > 0.0}
        for what, those in (("less", less), ("more", more)):
            if those:
                most = max(those, key=lambda name: abs(those[name]["value"]))
                sentences.append(
                    f"of {called}, {len(those)} of {len(changes)} estimators read {what} than of the latents of the "
                    f"same rows, most of all `{most}` (by {_interval(those[most])} nats)."
                )
    return sentences


def changes_of(rows: Sequence[Record], form: str) -> dict[str, Record]:
    """Estimator → mean of what a form adds to the value of latents, over the cells that have both; nulls left out."""
    cells: dict[tuple[Any, ...], dict[str, Record]] = {}
    for row in rows:
        if not row["null"] and row["value"] is not None and row["standard_error"] is not None:
            key = (row["estimator"], row["config"], row["a"], row["b"], row["seed"], row["n"])
            cells.setdefault(key, {})[row["form"]] = row
    found: dict[str, list[tuple[float, float]]] = {}
    for (estimator, *_), of_cell in cells.items():
        if "latents" in of_cell and form in of_cell and not estimator.startswith(_ORACLES):
            one, other = of_cell["latents"], of_cell[form]
            error = math.hypot(one["standard_error"], other["standard_error"])
            found.setdefault(estimator, []).append((other["value"] - one["value"], error))
    changes = {}
    wide = float(ndtri(1.0 - ERROR / 2 / max(len(found), 1)))
    for estimator, pairs in found.items():
        values, errors = np.array(pairs).T
        mean, reach = float(values.mean()), wide * float(np.sqrt(np.sum(errors**2))) / len(errors)
        changes[estimator] = {"value": mean, "low": mean - reach, "high": mean + reach}
    return changes


def _competitors(rows: Sequence[Record]) -> list[Record]:
    return [row for row in rows if not row["estimator"].startswith(_ORACLES)]


def _interval(entry: Mapping[str, float]) -> str:
    return f"{digits(entry['value'])} ({digits(entry['low'])} … {digits(entry['high'])})"


def _share(entry: Mapping[str, float]) -> str:
    return (
        f"{100 * entry['value']:.0f} % of {entry['cells']:.0f} ({100 * entry['low']:.0f}–{100 * entry['high']:.0f} %)"
    )


def _by_share(rows: Sequence[Record], name: str) -> str:
    """Estimators with the same share together."""
    alike: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row[name]["value"]):
        alike.setdefault(_share(row[name]), []).append(f"`{row['estimator']}`")
    return "; ".join(f"{told}: {', '.join(names)}" for told, names in alike.items())
