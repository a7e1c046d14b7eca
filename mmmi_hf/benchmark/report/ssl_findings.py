"""What results of self-supervised learning say: whether an encoder that never saw y keeps it, and what decides that.

Owns the rules. Configurations are compared by what their causal models say, and by no name: with equal I(x1; y),
I(x2; y) and sharing where y sits, "aligned", those that share more beside y; with equal I(x1; y) and I(x1; x2), those
that share more where y sits; with all three equal, those of which x2 tells more of y. A difference is taken seed by
seed: networks of a seed begin alike in all configurations, whose rows may be related, and seeds have rows of their own.
Its interval is Student's over seeds, and those of a sentence hold with 95 % together (Bonferroni). Differences are
counted where the interval excludes 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mmmi_hf.benchmark.downstream.probing import CONTROLS
from mmmi_hf.benchmark.downstream.ssl import KINDS
from mmmi_hf.benchmark.protocol.summary import digits
from mmmi_hf.benchmark.report.findings import ERROR
from mmmi_hf.benchmark.report.intervals import over_seeds, written

Record = dict[str, Any]
_FACTS = ("information", "shared", "other", "aligned")
_SCORES = {"r_squared": ("R²", "ceiling"), "accuracy": ("accuracy", "bayes_accuracy")}
_Cell = tuple[str, str]
_READER = "contrastive"  # whose InfoNCE value estimates I(x1; x2)
_FEWEST = 3  # seeds


@dataclass(frozen=True)
class _Results:
    """Rows of one kind of data: (configuration, method) → seed → row; score: what is told of the probe."""

    cells: Mapping[_Cell, Mapping[int, Record]]
    facts: Mapping[str, Record]
    score: str

    @classmethod
    def of(cls, rows: Sequence[Record]) -> _Results:
        cells: dict[tuple[str, str], dict[int, Record]] = {}
        score = next(name for name in _SCORES if name in rows[0])
        for row in rows:
            if not row["null"] and row[score] is not None and row["aligned"] is not None:
                cells.setdefault((row["config"], row["method"]), {})[row["seed"]] = row
        known = {key: of_seed for key, of_seed in cells.items() if len(of_seed) >= _FEWEST}
        facts = {config: next(iter(of_seed.values())) for (config, _), of_seed in known.items()}
        return cls(known, facts, score)

    def configs(self, method: str) -> list[str]:
        """Those that have a method."""
        return [config for config in self.facts if (config, method) in self.cells]

    def score_of(self, config: str, method: str, error: float) -> Record:
        """Of the probe, with its interval."""
        rows = self.cells[config, method].values()
        return over_seeds([row[self.score] for row in rows], error, [row[f"{self.score}_error"] for row in rows])

    def paired(self, one: _Cell, other: _Cell) -> bool:
        """Whether two cells have enough seeds in common."""
        return len(self.cells.get(one, {}).keys() & self.cells.get(other, {}).keys()) >= _FEWEST

    def difference(self, one: _Cell, other: _Cell, error: float, *, misses: bool = False) -> Record:
        """Score of one (configuration, method) less that of another, or, with `misses`, of |InfoNCE value - truth|."""
        first, second = self.cells[one], self.cells[other]
        seeds = sorted(first.keys() & second.keys())
        return over_seeds([self._measured(first[s], misses) - self._measured(second[s], misses) for s in seeds], error)

    def _measured(self, row: Record, misses: bool) -> float:
        return abs(row["estimate"] - row["shared"]) if misses else float(row[self.score])

    def alike(self, one: str, other: str, *names: str) -> bool:
        """Whether the causal models of two configurations agree in these facts."""
        pairs = ((self.facts[one][name], self.facts[other][name]) for name in names)
        return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs)

    def raised(self, name: str) -> list[tuple[str, str]]:
        """(less, more): configurations that agree in all facts but this one; where it is "aligned", x2 may differ."""
        fixed = [each for each in _FACTS if each != name and (name, each) != ("aligned", "other")]
        found = []
        for config in self.facts:
            group = [each for each in self.facts if self.alike(config, each, *fixed)]
            least = min(group, key=lambda each: float(self.facts[each][name]))
            if not self.alike(config, least, name):
                found.append((least, config))
        return found


def ssl_findings(part: str, rows: Sequence[Record]) -> dict[str, list[str]]:
    """Kind of data → sentences about it, in Markdown; after a line break stands what backs one.

    Args:
        part: the name of the results folder. rows: of its results; of nulls, of fewer than three seeds, and where it is
            not known what sits where y does, nothing is said.
    """
    found: dict[str, list[str]] = {}
    for series in dict.fromkeys(row["series"] for row in rows):
        results = _Results.of([row for row in rows if row["series"] == series])
        told = [
            *_reached(results),
            *_raised(results, "shared", "more is shared beside y, and all else is equal"),
            *_raised(results, "aligned", "as much is shared, and more of it where y sits"),
            *_raised(results, "other", "as much is shared, in the same places, and x2 tells more of y"),
            *_beside_untrained(results),
            *_by_training(results),
            *_of_estimates(results),
        ]
        if told:
            seeds = min(map(len, results.cells.values()))
            told.append(
                "what is shared where y sits is I(E[y | x1]; x2), exact. Differences are taken seed by seed, of "
                f"{seeds} seeds or more; intervals are 95 % for all of a sentence together."
            )
            what = "self-supervised learning" + (" of classes" if results.score == "accuracy" else "")
            found[", ".join([*([part.capitalize()] if part else []), what, series])] = told
    return found


def _reached(results: _Results) -> list[str]:
    """What the controls read: the least of those that may know y, the most of the untrained."""
    known = {method: results.configs(method) for method in CONTROLS}
    count = sum(map(len, known.values()))
    if not all(known.values()):
        return []
    name, limit = _SCORES[results.score]
    every = {method: [results.score_of(config, method, ERROR / count) for config in of] for method, of in known.items()}
    ceilings = [fact[limit] for fact in results.facts.values()]
    told = digits(min(ceilings)) + ("" if np.ptp(ceilings) < 1e-6 else f" to {digits(max(ceilings))}")
    least = {method: min(each["low"] for each in every[method]) for method in ("raw", "supervised")}
    most = max(each["high"] for each in every["untrained"])
    return [
        f"{name} of the probe is {told} at best. In all {len(results.facts)} configurations, with intervals, `raw` "
        f"reaches {digits(least['raw'])} or more, `supervised` {digits(least['supervised'])} or more, and `untrained` "
        f"{digits(most)} or less."
    ]


def _raised(results: _Results, name: str, where: str) -> list[str]:
    pairs = {f"`{more}` – `{less}`": (more, less) for less, more in results.raised(name)}
    return _compared(
        results,
        {method: {told: ((a, method), (b, method)) for told, (a, b) in pairs.items()} for method in KINDS},
        where,
    )


def _beside_untrained(results: _Results) -> list[str]:
    return _compared(
        results,
        {method: {f"`{c}`": ((c, method), (c, "untrained")) for c in results.facts} for method in KINDS},
        "an encoder was trained, beside the same untrained",
    )


def _compared(results: _Results, asked: Mapping[str, Mapping[str, tuple[_Cell, _Cell]]], where: str) -> list[str]:
    """One sentence of all differences; asked: method → name → the two that are compared."""
    known = {method: {told: pair for told, pair in of.items() if results.paired(*pair)} for method, of in asked.items()}
    count = sum(map(len, known.values()))
    compared = {
        method: {told: results.difference(*pair, ERROR / count) for told, pair in of.items()}
        for method, of in known.items()
        if of
    }
    if not compared:
        return []
    said = "; ".join(f"`{method}` {_counted(each)}" for method, each in compared.items())
    backs = ". ".join(
        f"`{method}`: {'; '.join(f'{told} {written(each)}' for told, each in of.items())}"
        for method, of in compared.items()
    )
    name = _SCORES[results.score][0]
    return [f"where {where}, the probe's {name} is: {said}.\nDifferences of {name} where {where}: {backs}."]


def _counted(compared: Mapping[str, Record]) -> str:
    """ "higher in 3 of 7 (by 0.100 (…) to 0.300 (…)), lower in 1 (…), otherwise within -0.020 … 0.030"."""
    said = []
    for what, sign in (("higher", 1.0), ("lower", -1.0)):
        those = [_turned(each, sign) for each in compared.values() if _turned(each, sign)["low"] > 0.0]
        if those:
            near, far = (pick(those, key=lambda each: each["value"]) for pick in (min, max))
            span = written(near) if len(those) == 1 else f"{written(near)} to {written(far)}"
            said.append(f"{what} in {len(those)} of {len(compared)}, by {span}")
    open_ = [each for each in compared.values() if each["low"] <= 0.0 <= each["high"]]
    if open_:
        low, high = min(each["low"] for each in open_), max(each["high"] for each in open_)
        said.append(
            f"not known to differ in {len(open_)} of {len(compared)} (all within {digits(low)} … {digits(high)})"
        )
    return ", ".join(said)


def _turned(entry: Record, sign: float) -> Record:
    if sign > 0.0:
        return entry
    return {"value": -entry["value"], "low": -entry["high"], "high": -entry["low"]}


@dataclass(frozen=True)
class _Pair:
    """Two cells: how much higher the first one's score is, and how much larger the error of its InfoNCE value."""

    names: tuple[str, str]
    score: Record
    misses: Record

    @classmethod
    def of(cls, results: _Results, one: _Cell, other: _Cell, error: float) -> _Pair:
        """The higher score stands first."""
        score = results.difference(one, other, error)
        if score["value"] < 0.0:
            one, other, score = other, one, _turned(score, -1.0)
        misses = results.difference(one, other, error, misses=True)
        return cls((one[0], other[0]), score, misses)


def _by_training(results: _Results) -> list[str]:
    """Where training brought the InfoNCE value nearer to the truth: whether y was then told better."""
    every = [((config, _READER), (config, "untrained")) for config in results.facts]
    cells = [pair for pair in every if results.paired(*pair)]
    if not cells:
        return []
    name, error = _SCORES[results.score][0], ERROR / (2 * len(cells))
    nearer = [pair for pair in cells if results.difference(*pair, error, misses=True)["high"] < 0.0]
    scores = [results.difference(*pair, error) for pair in nearer]
    higher, lower = sum(each["low"] > 0.0 for each in scores), sum(each["high"] < 0.0 for each in scores)
    return [
        f"training brought the InfoNCE value of `{_READER}` nearer to I(x1; x2) in {len(nearer)} of {len(cells)} "
        f"configurations. In these the probe's {name} rose in {higher}, fell in {lower}, and is not known to have "
        f"changed in {len(nearer) - higher - lower}."
    ]


def _of_estimates(results: _Results) -> list[str]:
    """Whether the nearer InfoNCE value goes with the better representation, of configurations that share as much."""
    alike = [pair for pair in combinations(results.facts, 2) if results.alike(*pair, "information", "shared")]
    cells = [pair for a, b in alike if results.paired(*(pair := ((a, _READER), (b, _READER))))]
    if not cells:
        return []
    name, error = _SCORES[results.score][0], ERROR / (2 * len(cells))
    pairs = [_Pair.of(results, *pair, error) for pair in cells]
    differ = [pair for pair in pairs if pair.score["low"] > 0.0]
    farther = [pair for pair in differ if pair.misses["low"] > 0.0]
    nearer = [pair for pair in differ if pair.misses["high"] < 0.0]
    open_ = [pair for pair in differ if pair.misses["low"] <= 0.0 <= pair.misses["high"]]
    sentence = (
        f"does a better estimate mean a better representation? Of {len(pairs)} pairs of configurations with the same "
        f"I(x1; x2) and I(x1; y), {name} of `{_READER}` differs in {len(differ)}. Where it is higher, its InfoNCE "
        f"value lies nearer to I(x1; x2) in {len(nearer)}, farther off in {len(farther)}, and neither in {len(open_)}"
    )
    for those, what in ((farther, "farther off"), (open_, "neither")):
        if those:
            most = max(those, key=lambda pair: float(pair.score["low"]))
            sentence += (
                f". {what.capitalize()}, for one: `{most.names[0]}` beside `{most.names[1]}`, {name} higher by "
                f"{written(most.score)}, the value's error by {written(most.misses)} nats"
            )
    backs = "; ".join(
        f"`{pair.names[0]}` – `{pair.names[1]}` {written(pair.score)}, {written(pair.misses)} nats" for pair in pairs
    )
    return [f"{sentence}.\nDifferences of {name}, and of the InfoNCE value's error: {backs}."]
