"""What results of self-supervised learning say: whether an encoder that never saw y keeps it, and what decides that.

Owns the rules. Configurations are compared by what their causal models say, and by no name: with equal I(x1; y),
I(x2; y) and sharing where y sits, "aligned", those that share more beside y; with equal I(x1; y) and I(x1; x2), those
that share more where y sits, with equal I(x2; y) and apart from these with more of it; with all three equal, those of
which x2 tells more of y; with equal I(x1; y) and I(x2; y), those that share more both where y sits and beside it.
Where more sits at y and the score is lower all the same, that is told of all pairs. Two comparisons that are the same
in law to an encoder, which sees x1 and x2 alone, are one; the first is counted.

Main thing first: comparisons are counted in one sentence, and what each kind of them says stands with the table of its
differences, in what backs the sentences.

A difference is taken seed by seed: networks of a seed begin alike in all configurations, whose rows may be related, and
seeds have rows of their own. Its interval is Student's over seeds, and those of a sentence hold with 95 % together
(Bonferroni); those that one sentence counts in several places are held together in all of them. Differences are counted
where the interval excludes 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from mmmi_hf.benchmark.downstream.probing import CONTROLS
from mmmi_hf.benchmark.downstream.ssl import KINDS
from mmmi_hf.benchmark.downstream.tasks import PROBED, probe_score
from mmmi_hf.benchmark.protocol.summary import digits
from mmmi_hf.benchmark.report.findings import ERROR
from mmmi_hf.benchmark.report.intervals import over_seeds, written

Record = dict[str, Any]
_Cell = tuple[str, str]
_Names = tuple[str, str]
_Compared = Mapping[str, Mapping[str, Record]]
_ByPlace = Mapping[str, _Compared]
_NOTHING = 1e-9  # nats
_READER = "contrastive"  # whose InfoNCE value estimates I(x1; x2)
_FEWEST = 3  # seeds
_FEWEST_PAIRS = 3  # of data sets


@dataclass(frozen=True)
class _Results:
    """Rows of one kind of data.

    cells: (configuration, method) → seed → row. score, heading, limit: what is told of the probe, as in `probe_score`.
    laws: configuration → the first of those that have its law to an encoder. common: how many seeds differences have.
    """

    cells: Mapping[_Cell, Mapping[int, Record]]
    facts: Mapping[str, Record]
    score: str
    heading: str
    limit: str
    laws: Mapping[str, str]
    common: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Sequence[Record], same_laws: Sequence[Sequence[str]]) -> _Results:
        cells: dict[tuple[str, str], dict[int, Record]] = {}
        score, heading, limit = next(told for told in map(probe_score, PROBED) if told[0] in rows[0])
        for row in rows:
            if not row["null"] and row[score] is not None and row["aligned"] is not None:
                cells.setdefault((row["config"], row["method"]), {})[row["seed"]] = row
        known = {key: of_seed for key, of_seed in cells.items() if len(of_seed) >= _FEWEST}
        facts = {config: next(iter(of_seed.values())) for (config, _), of_seed in known.items()}
        groups = [[config for config in group if config in facts] for group in same_laws]
        laws = {config: config for config in facts} | {config: group[0] for group in groups for config in group}
        return cls(known, facts, score, heading, limit, laws)

    def configs(self, method: str) -> list[str]:
        """Those that have a method."""
        return [config for config in self.facts if (config, method) in self.cells]

    def methods(self) -> list[str]:
        """Ways of learning that were run."""
        return [method for method in KINDS if self.configs(method)]

    def of_laws(self) -> list[str]:
        """Configurations, one of each law."""
        return [config for config in self.facts if self.laws[config] == config]

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
        self.common.append(len(seeds))
        return over_seeds([self._measured(first[s], misses) - self._measured(second[s], misses) for s in seeds], error)

    def _measured(self, row: Record, misses: bool) -> float:
        return abs(row["estimate"] - row["shared"]) if misses else float(row[self.score])

    def alike(self, one: str, other: str, *names: str) -> bool:
        """Whether the causal models of two configurations agree in these facts."""
        pairs = ((self.facts[one][name], self.facts[other][name]) for name in names)
        return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs)

    def more(self, one: str, other: str, *names: str) -> bool:
        """Whether each of these facts of one is above that of another."""
        return all(
            not self.alike(one, other, name) and self.facts[one][name] > self.facts[other][name] for name in names
        )

    def beside(self, config: str) -> float:
        """Nats that are shared elsewhere than where y sits."""
        return float(self.facts[config]["shared"] - self.facts[config]["aligned"])

    def raised(self, name: str, *fixed: str, too: Sequence[str] = ()) -> list[_Names]:
        """(more, less) of a fact, and of others `too`: each beside that of those with equal `fixed` that has least."""
        found = []
        for config in self.facts:
            group = [each for each in self.facts if self.alike(config, each, *fixed)]
            least = min(group, key=lambda each: float(self.facts[each][name]))
            if self.more(config, least, name, *too):
                found.append((config, least))
        return found

    def counted_once(self, pairs: Sequence[_Names], said: Sequence[_Names] = ()) -> list[_Names]:
        """Pairs that are not the same in law as an earlier one, or as one that was said before."""
        laws = {self._law(pair) for pair in said}
        return list({self._law(pair): pair for pair in reversed(pairs) if self._law(pair) not in laws}.values())[::-1]

    def _law(self, pair: _Names) -> _Names:
        return self.laws[pair[0]], self.laws[pair[1]]


def ssl_findings(part: str, rows: Sequence[Record], same_laws: Sequence[Sequence[str]] = ()) -> dict[str, list[str]]:
    """Kind of data → sentences about it, in Markdown; after a line break stands what backs one, or is told aside alone.

    Args:
        part: the name of the results folder. rows: of its results; of nulls, of fewer than three seeds, and where it is
            not known what sits where y does, nothing is said. same_laws: groups of configurations of which encoders and
            the probe see the same law, as `probing.same_laws` finds them.
    """
    found: dict[str, list[str]] = {}
    for series in dict.fromkeys(row["series"] for row in rows):
        results = _Results.of([row for row in rows if row["series"] == series], same_laws)
        where, beside, trained = _where(results), _beside_y(results), _beside_untrained(results)
        told = [
            *_in_short(results, where, beside, trained),
            *(line for places in (where, beside, trained) for line in _asides(results, places)),
            *_reached(results),
            *_yet_lower(results),
            *_more_of_both(results),
            *_of_estimates(results),
            *_whose(results),
        ]
        if told:
            what = "self-supervised learning" + (" of classes" if results.score == "accuracy" else "")
            found[", ".join([*([part.capitalize()] if part else []), what, series])] = [*told, *_rule(results)]
    return found


def _rule(results: _Results) -> list[str]:
    """How differences are taken."""
    if not results.common:
        return []
    groups = [[each for each in results.facts if results.laws[each] == config] for config in results.of_laws()]
    one = "; ".join(" and ".join(f"`{each}`" for each in group) for group in groups if len(group) > 1)
    return [
        "what is shared where y sits is I(E[y | x1]; x2), exact. Differences are taken seed by seed, of "
        f"{min(results.common)} seeds in common or more; intervals are Student's, 95 % for all of a "
        "sentence together; of the sentence in short, for all of each of its parts. Comparisons have configurations in "
        "common, so that their number is not one of independent results."
        + f"\nTo an encoder these are one in law, and comparisons that agree in law are counted once: {one}."
        * bool(one)
    ]


def _where(results: _Results) -> _ByPlace:
    """More where y sits, and no more in all: x2 tells as much of y, or more too."""
    alone = results.counted_once(results.raised("aligned", "information", "shared", "other"))
    both = results.counted_once(results.raised("aligned", "information", "shared", too=["other"]), alone)
    return _together(
        results,
        {
            "as much is shared, more of it where y sits, and x2 tells as much of y": alone,
            "as much is shared, more of it where y sits, and x2 tells more of y too": both,
        },
    )


def _beside_y(results: _Results) -> _ByPlace:
    """More beside y, all else equal: with something where y sits, or nothing."""
    pairs = results.counted_once(results.raised("shared", "information", "other", "aligned"))
    at = [pair for pair in pairs if results.facts[pair[0]]["aligned"] > _NOTHING]
    rest = [pair for pair in pairs if pair not in at]
    return _together(
        results,
        {
            "more is shared beside y, all else equal, and something where y sits": at,
            "more is shared beside y, all else equal, and nothing where y sits": rest,
        },
    )


def _together(results: _Results, places: Mapping[str, Sequence[_Names]]) -> _ByPlace:
    """Differences of several places, which one sentence counts: held together."""
    every = _differences(results, [pair for pairs in places.values() for pair in pairs])
    return {
        place: {
            method: {told: each for told, each in of.items() if told in names}
            for method, of in every.items()
            if names & of.keys()
        }
        for place, pairs in places.items()
        for names in [{_told(*pair) for pair in pairs}]
    }


def _in_short(results: _Results, where: _ByPlace, beside: _ByPlace, trained: _ByPlace) -> list[str]:
    """Counts of what stands aside."""
    said = []
    for what, places in (
        ("as much is shared and more of it where y sits", where),
        ("more is shared beside y, all else equal", beside),
        ("an encoder was trained, beside the same untrained", trained),
    ):
        every = [(way, each) for compared in places.values() for way, of in compared.items() for each in of.values()]
        higher = [way for way, each in every if each["low"] > 0.0]
        lower = [way for way, each in every if each["high"] < 0.0]
        if every:
            said.append(
                f"where {what}, it is higher in {_by_way(higher)} and lower in {_by_way(lower)} of {len(every)} "
                "comparisons"
            )
    if not said:
        return []
    return [f"in short, of the {results.heading} that a probe has of encoders that never saw y: {'; '.join(said)}."]


def _by_way(ways: Sequence[str]) -> str:
    """ "7 (`contrastive` 1, `vicreg` 6)"."""
    told = ", ".join(f"`{way}` {ways.count(way)}" for way in dict.fromkeys(ways))
    return f"{len(ways)} ({told})" if ways else "none"


def _whose(results: _Results) -> list[str]:
    """x2 tells more of y, all else equal; where encoder and probe see the same law, that only checks the intervals."""
    pairs = results.raised("other", "information", "shared", "aligned")
    same = [pair for pair in pairs if results.laws[pair[0]] == results.laws[pair[1]]]
    apart = results.counted_once([pair for pair in pairs if pair not in same])
    checks = _differences(results, same)
    every = [each for of in checks.values() for each in of.values()]
    place = "as much is shared, in the same places, and x2 tells more of y"
    found = _asides(results, {place: _differences(results, apart)})
    if every:
        names = "; ".join(f"`{more}` and `{less}`" for more, less in same)
        held = sum(each["low"] <= 0.0 <= each["high"] for each in every)
        found.append(
            f"\nBy construction {results.heading} cannot differ where the law of x1 and x2, and that of x1 and y, is "
            f"the same, whatever x2 tells of y: {names}. {held} of {len(every)} intervals hold 0, which checks them "
            f"but weakly.\n\n{_table(results, checks)}"
        )
    return found


def _more_of_both(results: _Results) -> list[str]:
    """More where y sits and more beside it, where something sits there in both; x1 and x2 tell as much of y."""
    configs = [config for config in results.of_laws() if results.facts[config]["aligned"] > _NOTHING]
    pairs = [
        (one, other)
        for one in configs
        for other in configs
        if results.alike(one, other, "information", "other") and results.more(one, other, "aligned", "shared")
        if results.beside(one) > results.beside(other) + _NOTHING
    ]
    compared = _differences(results, pairs)
    if not compared:
        return []
    where = "more is shared both where y sits, with something there before, and beside it, all else equal"
    return [f"{_sentence(results, compared, where)}\nMore where y sits and beside it:\n\n{_table(results, compared)}"]


def _yet_lower(results: _Results) -> list[str]:
    """Pairs with more where y sits and a lower score, of all that have it; x1 tells as much of y in both."""
    configs = results.of_laws()
    pairs = [
        (one, other)
        for one in configs
        for other in configs
        if results.alike(one, other, "information") and results.more(one, other, "aligned")
    ]
    compared = _differences(results, pairs)
    lower = {method: {told: each for told, each in of.items() if each["high"] < 0.0} for method, of in compared.items()}
    if not any(lower.values()):
        return []
    said = []
    for method, of in lower.items():
        text = f"`{method}` in {len(of)} of {len(compared[method])}"
        if of:
            most = min(of, key=lambda told: float(of[told]["value"]))
            text += f", by most {most}: {written(of[most])}"
        said.append(text)
    return [
        f"nats where y sits do not decide alone: more sit there, and yet the probe's {results.heading} is lower, of "
        f"all pairs with the same I(x1; y): {'; '.join(said)}."
        f"\nMore sits where y does, and {results.heading} is lower:"
        f"\n\n{_table(results, {method: of for method, of in lower.items() if of})}"
    ]


def _reached(results: _Results) -> list[str]:
    """What the controls read: the least of those that may know y, the most of the untrained."""
    known = {method: results.configs(method) for method in CONTROLS}
    count = sum(map(len, known.values()))
    if not all(known.values()):
        return []
    every = {method: [results.score_of(config, method, ERROR / count) for config in of] for method, of in known.items()}
    ceilings = [fact[results.limit] for fact in results.facts.values()]
    told = digits(min(ceilings)) + ("" if np.ptp(ceilings) < 1e-6 else f" to {digits(max(ceilings))}")
    least = {method: min(each["low"] for each in every[method]) for method in ("raw", "supervised")}
    most = max(each["high"] for each in every["untrained"])
    return [
        f"{results.heading} of the probe is {told} at best. In all {len(results.facts)} configurations, with "
        f"intervals, `raw` reaches {digits(least['raw'])} or more, "
        f"`supervised` {digits(least['supervised'])} or more, and "
        f"`untrained` {digits(most)} or less."
    ]


def _beside_untrained(results: _Results) -> _ByPlace:
    asked = {
        method: {f"`{c}`": ((c, method), (c, "untrained")) for c in results.of_laws()} for method in results.methods()
    }
    return {"an encoder was trained, beside the same untrained": _compared(results, asked)}


def _differences(results: _Results, pairs: Sequence[_Names]) -> _Compared:
    """Method → pair → difference of each (more, less), held together."""
    return _compared(
        results,
        {
            method: {_told(*pair): ((pair[0], method), (pair[1], method)) for pair in pairs}
            for method in results.methods()
        },
    )


def _told(more: str, less: str) -> str:
    return f"`{more}` – `{less}`"


def _compared(results: _Results, asked: Mapping[str, Mapping[str, tuple[_Cell, _Cell]]]) -> _Compared:
    """Method → name → difference, held together; asked: method → name → the two that are compared."""
    known = {method: {told: pair for told, pair in of.items() if results.paired(*pair)} for method, of in asked.items()}
    count = sum(map(len, known.values()))
    return {
        method: {told: results.difference(*pair, ERROR / count) for told, pair in of.items()}
        for method, of in known.items()
        if of
    }


def _sentence(results: _Results, compared: _Compared, where: str) -> str:
    said = "; ".join(f"`{method}` {_counted(each)}" for method, each in compared.items())
    return f"where {where}, the probe's {results.heading} is: {said}."


def _asides(results: _Results, places: _ByPlace) -> list[str]:
    """What stands with the intervals alone."""
    told = {_sentence(results, compared, place): compared for place, compared in places.items() if compared}
    return [
        f"\n{sentence[0].upper()}{sentence[1:]}\n\n{_table(results, compared)}" for sentence, compared in told.items()
    ]


def _table(results: _Results, compared: _Compared) -> str:
    """Every difference with its interval, in Markdown: a row for each name, a column for each method."""
    names = dict.fromkeys(name for of in compared.values() for name in of)
    rows = [[name, *(written(of[name]) if name in of else "–" for of in compared.values())] for name in names]
    heads = [f"difference of {results.heading}", *(f"`{method}`" for method in compared)]
    lines = [heads, ["---", *["---:"] * len(compared)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _counted(compared: Mapping[str, Record]) -> str:
    """ "higher in 3 of 7, by 0.100 (…) to 0.300 (…), lower in 1 of 7, by 0.200 (…), not known to differ in 3 of 7"."""
    said = []
    for what, sign in (("higher", 1.0), ("lower", -1.0)):
        those = [_turned(each, sign) for each in compared.values() if _turned(each, sign)["low"] > 0.0]
        if those:
            near, far = (pick(those, key=lambda each: each["value"]) for pick in (min, max))
            span = written(near) if len(those) == 1 else f"{written(near)} to {written(far)}"
            said.append(f"{what} in {len(those)} of {len(compared)}, by {span}")
    open_ = sum(each["low"] <= 0.0 <= each["high"] for each in compared.values())
    if open_:
        said.append(f"not known to differ in {open_} of {len(compared)}")
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


def _of_estimates(results: _Results) -> list[str]:
    """Between data sets: whether the InfoNCE value lies nearer to the truth where the score is higher.

    Of one or two pairs nothing is said: what else differs between two data sets cannot be told from it.
    """
    alike = [pair for pair in combinations(results.of_laws(), 2) if results.alike(*pair, "information", "shared")]
    cells = [pair for a, b in alike if results.paired(*(pair := ((a, _READER), (b, _READER))))]
    if len(cells) < _FEWEST_PAIRS:
        return []
    name, error = results.heading, ERROR / (2 * len(cells))
    pairs = [_Pair.of(results, *pair, error) for pair in cells]
    differ = [pair for pair in pairs if pair.score["low"] > 0.0]
    farther = [pair for pair in differ if pair.misses["low"] > 0.0]
    nearer = [pair for pair in differ if pair.misses["high"] < 0.0]
    totals = [results.facts[one[0]]["shared"] for one, _ in cells]
    most = max(totals, key=lambda total: sum(np.isclose(total, totals)))
    of_most = [pair for pair, total in zip(cells, totals, strict=True) if np.isclose(total, most)]
    configs = len({config for pair in of_most for config, _ in pair})
    of_all = f"; {len(of_most)} of the {len(pairs)} are" if len(of_most) < len(pairs) else ", all"
    either = len(differ) - len(nearer) - len(farther)
    sentence = (
        "whether a better estimate means a better representation is not answered. Between data sets with the same "
        f"I(x1; x2) and I(x1; y), {name} of `{_READER}` differs in {len(differ)} of {len(pairs)} pairs; where it is "
        f"higher, its InfoNCE value lies nearer to I(x1; x2) in {len(nearer)}, farther off in {len(farther)}, and is "
        f"not known to do either in {either}. Where sharing sits differs too, and no two estimates are of the same data"
    )
    rows = [
        f"| `{pair.names[0]}` – `{pair.names[1]}` | {written(pair.score)} | {written(pair.misses)} |" for pair in pairs
    ]
    heads = [f"| pair | difference of {name} | of the InfoNCE value's error, nats |", "| --- | ---: | ---: |"]
    table = "\n".join([*heads, *rows])
    return [
        f"{sentence}.\nPairs with the same I(x1; x2) and I(x1; y), of `{_READER}`{of_all} of the {configs} "
        f"configurations that share {digits(most)} nats:\n\n{table}"
    ]
