"""Upper confidence limits for the share of bad rows, and the floors that follow for every quantity of a model.

Owns the counting: from rows that were looked at to shares that hold together with a stated probability, and how that
probability is divided. The bounds themselves are in `floors`. NumPy and SciPy only; knows nothing of images or files.

A row is good or bad at a level fixed beforehand: by the error of its latents (`floors`: deviations), or by what its
recovered latents lose of the pointwise information. Counts are of rows chosen at random, independently of their
content. Two kinds of evidence:

- Replays and a map. A stored row that equals the image of its latent is as good as the blind inverse is at that latent.
  The share of rows that do not is one of the folder: its rows are a finite population, and it is known exactly once
  all of them were replayed. The share of latents at which the inverse is off by more than a tolerance is one of the map
  under N(0, I), measured once for each map; it says nothing about other laws of the latents. What counts is the sum
  over the folder and the maps, and that has one limit (`grades_of_replays`).
- Inverses of the folder's own rows, compared with their latents. This serves any law, any map and 8-bit values.

A share of a folder is one of its own rows: a floor that rests on it is about rules that damage that share of the rows
as this folder shows them, and not about what the same maker would do to other folders.

One event "the share of bad rows is at most s", bad in any quantity, serves all quantities of a kind, so that their
number costs no confidence; the numbers of levels and of maps do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidQueryError, NotExactError
from mmmi_hf.causal.laws.missing.patterns import patterns
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.statistics.deviations import PAIRED, reach, steepness
from mmmi_hf.causal.statistics.floors import Floor, pair_floor, pair_slack, slack_of_ratio, target_floor
from mmmi_hf.causal.statistics.tails import Listed, points_of_pair

Quantities = Mapping[str, tuple[str, ...]]
"""Name of a quantity → its blocks: ("x1", "x2", "y") for I(x1,x2;y), ("x1", "x2") for I(x1;x2)."""
Grades = Mapping[str, Sequence["Grade"]]
"""Name of a quantity → grades, which all hold together with the stated probability."""


EXACT_LEVELS = (1e-3,)
"""Losses in nats, and deviations, at which rows of float32 are counted: far above rounding, far below what matters."""
VIEW_LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Losses in nats at which rows of 8 or 16 bits are counted."""


@dataclass(frozen=True)
class Counted:
    """Of `rows` rows `seen` were looked at, chosen at random, and `bad` of these were bad.

    Attributes:
        bad, seen, rows: the counts; of latents of a map `rows` is `seen`, as what is asked is the share of their law.
        least: where rows were drawn within strata, the smallest share that was drawn of any stratum; None for a simple
            random sample.
    """

    bad: int
    seen: int
    rows: int
    least: float | None = None


@dataclass(frozen=True)
class Grade:
    """What good rows lose on average is at most `slack` (δ, nats), and at most a share `share` of the rows is bad."""

    slack: float
    share: float


@lru_cache(maxsize=4096)
def folder_limit(counted: Counted, error: float) -> float:
    """The largest share of bad rows in a folder of which `seen` different rows show so few with probability `error`.

    It is the exact share where all were seen. Drawn within strata, the number of bad rows seen is a sum of independent
    hypergeometric numbers, hence of independent indicators, at most one for each of the B bad rows, and its mean is at
    least `least` B. By Hoeffding (1956) it is at most b with a probability of at most that of a binomial number of B
    trials of `least`, where b ≤ `least` B - 1, and for b = 0 always.

    Raises:
        InvalidQueryError: counts or a probability that make no sense.
    """
    bad, seen, rows, least = counted.bad, counted.seen, counted.rows, counted.least
    _check_counts(bad, seen, rows, error)
    if least is not None and not 0.0 <= least <= 1.0:
        raise InvalidQueryError(f"least is {least!r}, expected the smallest share that was drawn of a stratum")

    def chance(all_bad: int) -> float:
        if least is None:
            return float(scipy.stats.hypergeom.cdf(bad, rows, all_bad, seen))
        if bad and bad > least * all_bad - 1.0:
            return 1.0
        return float(scipy.stats.binom.cdf(bad, all_bad, least))

    possible, impossible = bad, rows - (seen - bad) + 1
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        if chance(middle) >= error:
            possible = middle
        else:
            impossible = middle
    return possible / rows


def grades_of_replays(
    model: CausalModel,
    quantities: Quantities,
    folder: Counted,
    maps: Mapping[str, str],
    inverses: Mapping[str, Counted],
    tolerance: float,
    error: float,
) -> Grades:
    """Quantity → a grade; all hold together but for probability `error`, from replays and measured maps.

    p₀ is the share of the folder's rows that differ, p_m that of the bad latents of map m, n_m how many of these were
    tried. The number T of bad ones in all that was looked at is a sum of independent indicators, and
    P(T = 0) ≤ e^-μ with μ = n₀ p₀ + Σ n_m p_m, n₀ = -`rows` ln(1 - `least`); else n₀ = `least` × `rows`, μ is at most
    the mean of T, and by Hoeffding (1956) P(T ≤ t) is at most that of a Poisson number of mean μ where t ≤ μ - 1.
    Either is above `error` only if μ ≤ `most_expected(t)` = M. Then the share of rows that are bad in a quantity, p₀
    plus the p_m of its modalities, is at most M times the largest of the weights 1/n₀ and c_m/n_m, c_m of these
    modalities having map m: one event limits the sum, where limits of each share would have to be added. Once all rows
    were replayed p₀ is known and no part of T.

    Args:
        model: the causal model; latents are whitened, the law that the maps were measured under.
        quantities: those whose modalities have no map are left out, and those of which nothing bounds what errors of
            latents may cost.
        folder: rows whose stored values were compared with the images of their latents, in all modalities.
        maps: modality → the name of its map; modalities of one map share one limit.
        inverses: name of a map → independent N(0, I) latents whose images were inverted blindly; bad are those that
            came back with an error ‖ẑ - z‖ above τ √d, or not at all.
        tolerance: τ.
        error: in (0, ½).

    Raises:
        InvalidQueryError: impossible counts.
    """
    if not maps:
        return {}
    of_map = {name: inverses[name] for name in maps.values()}
    for counted in (folder, *of_map.values()):
        _check_counts(counted.bad, counted.seen, counted.rows, error)
    whole = folder.seen == folder.rows
    least = folder.seen / folder.rows if folder.least is None else folder.least
    known = folder.bad / folder.rows if whole else 0.0
    bad = sum(counted.bad for counted in of_map.values()) + (0 if whole else folder.bad)
    looked_at = 1.0 if whole else folder.rows * (least if bad else -math.log1p(-least))
    of_rows = 0.0 if whole else 1.0 / looked_at if looked_at else math.inf
    grades: dict[str, list[Grade]] = {}
    for quantity, blocks in quantities.items():
        names = _modalities(blocks)
        if not all(name in maps for name in names):
            continue
        together = Counter(maps[name] for name in names)
        weight = max(of_rows, *(count / of_map[name].seen for name, count in together.items()))
        with suppress(NotExactError):  # nothing bounds what errors of these latents may cost
            share = min(1.0, known + weight * most_expected(bad, error))
            grades[quantity] = [Grade(_slack(model, blocks, tolerance), share)]
    return grades


def most_expected(bad: int, error: float) -> float:
    """The largest mean of a number of bad rows of which `bad` or fewer are seen with probability `error` or more.

    Of a Poisson number, which is the least concentrated sum of independent indicators.
    """
    return max(bad + 1.0, float(scipy.stats.chi2.isf(error, 2 * bad + 2)) / 2.0)


def grades_of_losses(
    losses: Mapping[str, Array], rows: int, levels: Sequence[float], error: float, least: float | None = None
) -> Grades:
    """Quantity → grades of targets that all hold together but for probability `error`, from the folder's own inverses.

    With s_k the limit of the share of rows that lose more than level δ_k in any quantity, those that lose at most δ_m
    lose δ_0 + Σ_{k<m} (δ_{k+1} - δ_k) s_k on average at most, and a share s_m is bad: a grade for every m.

    Args:
        losses: quantity → (n,) of `deviations.losses`, of the same n rows, chosen at random.
        rows: of the folder.
        levels: δ_0 < δ_1 < … > 0, nats, fixed before the rows are seen; the error is divided among them.
        error: in (0, ½).
        least: as in `Counted`.

    Raises:
        InvalidQueryError: levels that do not ascend from above 0, or impossible counts.
    """
    shares = _shares(losses, rows, levels, error, least)
    slacks = levels[0] + np.cumsum([0.0, *np.diff(levels) * shares[:-1]])
    grades = [Grade(float(slack), share) for slack, share in zip(slacks, shares, strict=True)]
    return dict.fromkeys(losses, grades)


def grades_of_deviations(
    model: CausalModel,
    quantities: Quantities,
    deviations: Mapping[str, Array],
    rows: int,
    levels: Sequence[float],
    error: float,
    least: float | None = None,
) -> Grades:
    """Quantity → grades of pairs that all hold together but for probability `error`, from the folder's own inverses.

    Args:
        model: the causal model.
        quantities: the blocks of the pairs.
        deviations: quantity → (n,) of `deviations.deviations`, of the same n rows, chosen at random.
        rows, levels, error, least: as in `grades_of_losses`; levels are lengths.

    Raises:
        InvalidQueryError: as there.
    """
    shares, model = _shares(deviations, rows, levels, error, least), CausalModel.of_law(model.law.whole)
    return {
        quantity: [
            Grade(pair_slack(model.canonical_correlations(*quantities[quantity]), level), share)
            for level, share in zip(levels, shares, strict=True)
        ]
        for quantity in deviations
    }


def _shares(
    values: Mapping[str, Array], rows: int, levels: Sequence[float], error: float, least: float | None
) -> list[float]:
    """Limits for the share of rows of which any value exceeds a level, or is not a number."""
    if not levels or levels[0] <= 0.0 or any(not a < b for a, b in pairwise(levels)):
        raise InvalidQueryError(f"levels must ascend from above 0, got {levels!r}")
    worst = np.max(list(values.values()), axis=0)
    counts = [Counted(int(np.count_nonzero(~(worst <= level))), len(worst), rows, least) for level in levels]
    return [folder_limit(counted, error / len(levels)) for counted in counts]


def floors(model: CausalModel, quantities: Quantities, grades: Grades) -> dict[str, Floor]:
    """Quantity → its highest floor over the grades.

    Quantities without a grade are left out, and those of which the law of the pointwise information is not known.
    """
    found = {}
    for quantity, blocks in quantities.items():
        with suppress(NotExactError):
            if grades.get(quantity):
                every = map(_floors_of(model, blocks), grades[quantity])
                found[quantity] = max(every, key=lambda floor: floor.value)
    return found


def why_without(model: CausalModel, blocks: tuple[str, ...]) -> str:
    """Why a quantity can have no floor, whatever is counted; empty where it can."""
    if TARGET not in blocks and not model.with_target(None).law.whole.is_gaussian:
        return "floors of pairs are known of modalities that are jointly Gaussian"
    try:
        if TARGET in blocks:
            _law(model, _modalities(blocks))
    except NotExactError as error:
        return str(error)
    return ""


def _floors_of(model: CausalModel, blocks: tuple[str, ...]) -> Callable[[Grade], Floor]:
    """The floor of a quantity at a grade."""
    if TARGET in blocks:
        names = _modalities(blocks)
        information, law = model.mutual_information(names, TARGET), _law(model, names)
        return lambda grade: target_floor(information, grade.share, grade.slack, law)
    # a pair tells at least what it tells in the rows that have both
    whole, both = CausalModel.of_law(model.law.whole), model.law.chance_of(blocks)
    information, correlations = whole.mutual_information(*blocks), whole.canonical_correlations(*blocks)

    def of_pair(grade: Grade) -> Floor:
        found = pair_floor(information, correlations, min(1.0, grade.share / both), grade.slack)
        return replace(found, value=both * found.value, share=grade.share)

    return of_pair


def _law(model: CausalModel, names: tuple[str, ...]) -> Listed | None:
    """Of the pointwise information of modalities about y; None where it is that of one canonical pair."""
    if model.law.is_gaussian:
        return None
    if model.law.missing and model.law.whole.is_gaussian:
        return _law_of_patterns(model, names)
    with suppress(NotExactError):
        if np.count_nonzero(model.canonical_correlations(names, TARGET) > PAIRED) == 1:
            return None
    return Listed.of(*model.pointwise_law(names))


def _law_of_patterns(model: CausalModel, names: tuple[str, ...]) -> Listed:
    """Of a Gaussian y and modalities of which rows lack some: that of one canonical pair for each pattern."""
    whole, weights, values = CausalModel.of_law(model.law.whole), [], []
    for chance, there in patterns(names, model.law.missing):
        mass, points = points_of_pair(whole.mutual_information(there, TARGET) if there else 0.0)
        weights.append(chance * mass)
        values.append(points)
    return Listed.of(np.concatenate(weights), np.concatenate(values))


def _slack(model: CausalModel, blocks: tuple[str, ...], tolerance: float) -> float:
    """δ where the whitened latent of each modality is off by a length of at most τ √d."""
    if TARGET in blocks:
        return slack_of_ratio(tolerance * steepness(model, blocks))
    whole = CausalModel.of_law(model.law.whole)
    return pair_slack(whole.canonical_correlations(*blocks), tolerance * reach(whole, blocks))


def _modalities(blocks: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in blocks if name != TARGET)


def _check_counts(bad: int, seen: int, rows: int, error: float) -> None:
    if not 0 <= bad <= seen <= rows or seen < 1:
        raise InvalidQueryError(f"expected 0 ≤ bad ≤ seen ≤ rows and a row seen, got {bad} of {seen} of {rows}")
    if not 0.0 < error < 0.5:
        raise InvalidQueryError(f"error is {error!r}, expected a probability between 0 and 0.5")
