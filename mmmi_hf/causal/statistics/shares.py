"""Upper confidence limits for the share of bad rows, and the floors that follow for every quantity of a model.

Owns the counting: from rows that were looked at to shares that hold together with a stated probability, and how that
probability is divided. The bounds themselves are in `floors`. NumPy and SciPy only; knows nothing of images or files.

A row is bad *at a deviation* η where the error of its recovered latents, in canonical variates of the quantity, is
longer than η. Counts are of rows chosen at random, independently of their content. Two kinds of evidence:

- Replays and a map. A stored row that equals the image of its latent is as good as the blind inverse is at that latent.
  The share of rows that do not is one of the folder: its rows are a finite population (hypergeometric), and it is
  known exactly once all of them were replayed. The share of latents at which the inverse is off by more than a
  tolerance is one of the map under N(0, I) (Clopper and Pearson), measured once for each map and added over the
  modalities. It says nothing about other laws of the latents.
- Inverses of the folder's own rows, compared with their latents. This serves any law, any map and 8-bit values.

One event "the share of bad rows is at most s", bad in any modality, serves all quantities, so that their number costs
no confidence; the numbers of deviations, of maps, and of the two kinds of quantities do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.statistics.deviations import reach
from mmmi_hf.causal.statistics.floors import Floor, pair_floor, pair_slack, target_floor, target_slack

Quantities = Mapping[str, tuple[str, ...]]
"""Name of a quantity → its blocks: ("x1", "x2", "y") for I(x1,x2;y), ("x1", "x2") for I(x1;x2)."""


@dataclass(frozen=True)
class Counted:
    """Of `rows` rows `seen` were looked at, chosen at random, and `bad` of these were bad."""

    bad: int
    seen: int
    rows: int


@dataclass(frozen=True)
class MapCounts:
    """Blind inverses of images of independent N(0, I) latents.

    Attributes:
        map: what was measured (digest and class); equal names share one limit.
        seen: number of latents.
        bad: tolerance τ → latents whose error ‖ẑ - z‖ exceeds τ √d, or whose inverse failed.
    """

    map: str
    seen: int
    bad: Mapping[float, int]


@dataclass(frozen=True)
class Grade:
    """At most a share `share` of the rows deviates by more than `deviation` in a quantity."""

    deviation: float
    share: float


def binomial_limit(bad: int, seen: int, error: float) -> float:
    """The largest share of which `seen` independent draws show `bad` or fewer with probability `error` or more.

    Clopper and Pearson; 1 - error^(1/n) where none is bad.

    Raises:
        InvalidQueryError: counts or a probability that make no sense.
    """
    _check_counts(bad, seen, seen, error)
    return 1.0 if bad == seen else float(stats.beta.isf(error, bad + 1, seen - bad))


def folder_limit(counted: Counted, error: float) -> float:
    """The same for `seen` different rows of a folder of `rows`: the exact share where all were seen.

    Raises:
        InvalidQueryError: counts or a probability that make no sense.
    """
    bad, seen, rows = counted.bad, counted.seen, counted.rows
    _check_counts(bad, seen, rows, error)
    possible, impossible = bad, rows - (seen - bad) + 1
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        if stats.hypergeom.cdf(bad, rows, middle, seen) >= error:
            possible = middle
        else:
            impossible = middle
    return possible / rows


def grades_of_replays(
    model: CausalModel, quantities: Quantities, folder: Counted, maps: Mapping[str, MapCounts], error: float
) -> dict[str, list[Grade]]:
    """Quantity → grades that all hold together but for probability `error`, from replays and measured maps.

    While rows of the folder are unseen, the error is divided between it and the maps in the ratio that makes the sum of
    the shares smallest if no row is bad; it depends on numbers of rows alone. That of the maps is divided among maps
    and tolerances.

    Args:
        model: the causal model; latents are whitened, the law that the maps were measured under.
        quantities: those whose modalities have no map are left out.
        folder: rows whose stored values were compared with the images of their latents, in all modalities.
        maps: modality → counts, all at the same tolerances.
        error: in (0, ½).

    Raises:
        InvalidQueryError: impossible counts, or maps with different tolerances.
    """
    if not maps:
        return {}
    tolerances = sorted(next(iter(maps.values())).bad)
    if any(sorted(counts.bad) != tolerances for counts in maps.values()) or not tolerances:
        raise InvalidQueryError(f"maps must all be counted at the same tolerances, got {dict(maps)}")
    looked = min(counts.seen for counts in maps.values())
    part = looked / (looked + len(maps) * folder.seen) if folder.seen < folder.rows else 0.0
    of_folder = folder_limit(folder, part * error if part else error)
    distinct = len({counts.map for counts in maps.values()})
    each = (1.0 - part) * error / (distinct * len(tolerances))
    limits = {
        (name, tolerance): binomial_limit(counts.bad[tolerance], counts.seen, each)
        for name, counts in maps.items()
        for tolerance in tolerances
    }
    grades: dict[str, list[Grade]] = {}
    for quantity, blocks in quantities.items():
        names = tuple(name for name in blocks if name != TARGET)
        if not all(name in maps for name in names):
            continue
        per_tolerance = reach(model, blocks)
        grades[quantity] = [
            Grade(tolerance * per_tolerance, min(1.0, of_folder + sum(limits[name, tolerance] for name in names)))
            for tolerance in tolerances
        ]
    return grades


def grades_of_inverses(
    deviations: Mapping[str, Array], quantities: Quantities, rows: int, levels: Sequence[float], error: float
) -> dict[str, list[Grade]]:
    """Quantity → grades that all hold together but for probability `error`, from inverses of the folder's own rows.

    Args:
        deviations: quantity → (n,) of `deviations`, of the same n rows, chosen at random.
        quantities: their blocks.
        rows: of the folder.
        levels: the deviations at which rows are counted, fixed before the rows are seen.
        error: in (0, ½); divided among levels and between targets and pairs, if there are both.

    Raises:
        InvalidQueryError: no level, levels that are not above 0, or impossible counts.
    """
    if not levels or not all(level > 0.0 for level in levels):
        raise InvalidQueryError(f"levels must be positive deviations, got {levels!r}")
    kinds = [
        [quantity for quantity in deviations if (TARGET in quantities[quantity]) is about_target]
        for about_target in (True, False)
    ]
    kinds = [kind for kind in kinds if kind]
    grades: dict[str, list[Grade]] = {quantity: [] for quantity in deviations}
    for kind in kinds:
        worst = np.max([deviations[quantity] for quantity in kind], axis=0)
        for level in levels:
            counted = Counted(int(np.count_nonzero(~(worst <= level))), len(worst), rows)
            share = folder_limit(counted, error / (len(kinds) * len(levels)))
            for quantity in kind:
                grades[quantity].append(Grade(level, share))
    return grades


def floors(
    model: CausalModel, quantities: Quantities, grades: Mapping[str, Sequence[Grade]]
) -> dict[str, tuple[Floor, Grade]]:
    """Quantity → its highest floor and the grade that it comes from; quantities without a grade are left out."""
    found = {}
    for quantity, blocks in quantities.items():
        of_grades = [(_floor(model, blocks, grade), grade) for grade in grades.get(quantity, ())]
        if of_grades:
            found[quantity] = max(of_grades, key=lambda pair: pair[0].value)
    return found


def _floor(model: CausalModel, blocks: tuple[str, ...], grade: Grade) -> Floor:
    names = tuple(name for name in blocks if name != TARGET)
    if TARGET in blocks:
        information = model.mutual_information(names, TARGET)
        return target_floor(information, grade.share, target_slack(information, grade.deviation))
    information, correlations = model.mutual_information(*names), model.canonical_correlations(*names)
    return pair_floor(information, correlations, grade.share, pair_slack(correlations, grade.deviation))


def _check_counts(bad: int, seen: int, rows: int, error: float) -> None:
    if not 0 <= bad <= seen <= rows or seen < 1:
        raise InvalidQueryError(f"expected 0 ≤ bad ≤ seen ≤ rows and a row seen, got {bad} of {seen} of {rows}")
    if not 0.0 < error < 0.5:
        raise InvalidQueryError(f"error is {error!r}, expected a probability between 0 and 0.5")
