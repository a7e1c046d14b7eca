"""Signs of several causes as modalities see them.

Owns the split of causes into groups that are independent given the modalities, and quadrature rules over the posterior
means of each group. Imports NumPy, SciPy and this room only.

Of a cause by itself, E[ũ | x_S] = ρ T and P(ũ > 0 | T) = Φ(ρ T / √(1 - ρ²)). Two causes that modalities mix have a
bivariate normal posterior, whose quadrants are given by Owen's T. More than two that are mixed have no exact value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array, read_whole, shown
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import CausesPosterior, Law
from mmmi_hf.causal.targets.target import causes_heard

_APART = 1e-14
"""Posterior correlations up to this are rounding."""
_MOST_POINTS = 1 << 21
_REACH = 9.0


def read_causes(causes: Any, most: int) -> tuple[int, ...]:
    """Numbers of causes, from 0. Raises InvalidModelError for anything else, for repetitions and for too many."""
    if not isinstance(causes, (list, tuple)) or not 1 <= len(causes) <= most:
        raise InvalidModelError(f"causes is {shown(causes)}, expected 1 … {most} numbers of causes, from 0")
    found = tuple(read_whole(f"causes[{place}]", cause, 0) for place, cause in enumerate(causes))
    if len(set(found)) != len(found):
        raise InvalidModelError(f"causes is {shown(causes)}, expected every cause at most once")
    return found


def check_causes(law: Law, causes: tuple[int, ...]) -> None:
    """Raises InvalidModelError where the law has not these causes, NotExactError where it has none at all."""
    if law.structure is None or not law.is_gaussian:
        raise NotExactError(
            f"y can be made of causes that are Gaussian numbers, which a {law.kind} model has not; give eta, weights, "
            "mixing"
        )
    count = len(law.structure.eta)
    if max(causes) >= count:
        raise InvalidModelError(f"causes names {max(causes)}, expected 0 … {count - 1}: the model has {count} causes")


def signs_of_rows(law: Law, causes: tuple[int, ...], normals: Normals, rows: Any) -> Any:
    """Whether ũ_k > 0, (n, causes), of rows."""
    if law.structure is None:
        raise ValueError("signs need a law of causes; check_causes asks for it")
    values = np.empty((len(rows), len(law.structure.eta)))
    normals.fill(0, rows, values)
    return values[:, causes] > 0.0


@dataclass(frozen=True, eq=False)
class Group:
    """Causes that are independent of all others given the modalities.

    places: which of the target's causes. factor: (g, K), Cov = factor factorᵀ of them. heard: whether modalities tell
    of them at all.
    """

    places: tuple[int, ...]
    factor: Array
    heard: bool

    @property
    def sines(self) -> Array:
        """Standard deviations given the modalities, (g,)."""
        return np.asarray(np.sqrt(np.square(self.factor).sum(axis=1)))

    @property
    def rho(self) -> float:
        """Of a single cause: the correlation with its best guess."""
        sine = float(self.sines[0])
        return math.sqrt(max(0.0, (1.0 - sine) * (1.0 + sine))) if self.heard else 0.0

    def patterns(self, means: Array) -> Array:
        """P(signs | means) of rows, (n, 2^g); pattern 0 is all negative, the first cause counts most."""
        sines = self.sines
        scores = means / sines
        if len(self.places) == 1:
            return np.concatenate([scipy.special.ndtr(-scores), scipy.special.ndtr(scores)], axis=1)
        return _quadrants(scores, float(self.factor[0] @ self.factor[1]) / float(sines[0] * sines[1]))

    def rule(self, fineness: float) -> tuple[Array, Array]:
        """Weights (j,) and patterns (j, 2^g) over the law of the posterior means.

        Args:
            fineness: how many points there are to the scale on which patterns change.

        Raises:
            NotExactError: two mixed causes need more than 2,097,152 points.
        """
        if not self.heard:
            return np.ones(1), np.full((1, 2 ** len(self.places)), 0.5 ** len(self.places))
        if len(self.places) == 1:
            return self._rule_of_one(fineness)
        return self._rule_of_two(fineness)

    def _rule_of_one(self, fineness: float) -> tuple[Array, Array]:
        """The trapezoid rule in x, T = w sinh x, w = √(1-ρ²)/ρ: as fine as w beside 0, and coarser farther out."""
        rho, sine = self.rho, float(self.sines[0])
        width = min(1.0, sine / rho)
        count = int(math.asinh(_REACH / width) * fineness) + 1
        x = np.arange(-count, count + 1) / fineness
        t = width * np.sinh(x)
        mass = width * np.cosh(x) * np.exp(-0.5 * t * t) / (math.sqrt(2.0 * math.pi) * fineness)
        return mass, self.patterns(rho * t[:, None])

    def _rule_of_two(self, fineness: float) -> tuple[Array, Array]:
        """The trapezoid rule along the principal axes of the means."""
        spread, turn = np.linalg.eigh(np.eye(2) - self.factor @ self.factor.T)
        lengths = np.sqrt(np.where(spread > 1e-13, spread, 0.0))
        covariance = self.factor @ self.factor.T
        narrow = math.sqrt(float(np.linalg.eigvalsh(covariance)[0]))
        axes: list[tuple[Array, Array]] = []
        for length in lengths:
            if length == 0.0:
                axes.append((np.zeros(1), np.ones(1)))
                continue
            step = min(1.0, narrow / float(length)) * 2.0 / fineness
            count = int(_REACH / step) + 1
            t = np.asarray(step * np.arange(-count, count + 1), dtype=np.float64)
            axes.append((t, step * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)))
        points = len(axes[0][0]) * len(axes[1][0])
        if points > _MOST_POINTS:
            raise NotExactError(
                f"modalities mix two causes of the target and tell so much of them that quadrature needs {points} "
                "points; give each cause a template of its own"
            )
        grid = np.stack(np.meshgrid(axes[0][0], axes[1][0], indexing="ij"), axis=-1).reshape(-1, 2)
        mass = np.multiply.outer(axes[0][1], axes[1][1]).ravel()
        return mass, self.patterns((grid * lengths) @ turn.T)


@dataclass(frozen=True, eq=False)
class Signs:
    """The causes of a target given modalities, in independent groups.

    groups: of at most two causes. causes: their numbers, and posterior: the law of all causes.
    """

    groups: tuple[Group, ...]
    causes: tuple[int, ...]
    law: CausesPosterior

    @classmethod
    def of(cls, law: Law, blocks: tuple[str, ...], causes: tuple[int, ...]) -> Signs:
        """Raises NotExactError where modalities mix more than two of the causes."""
        parts = law.structure
        posterior = law.posterior_of_causes(blocks)
        if parts is None:
            raise ValueError("signs need a law of causes; check_causes asks for it")
        rows = [int(name[1:]) - 1 for name in blocks]
        heard = causes_heard(law, blocks)
        connected = _connected(parts.weights[rows] != 0.0, parts.mixing[rows] != 0.0)
        factor = posterior.factor[list(causes)]
        covariance = factor @ factor.T
        sines = np.sqrt(np.diagonal(covariance))
        mixed = np.abs(covariance) > _APART * np.multiply.outer(sines, sines)
        mixed &= connected[np.ix_(causes, causes)]
        groups = []
        for places in _components(mixed):
            if len(places) > 2:
                raise NotExactError(
                    f"{', '.join(blocks)} mix {len(places)} causes of the target, and signs of more than two have no "
                    "exact posterior: give the causes orthogonal templates, or modalities of their own"
                )
            groups.append(Group(places, factor[list(places)], bool(heard[[causes[p] for p in places]].any())))
        return cls(tuple(groups), causes, posterior)

    def patterns(self, values: Mapping[str, Array]) -> list[Array]:
        """P(signs | x_S) of rows, (n, 2^g) of every group."""
        means = self.law.mean(values)[:, self.causes]
        return [group.patterns(means[:, group.places]) for group in self.groups]


def fine_rules(groups: Sequence[Group], *, folded: bool = False) -> list[tuple[Array, Array]]:
    """Rules of all groups, of which the product lists the law of anything they tell.

    Args:
        folded: of two points that differ by the sign of all means of a group only one, with the weight of both: for
            what such a sign does not change.

    Raises:
        NotExactError: the product would have more than 2,097,152 points.
    """
    found = []
    for fineness in (40.0, 20.0, 12.0):
        found = [(mass[mass > 1e-18], patterns[mass > 1e-18]) for mass, patterns in (g.rule(fineness) for g in groups)]
        found = [_folded(*rule) for rule in found] if folded else found
        if math.prod(len(mass) for mass, _ in found) <= _MOST_POINTS:
            return found
    raise NotExactError(f"the law of what {len(groups)} groups of causes tell together would have too many points")


def _folded(mass: Array, patterns: Array) -> tuple[Array, Array]:
    """The first half of a rule that is symmetric about its middle point, which stays as it is."""
    middle = len(mass) // 2
    return np.append(2.0 * mass[:middle], mass[middle]), patterns[: middle + 1]


def _connected(weights: Any, mixing: Any) -> Any:
    """(K, K): which causes modalities connect, directly or through causes and sources that they share."""
    reach = weights | False
    touching = (mixing.astype(int) @ mixing.T.astype(int)) + (weights.astype(int) @ weights.T.astype(int)) > 0
    for _ in range(len(weights)):
        reach = (touching.astype(int) @ reach.astype(int)) > 0
    together = (weights.T.astype(int) @ reach.astype(int)) > 0
    return together | np.eye(weights.shape[1], dtype=bool)


def _components(linked: Any) -> list[tuple[int, ...]]:
    """Connected components of a symmetric relation, each in ascending order."""
    left, found = set(range(len(linked))), []
    while left:
        part, new = set(), {min(left)}
        while new:
            part |= new
            new = {int(k) for j in new for k in np.flatnonzero(linked[j])} - part
        left -= part
        found.append(tuple(sorted(part)))
    return found


def _quadrants(scores: Array, correlation: float) -> Array:
    """P(both negative), P(first negative), P(second negative), P(both positive) for N(scores, 1), (n, 4)."""
    first, second = scores[:, 0], scores[:, 1]
    signs = ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))
    return np.stack([below(s * first, t * second, s * t * correlation) for s, t in signs], axis=1)


def below(h: Array, k: Array, correlation: float) -> Array:
    """P(X < h, Y < k) of standard normals with this correlation, by Owen's T; never below 0 by more than rounding."""
    sine = math.sqrt((1.0 - correlation) * (1.0 + correlation))
    tiny = 1e-300
    h, k = (np.where(np.abs(v) < tiny, tiny, v) for v in (h, k))
    crossing = np.where(h * k < 0.0, 0.5, 0.0)
    with np.errstate(over="ignore"):
        first, second = (k / h - correlation) / sine, (h / k - correlation) / sine
        parts = scipy.special.owens_t(h, first) + scipy.special.owens_t(k, second)
    return np.asarray(np.maximum(0.5 * (scipy.special.ndtr(h) + scipy.special.ndtr(k)) - parts - crossing, 0.0))
