"""What results say of order: whether values rise with the information.

Owns the rule. Of all pairs of levels within a seed, those are counted in which the level that tells more has the higher
value; a value that is missing or the same puts no pair into its order. Chance is a law in which every order of a seed's
levels is as likely as any other. Values have it that do not depend on the level, whether or not networks of a seed
begin alike. Pairs of one seed are then counted as those without an inversion in a random permutation, exactly, and
seeds add up. An estimator is said to order levels where chance has as many pairs in order in at most one of twenty
times, for all estimators of a table together (Bonferroni). How often it orders two levels of other data is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

Record = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """Pairs of levels of one estimator.

    right: how many are in their order. levels: of every seed, how many there are.
    """

    right: int
    levels: tuple[int, ...]

    @classmethod
    def of(cls, cells: Sequence[Record]) -> Order:
        """Count the pairs of one estimator's cells, nulls left out."""
        by_seed: dict[int, list[Record]] = {}
        for cell in cells:
            if not cell["null"]:
                by_seed.setdefault(cell["seed"], []).append(cell)
        right = sum(_rises(*pair) for of_seed in by_seed.values() for pair in combinations(of_seed, 2))
        return cls(right, tuple(len(of_seed) for of_seed in by_seed.values()))

    @property
    def pairs(self) -> int:
        return sum(count * (count - 1) // 2 for count in self.levels)

    @property
    def told(self) -> str:
        """ "13 of 15"."""
        return f"{self.right} of {self.pairs}"


def _rises(one: Record, other: Record) -> bool:
    if one["value"] is None or other["value"] is None:
        return False
    return bool((one["value"] - other["value"]) * (one["truth"] - other["truth"]) > 0.0)


def chance(right: int, levels: Sequence[int]) -> float:
    """Probability that at least so many pairs are in order, where every order of a seed's levels is equally likely.

    Args:
        right: pairs. levels: of every seed, how many.
    """
    law = np.ones(1)
    for count in levels:
        for size in range(2, count + 1):
            law = np.convolve(law, np.full(size, 1.0 / size))  # where the next level stands among those before it
    return float(law[right:].sum())


def order_sentences(cells: Sequence[Record], error: float, *, seen: bool = False) -> list[str]:
    """Which estimators order the levels, in Markdown; after a line break every count. Of two levels nothing is said.

    Args:
        cells: of competitors. error: chance that the sentence is wrong of any of them, at most.
        seen: whether values are of training rows.
    """
    by_name: dict[str, list[Record]] = {}
    for cell in cells:
        by_name.setdefault(cell["estimator"], []).append(cell)
    said = {name: those for name, those in by_name.items() if any(cell["value"] is not None for cell in those)}
    orders = {name: Order.of(those) for name, those in said.items()}
    orders = {name: order for name, order in orders.items() if max(order.levels, default=0) > 2}
    if not orders:
        return []
    error /= len(orders)
    every = f"Pairs of levels of a seed that are in their order: {_counts(orders)}."
    values = "by values of training rows, " if seen else ""
    least = min(chance(order.pairs, order.levels) for order in orders.values())
    if least > error:
        perfect = sum(order.right == order.pairs for order in orders.values())
        return [
            f"{values}{perfect} of {len(orders)} estimators have all levels in their order, which does not tell them "
            f"from chance: that has so few levels and seeds in their order once in {1.0 / least:.0f} times.\n{every}"
        ]
    better = {name: order for name, order in orders.items() if chance(order.right, order.levels) <= error}
    right = f": of the pairs of levels of a seed, {_span(better)} are right" if better else ""
    return [
        f"{values}{len(better)} of {len(orders)} estimators order{'s' if len(better) == 1 else ''} the levels better "
        f"than chance{right} (exact, 95 % for all together).\n{every}{_not_known(orders, better)}"
    ]


def _span(orders: Mapping[str, Order]) -> str:
    """ "13 of 15 (`a`) to 15 of 15 (2 estimators)"."""
    alike = _alike(orders)
    ends = [alike[0]] if len(alike) == 1 else [alike[0], alike[-1]]
    return " to ".join(
        f"{told} ({names[0] if len(names) == 1 else f'{len(names)} estimators'})" for told, names in ends
    )


def _counts(orders: Mapping[str, Order]) -> str:
    return "; ".join(f"{told}: {', '.join(names)}" for told, names in reversed(_alike(orders)))


def _alike(orders: Mapping[str, Order]) -> list[tuple[str, list[str]]]:
    """Estimators with the same count together, the fewest pairs first."""
    found: dict[str, list[str]] = {}
    for name, order in sorted(orders.items(), key=lambda each: each[1].right / each[1].pairs):
        found.setdefault(order.told, []).append(f"`{name}`")
    return list(found.items())


def _not_known(orders: Mapping[str, Order], better: Mapping[str, Order]) -> str:
    rest = [f"`{name}`" for name in orders if name not in better]
    return f" Not known to be more than chance: {', '.join(rest)}." if rest else ""
