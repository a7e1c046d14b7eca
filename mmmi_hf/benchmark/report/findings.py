"""What results say: sentences that an interval backs, and nothing else.

Owns the rules. A sentence is made only where the interval that it names excludes what it denies. It names the nearest
and the farthest of its estimators; on a line of its own stands every one with its interval. The intervals of a sentence
hold with 95 % for all estimators of the table together (Bonferroni). That an estimator reads too little or too much in
more than half of the cells is said where the interval of its median error lies on one side of 0: between two order
statistics, by the binomial law, so that one wild cell moves neither. Shares of cells have exact intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import bdtr, chdtri, ndtri

from mmmi_hf.benchmark.protocol.summary import digits, share
from mmmi_hf.benchmark.report.intervals import written

Record = dict[str, Any]
STATED = 0.95
"""What intervals of estimates state."""
ERROR = 0.05
"""Chance that one of the intervals of a table misses, at most."""
ALARMED = 0.05
"""False alarms that such intervals may give, at most, on a null."""
_ORACLES = "oracle-"
_CHANGES = (("float", "the images"), ("views", "the 8-bit pictures (which may carry less information than floats)"))


def findings(
    part: str,
    summary: Sequence[Record],
    rows: Sequence[Record],
    bounds: Mapping[str, str],
    *,
    seen: bool = False,
    differs: Sequence[str] = (),
) -> dict[str, list[str]]:
    """Kind of data → sentences about it, of one results folder, in Markdown; after a line break stands what backs one.

    Args:
        part: its name. summary, rows: as the folder has them. bounds: estimator → "upper", "lower" or "".
        seen: whether values are of training rows; of these only the null is told.
        differs: how the training that they are of differs from the paper's.

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
            found[kind] = _of_seen_nulls(of_cells, differs)
        else:
            found[kind] = [
                *_of_signs(of_cells, bounds),
                *_of_coverage(mine),
                *_of_alarms(mine),
                *_of_the_oracle(of_cells),
            ]
    return found


def _of_seen_nulls(of_cells: Sequence[Record], differs: Sequence[str]) -> list[str]:
    """What values of training rows say of pairs that share nothing: all of them, where all lie above 0."""
    nulls = [cell for cell in _competitors(of_cells) if cell["null"] and cell["value"] is not None]
    if not nulls or min(cell["value"] for cell in nulls) <= 0.0:
        return []
    low, high = (pick(cell["value"] for cell in nulls) for pick in (min, max))
    estimators = len({cell["estimator"] for cell in nulls})
    recipe = f"the paper's recipe, but for {', '.join(differs)}" if differs else "the paper's recipe"
    return [
        f"of pairs that share nothing, all {len(nulls)} values of training rows, of {estimators} estimators, lie "
        f"between {digits(low)} and {digits(high)} nats. They were made by {recipe}."
    ]


def _of_the_oracle(of_cells: Sequence[Record]) -> list[str]:
    asked = [cell for cell in of_cells if cell["estimator"] == "oracle-dv" and not cell["null"]]
    cells = [cell for cell in asked if cell["value"] is not None and cell["standard_error"]]
    if not cells or len(cells) < len(asked):
        return []
    rmse = rmse_of([cell["value"] - cell["truth"] for cell in cells], [cell["standard_error"] for cell in cells])
    return [
        f"the exact critic, told the model, has an RMSE of {written(rmse)} nats in {len(cells)} cells, from the "
        "sampling of test rows: a yardstick, no limit."
    ]


def rmse_of(errors: Sequence[float], deviations: Sequence[float]) -> Record:
    """Root mean squared error with its interval of 95 %, of independent normal errors about 0.

    Args:
        errors, deviations: of each cell; of the standard deviations only the ratios matter. The sum of squares is taken
            as a multiple of a χ² that has its mean and variance (Satterthwaite 1946).
    """
    mean = float(np.mean(np.square(errors)))
    variances = np.square(deviations)
    freedom = float(np.sum(variances) ** 2 / np.sum(variances**2))
    low, high = (math.sqrt(mean * freedom / float(chdtri(freedom, tail))) for tail in (ERROR / 2, 1.0 - ERROR / 2))
    return {"value": math.sqrt(mean), "low": low, "high": high}


def _of_signs(of_cells: Sequence[Record], bounds: Mapping[str, str]) -> list[str]:
    """Who reads too little, and who too much, in more than half of the cells."""
    errors: dict[str, list[float]] = {}
    for cell in _competitors(of_cells):
        if not cell["null"] and cell["value"] is not None:
            errors.setdefault(cell["estimator"], []).append(cell["value"] - cell["truth"])
    medians = {name: median(those, ERROR / len(errors)) for name, those in errors.items()}
    known = {name: entry for name, entry in medians.items() if entry is not None}
    sentences = []
    for what, those in (
        ("little", {_called(name, bounds): _turned(entry) for name, entry in known.items() if entry["high"] < 0.0}),
        ("much", {_called(name, bounds): entry for name, entry in known.items() if entry["low"] > 0.0}),
    ):
        if those:
            sentences.append(
                f"{_count(those, errors)} too {what} in more than half of the cells: in the median, "
                f"{_from_to(those)} nats.\n"
                f"Read too {what}, by a median of so many nats: {_all(those)}."
            )
    return sentences


def _called(name: str, bounds: Mapping[str, str]) -> str:
    return f"`{name}` (an upper bound)" if bounds.get(name) == "upper" else f"`{name}`"


def _from_to(those: Mapping[str, Record]) -> str:
    """The least and the largest value, with their intervals."""
    names = sorted(those, key=lambda name: those[name]["value"])
    return " to ".join(f"{name} by {written(those[name])}" for name in dict.fromkeys((names[0], names[-1])))


def _all(those: Mapping[str, Record]) -> str:
    return "; ".join(f"{name} {written(those[name])}" for name in sorted(those, key=lambda name: those[name]["value"]))


def median(values: Sequence[float], error: float) -> Record | None:
    """The median with the interval between two order statistics that misses with the chance `error`, at most.

    None of so few values that not even the smallest and the largest are far enough apart.
    """
    count, ordered = len(values), sorted(values)
    below = sum(float(bdtr(k, count, 0.5)) <= error / 2 for k in range(count // 2))
    if not below:
        return None
    return {"value": float(np.median(ordered)), "low": ordered[below - 1], "high": ordered[count - below]}


def _count(those: Mapping[str, Any], among: Mapping[str, Any]) -> str:
    return f"{len(those)} of {len(among)} estimators read{'s' if len(those) == 1 else ''}"


def _of_coverage(rows: Sequence[Record]) -> list[str]:
    stating = [row for row in _competitors(rows) if row["coverage"] is not None]
    wide = [{**row, "coverage": _together(row["coverage"], len(stating))} for row in stating]
    short = [row for row in wide if row["coverage"]["high"] < STATED]
    if not short:
        return []
    oracle = next((row for row in rows if row["estimator"] == "oracle-dv" and row["coverage"] is not None), None)
    beside = f"; for the exact critic in {_share(oracle['coverage'])}" if oracle else ""
    most = _share(max((row["coverage"] for row in short), key=lambda entry: entry["value"]))
    return [
        "stated intervals of 95 %, which are of the sampling of test rows only, hold the truth less often for "
        f"{len(short)} of {len(stating)} estimators: in {most} or fewer{beside}.\n"
        f"Stated intervals hold the truth in {_by_share(short, 'coverage')}."
    ]


def _of_alarms(rows: Sequence[Record]) -> list[str]:
    tried = [row for row in _competitors(rows) if row["alarms"] is not None]
    wide = [{**row, "alarms": _together(row["alarms"], len(tried))} for row in tried]
    alarmed = [row for row in wide if row["alarms"]["low"] > ALARMED]
    if not alarmed:
        return []
    told = "; ".join(
        f"`{row['estimator']}` {_share(row['alarms'])}, its values from {digits(row['null']['low'])} to "
        f"{digits(row['null']['high'])} nats"
        for row in alarmed
    )
    names = ", ".join(f"`{row['estimator']}`" for row in alarmed)
    least = _share(min((row["alarms"] for row in alarmed), key=lambda entry: entry["value"]))
    return [
        "of pairs that share nothing, stated intervals, which are of the sampling of test rows only, lie above 0 more "
        f"often than one in twenty for {len(alarmed)} of {len(tried)} estimators ({names}): in {least} or more.\n"
        f"Of pairs that share nothing, intervals lie above 0: {told}."
    ]


def _together(entry: Mapping[str, float], estimators: int) -> Record:
    """A share with the interval that holds for all estimators together."""
    count = int(entry["cells"])
    true = round(entry["value"] * count)
    found = share([True] * true + [False] * (count - true), error=ERROR / estimators)
    assert found is not None
    return found


def _of_forms(rows: Sequence[Record]) -> list[str]:
    """What changes from latents to what was made of them, on the same rows: mean differences whose interval misses 0.

    Intervals take the two estimates as independent: too wide where they err alike."""
    sentences = []
    for form, called in _CHANGES:
        changes = changes_of(rows, form)
        down = {f"`{name}`": _turned(each) for name, each in changes.items() if each["high"] < 0.0}
        up = {f"`{name}`": each for name, each in changes.items() if each["low"] > 0.0}
        for what, those in (("less", down), ("more", up)):
            if those:
                sentences.append(
                    f"as trained here, {_trainings(rows)}, {_count(those, changes)} {what} of {called} than of the "
                    f"latents of the same rows: {_from_to(those)} nats.\n"
                    f"Read {what} of {called} than of the latents, by so many nats: {_all(those)}."
                )
    if sentences:
        sentences.append("how another training would differ is in none of these intervals.")
    return sentences


def _trainings(rows: Sequence[Record]) -> str:
    """How often an estimator was trained for a level, by the seeds that there are."""
    seeds = len({row["seed"] for row in rows})
    return f"{'once' if seeds == 1 else f'{seeds} times'} a level"


def _turned(entry: Mapping[str, float]) -> Record:
    return {"value": -entry["value"], "low": -entry["high"], "high": -entry["low"]}


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


def _share(entry: Mapping[str, float]) -> str:
    value, low, high = (f"{100 * entry[name]:.0f}" for name in ("value", "low", "high"))
    return f"{value} % of {entry['cells']:.0f} cells ({low}–{high} %)"


def _by_share(rows: Sequence[Record], name: str) -> str:
    """Estimators with the same share together."""
    alike: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row[name]["value"]):
        alike.setdefault(_share(row[name]), []).append(f"`{row['estimator']}`")
    return "; ".join(f"{told}: {', '.join(names)}" for told, names in alike.items())
