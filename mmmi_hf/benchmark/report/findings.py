"""What results say: sentences that an interval backs, and nothing else.

Owns the rules. A sentence is made only where the interval that it names excludes what it denies. It names the nearest
and the farthest of its estimators; on a line of its own stands every one with its interval. The intervals of a sentence
hold with 95 % for all estimators of the table together (Bonferroni). That an estimator reads too little or too much in
more than half of the cells is said where the interval of its median error lies on one side of 0: between two order
statistics, by the binomial law, so that one wild cell moves neither. Shares of cells have exact intervals. What
nulls read is told where they are too few for a share, without an interval. Whether values rise with the information is
asked in `order.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import bdtr, chdtri, ndtri

from mmmi_hf.benchmark.protocol.summary import digits, share, stated_of
from mmmi_hf.benchmark.report.intervals import over_seeds, written
from mmmi_hf.benchmark.report.order import order_sentences

Record = dict[str, Any]
_Pair = tuple[Record, Record]
STATED = 0.95
"""What intervals of estimates state."""
ERROR = 0.05
"""Chance that one of the intervals of a table misses, at most."""
ALARMED = 0.05
"""False alarms that such intervals may give, at most, on a null."""
_ORACLES = "oracle-"
_FEWEST = 3  # seeds
_CHANGES = (("float", "the images"), ("views", "the 8-bit pictures (which may carry less information than floats)"))


def findings(
    part: str,
    rows: Sequence[Record],
    bounds: Mapping[str, str],
    *,
    seen: bool = False,
    differs: Sequence[str] = (),
) -> dict[str, list[str]]:
    """Kind of data → sentences about it, of one results folder, in Markdown; after a line break stands what backs one.

    Args:
        part: its name. rows: as the folder has them; of every level those with most training rows are told. bounds:
            estimator → "upper", "lower" or "".
        seen: whether values are of training rows, of which only order and null are told.
        differs: how the training that they are of differs from the paper's.

    Of rows in several forms, what changes between them is told; of the images themselves the rest too, where there are
    three seeds or more.
    """
    found: dict[str, list[str]] = {}
    changed = _of_forms(rows)
    if changed:
        found[f"{part.capitalize()}, the same rows in several forms"] = changed
    rows = images_of(rows)
    for series, pair in dict.fromkeys((row["series"], f"{row['a']}:{row['b']}") for row in rows):
        of_cells = _largest([row for row in rows if (row["series"], f"{row['a']}:{row['b']}") == (series, pair)])
        sizes = sorted({row["n"] for row in of_cells})
        told = [*([part.capitalize()] if part else []), f"I({pair.replace(':', '; ')})", series]
        if len(sizes) > 1:
            told.append(f"{' or '.join(f'{size:,}' for size in sizes)} training rows")
        order = order_sentences(_competitors(of_cells), ERROR, seen=seen)
        if seen:
            found[", ".join(told)] = [*order, *_of_seen_nulls(of_cells, differs)]
        else:
            names = dict.fromkeys(row["estimator"] for row in of_cells)
            mine = [
                {"estimator": name, **stated_of([row for row in of_cells if row["estimator"] == name])}
                for name in names
            ]
            found[", ".join(told)] = [
                *_of_signs(of_cells, bounds),
                *order,
                *_of_coverage(mine),
                *_of_alarms(mine),
                *_of_the_oracle(of_cells),
            ]
    return found


def images_of(rows: Sequence[Record]) -> list[Record]:
    """Rows that are told, and drawn, as any data are: all, but of several forms the images alone.

    Of fewer than three seeds not even these, which are there for what changes between forms.
    """
    if len({row["form"] for row in rows}) < 2:
        return list(rows)
    return [row for row in rows if row["form"] == "float"] if len({row["seed"] for row in rows}) >= _FEWEST else []


def _largest(rows: Sequence[Record]) -> list[Record]:
    """Of every configuration the rows with most training rows."""
    most: dict[str, int] = {}
    for row in rows:
        most[row["config"]] = max(row["n"], most.get(row["config"], 0))
    return [row for row in rows if row["n"] == most[row["config"]]]


def _of_seen_nulls(of_cells: Sequence[Record], differs: Sequence[str]) -> list[str]:
    """What values of training rows say of pairs that share nothing, beside those that share most."""
    cells = [cell for cell in _competitors(of_cells) if cell["value"] is not None]
    nulls = [cell for cell in cells if cell["null"]]
    if not nulls:
        return []
    most = max(cell["truth"] for cell in cells)
    others = [cell for cell in cells if not cell["null"] and cell["truth"] == most]
    beside = f", those of pairs that share most, {digits(most)} nats, {_between(others)}" if others else ""
    recipe = f"the paper's recipe, but for {', '.join(differs)}" if differs else "the paper's recipe"
    return [
        f"of pairs that share nothing, all {len(nulls)} values of training rows, of {_estimators(nulls)}, lie "
        f"{_between(nulls)} nats{beside}. They were made by {recipe}."
    ]


def _between(cells: Sequence[Record]) -> str:
    low, high = (pick(cell["value"] for cell in cells) for pick in (min, max))
    return f"between {digits(low)} and {digits(high)}"


def _estimators(cells: Sequence[Record]) -> str:
    count = len({cell["estimator"] for cell in cells})
    return f"{count} estimator{'s' if count > 1 else ''}"


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
    asked: dict[str, int] = {}
    errors: dict[str, list[float]] = {}
    for cell in _competitors(of_cells):
        if not cell["null"]:
            asked[cell["estimator"]] = asked.get(cell["estimator"], 0) + 1
            if cell["value"] is not None:
                errors.setdefault(cell["estimator"], []).append(cell["value"] - cell["truth"])
    medians = {name: median(those, ERROR / len(errors)) for name, those in errors.items()}
    known = {
        _called(name, bounds, len(errors[name]), asked[name]): entry
        for name, entry in medians.items()
        if entry is not None
    }
    sentences = []
    for what, those in (
        ("little", {name: _turned(entry) for name, entry in known.items() if entry["high"] < 0.0}),
        ("much", {name: entry for name, entry in known.items() if entry["low"] > 0.0}),
    ):
        if those:
            sentences.append(
                f"{_count(those, errors)} too {what} in more than half of {max(asked.values())} cells: in the median, "
                f"{_from_to(those)} nats.\n"
                f"Read too {what}, by a median of so many nats: {_all(those)}."
            )
    return sentences


def _called(name: str, bounds: Mapping[str, str], cells: int, asked: int) -> str:
    more = [
        *(["an upper bound"] if bounds.get(name) == "upper" else []),
        *([f"of the {cells} of {asked} cells with a value"] if cells < asked else []),
    ]
    return f"`{name}` ({', '.join(more)})" if more else f"`{name}`"


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
    most = max((row["coverage"] for row in short), key=lambda entry: entry["value"])
    fewer = " or fewer" if any(row["coverage"]["value"] < most["value"] for row in short) else ""
    return [
        "stated intervals of 95 %, which are of the sampling of test rows only, hold the truth less often for "
        f"{len(short)} of {len(stating)} estimators: in {_share(most)}{fewer}{beside}.\n"
        f"Stated intervals hold the truth in {_by_share(short, 'coverage')}."
    ]


def _of_alarms(rows: Sequence[Record]) -> list[str]:
    tried = [row for row in _competitors(rows) if row["alarms"] is not None]
    wide = [{**row, "alarms": _together(row["alarms"], len(tried))} for row in tried]
    alarmed = [row for row in wide if row["alarms"]["low"] > ALARMED]
    if tried and all(_too_few(row["alarms"]["cells"], len(tried)) for row in tried):
        return [_few_nulls(tried, [row for row in _competitors(rows) if row["null"] is not None])]
    if not alarmed:
        return []
    told = "; ".join(
        f"`{row['estimator']}` {_share(row['alarms'])}, its values from {digits(row['null']['low'])} to "
        f"{digits(row['null']['high'])} nats"
        for row in alarmed
    )
    names = ", ".join(f"`{row['estimator']}`" for row in alarmed)
    least = min((row["alarms"] for row in alarmed), key=lambda entry: entry["value"])
    or_more = " or more" if any(row["alarms"]["value"] > least["value"] for row in alarmed) else ""
    return [
        "of pairs that share nothing, stated intervals, which are of the sampling of test rows only, lie above 0 more "
        f"often than one in twenty for {len(alarmed)} of {len(tried)} estimators ({names}): in "
        f"{_share(least)}{or_more}.\n"
        f"Of pairs that share nothing, intervals lie above 0: {told}."
    ]


def _too_few(nulls: int, estimators: int) -> bool:
    """Whether not even a false alarm at every null would tell that there are too many."""
    found = share([True] * nulls, error=ERROR / estimators)
    return found is None or found["low"] <= ALARMED


def _few_nulls(tried: Sequence[Record], read: Sequence[Record]) -> str:
    """What so few nulls read that nothing can be told of how often intervals lie above 0.

    tried: summaries of estimators that state intervals. read: of all.
    """
    low, high = min(row["null"]["low"] for row in read), max(row["null"]["high"] for row in read)
    alarmed = [f"`{row['estimator']}`" for row in tried if row["alarms"]["value"] > 0.0]
    told = f" ({', '.join(alarmed)})" if alarmed else ""
    return (
        f"of pairs that share nothing, values lie between {digits(low)} and {digits(high)} nats, and an interval lies "
        f"above 0 for {len(alarmed)} of {len(tried)} estimators{told}: too few nulls to tell how often."
    )


def _together(entry: Mapping[str, float], estimators: int) -> Record:
    """A share with the interval that holds for all estimators together."""
    count = int(entry["cells"])
    true = round(entry["value"] * count)
    found = share([True] * true + [False] * (count - true), error=ERROR / estimators)
    assert found is not None
    return found


def _of_forms(rows: Sequence[Record]) -> list[str]:
    """What changes from latents to what was made of them, on the same rows: differences whose interval misses 0."""
    seeds = len({row["seed"] for row in rows})
    sentences = []
    for form, called in _CHANGES:
        changes = changes_of(rows, form)
        down = {f"`{name}`": _turned(each) for name, each in changes.items() if each["high"] < 0.0}
        up = {f"`{name}`": each for name, each in changes.items() if each["low"] > 0.0}
        for what, those in (("less", down), ("more", up)):
            if those:
                sentences.append(
                    f"as trained here, {'once' if seeds == 1 else f'{seeds} times'} a level, "
                    f"{_count(those, changes)} {what} of {called} than of the latents of the same rows: "
                    f"{_from_to(those)} nats.\n"
                    f"Read {what} of {called} than of the latents, by so many nats: {_all(those)}."
                )
    if sentences:
        sentences.append(
            f"intervals are Student's over {seeds} seeds, with rows and trainings of their own, of means over levels."
            if seeds >= _FEWEST
            else "how another training would differ is in none of these intervals, and may be all that differs."
        )
    return sentences


def _turned(entry: Mapping[str, float]) -> Record:
    return {"value": -entry["value"], "low": -entry["high"], "high": -entry["low"]}


def changes_of(rows: Sequence[Record], form: str) -> dict[str, Record]:
    """Estimator → mean of what a form adds to the value of latents, over the cells that have both; nulls left out.

    Of three seeds or more its interval is Student's over the means of those seeds that have all levels. Of fewer it is
    normal, of the sampling of test rows, and takes the two values as independent: too wide where they err alike.
    """
    several = len({row["seed"] for row in rows}) >= _FEWEST
    cells: dict[tuple[Any, ...], dict[str, Record]] = {}
    for row in rows:
        known = row["value"] is not None and (several or row["standard_error"] is not None)
        if known and not row["null"] and not row["estimator"].startswith(_ORACLES):
            key = (row["estimator"], row["seed"], row["config"], row["a"], row["b"], row["n"])
            cells.setdefault(key, {})[row["form"]] = row
    pairs: dict[str, dict[int, list[_Pair]]] = {}
    for (estimator, seed, *_), of_cell in cells.items():
        if "latents" in of_cell and form in of_cell:
            pairs.setdefault(estimator, {}).setdefault(seed, []).append((of_cell["latents"], of_cell[form]))
    if several:
        pairs = {name: whole for name, of_seed in pairs.items() if len(whole := _whole(of_seed)) >= _FEWEST}
    of_change = _over_seeds if several else _over_test_rows
    return {name: of_change(of_seed, ERROR / len(pairs)) for name, of_seed in pairs.items()}


def _whole(of_seed: Mapping[int, list[_Pair]]) -> dict[int, list[_Pair]]:
    """Seeds that have all levels."""
    levels = max(map(len, of_seed.values()))
    return {seed: pairs for seed, pairs in of_seed.items() if len(pairs) == levels}


def _over_seeds(of_seed: Mapping[int, Sequence[_Pair]], error: float) -> Record:
    means = [float(np.mean([other["value"] - one["value"] for one, other in pairs])) for pairs in of_seed.values()]
    return over_seeds(means, error)


def _over_test_rows(of_seed: Mapping[int, Sequence[_Pair]], error: float) -> Record:
    pairs = [pair for pairs in of_seed.values() for pair in pairs]
    mean = float(np.mean([other["value"] - one["value"] for one, other in pairs]))
    errors = [row["standard_error"] for pair in pairs for row in pair]
    reach = float(ndtri(1.0 - error / 2)) * math.hypot(*errors) / len(pairs)
    return {"value": mean, "low": mean - reach, "high": mean + reach}


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
