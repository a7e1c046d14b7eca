"""Which rows lack which modalities: a test of the declared chances, and the groups of rows that are tested together.

Owns the multinomial test of patterns and the union of tests over groups. NumPy, SciPy and this room only.

Absences are declared independent of each other and of all else, so that the tests of a group, whose rows the absences
choose, have their null distributions given the absences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws.missing.patterns import Names, Rows, lacking, parts_of_rows
from mmmi_hf.causal.statistics.p_values import Test, smallest


@dataclass(frozen=True, eq=False)
class Group:
    """Rows that are tested together: the modalities that are looked at, the numbers of the rows, and which they are."""

    names: Names
    rows: Rows
    said: str


def groups_of(z: Mapping[str, Array]) -> list[Group]:
    """Groups of two rows or more, by what these latents (n, *shape), NaN where a row lacks a modality, say.

    The rows of every pattern, with all that they have; and where there are several patterns all rows that have a
    modality, by itself, unless a pattern has them all, and y of all rows.
    """
    names = tuple(z)
    count = len(z[names[0]])
    of_patterns = list(parts_of_rows(z, names))
    found = [Group(here, rows, _said(rows, here, only=True)) for rows, here in of_patterns]
    if len(of_patterns) > 1:
        for name in names:
            having = [rows for rows, here in of_patterns if name in here]
            if len(having) > 1:
                rows = np.sort(np.concatenate(having))
                found.append(Group((name,), rows, _said(rows, (name,), only=False)))
        found.append(Group((), np.arange(count), f"all {count} rows"))
    return [group for group in found if len(group.rows) > 1]


def merged(tests: Sequence[Test]) -> list[Test]:
    """One test of each name: its smallest p-value, corrected for how many there are (Bonferroni)."""
    by_name: dict[str, list[Test]] = {}
    for test in tests:
        by_name.setdefault(test.name, []).append(test)
    return [
        smallest(name, np.array([test.p_value for test in same]), [test.where for test in same])
        for name, same in by_name.items()
    ]


def absence_test(missing: Mapping[str, float], z: Mapping[str, Array]) -> Test:
    """Whether rows lack modalities as often as declared, and independently of each other.

    Exact binomial numbers of rows that lack each modality, and each two; and of all m together the multinomial counts
    of the 2^m patterns: with D = KL(shares ‖ declared) and k = 2^m, E e^{t n D} ≤ (1 - t)^{1-k} for t < 1, hence
    P(n D ≥ x) ≤ e^{k-1-x} (x / (k - 1))^{k-1} for x > k - 1 (Agrawal, IEEE Trans. Inf. Theory 66, 2020).

    Args:
        missing: modality → the declared probability that a row lacks it. z: latents (n, *shape), NaN where it does.
    """
    absent = {name: lacking(z[name]) for name in missing}
    looks = [(_binomial(rows, missing[name]), name) for name, rows in absent.items()]
    for a, b in combinations(missing, 2):
        looks.append((_binomial(absent[a] & absent[b], missing[a] * missing[b]), f"{a} and {b}"))
    if len(missing) > 1:
        looks.append((_multinomial(np.stack(list(absent.values()), axis=1), list(missing.values())), "all patterns"))
    return smallest("missing modalities", np.array([p for p, _ in looks]), [where for _, where in looks])


def _binomial(rows: np.ndarray, chance: float) -> float:
    return float(scipy.stats.binomtest(int(rows.sum()), len(rows), chance).pvalue)


def _multinomial(absent: np.ndarray, chances: Sequence[float]) -> float:
    """p-value of patterns (n, m) of bool."""
    patterns, counts = np.unique(absent, axis=0, return_counts=True)
    declared = np.where(patterns, np.log(chances), np.log1p(-np.asarray(chances))).sum(axis=1)
    distance = float(np.sum(counts * (np.log(counts / len(absent)) - declared)))
    free = 2.0 ** len(chances) - 1.0
    if distance <= free:
        return 1.0
    return math.exp(free - distance + free * math.log(distance / free))


def _said(rows: Rows, names: Names, *, only: bool) -> str:
    return f"{len(rows)} rows that have {', '.join(names) or 'no modality'}{' only' if only and names else ''}"
