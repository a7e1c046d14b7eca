"""What points t, one number a modality, tell of the category: quadrature over the mixture that they follow.

Owns posteriors, their law and the best guess. Imports NumPy, SciPy and this room only.

Given the category the numbers are independent N(m_ic, 1). Only their part in the span of the differences of the means
tells of it, r ≤ min(modalities, categories - 1) numbers v ~ Σ_c p_c N(v_c, I_r). Every integrand is analytic in a strip
of half width π/Δ about the real axis, Δ the greatest distance of two means, so that the trapezoid rule of step h errs
by e^{-2π²/(hΔ)}. Two categories at a distance d meet in the middle, where their density is e^{-d²/8} of its greatest:
far ones ask for no smaller steps, and Δ counts up to 7.5, beyond which both factors together stay below 1e-14.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.divergence import divergence, of_posterior, second_moment
from mmmi_hf.causal.integrals.quadrature import Exact, integral
from mmmi_hf.causal.laws.rowwise import combine

_REACH = 9.5
_SAME = 1e-12
_FAR = 7.5
"""Standard deviations between categories from which on more of them asks for no finer rule."""
_MOST_NUMBERS = 1 << 26
_STEPS = {1: (0.55, 0.75), 2: (0.6, 0.75), 3: (1.0, 1.3)}
"""h Δ of a fine and of a coarse rule, by the number of dimensions."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Numbers of some modalities. means: (S, C), probabilities: (C,)."""

    means: Array
    probabilities: Array

    @cached_property
    def axes(self) -> Array:
        """(r, S): orthonormal rows that span the differences of the means."""
        centred = self.means - self.means @ self.probabilities[:, None]
        directions, lengths, _ = np.linalg.svd(centred, full_matrices=False)
        kept = lengths > _SAME * max(1.0, float(lengths.max(initial=0.0)))
        return np.ascontiguousarray(directions[:, kept].T)

    def log_posterior(self, t: Array) -> Array:
        """ln p(c | t) of (n, S) points, (n, C)."""
        logs = np.log(self.probabilities) + combine(t, self.means.T) - 0.5 * np.square(self.means).sum(axis=0)
        return np.asarray(logs - np.logaddexp.reduce(logs, axis=1)[:, None])

    def log_ratio(self, t: Array) -> Array:
        """ln p(t) - ln N(t; 0, I) of (n, S) points."""
        logs = np.log(self.probabilities) + combine(t, self.means.T) - 0.5 * np.square(self.means).sum(axis=0)
        return np.asarray(np.logaddexp.reduce(logs, axis=1))

    def information(self) -> Exact:
        """I(t; c)."""
        return self._over(lambda p: divergence(p, self.probabilities))

    def variance(self) -> Exact:
        """Variance of ln p(c | t) - ln p(c)."""
        found = self.information()
        return self._over(lambda p: second_moment(p, self.probabilities)) + Exact(-(found.value**2))

    def expected(self, function: Callable[[Array], Array]) -> Exact:
        """E function(p(· | t)), a smooth function of the posterior, (n, C) → (n,)."""
        return self._over(function)

    def listed(self) -> tuple[Array, Array]:
        """Mass and posterior, (n,) and (n, C), of points of the quadrature."""
        return self._grid(0.25 if len(self.axes) < 3 else _STEPS[3][0])

    def pointwise_law(self) -> tuple[Array, Array]:
        """Weights and values of a quadrature over the law of ln p(c | t) - ln p(c)."""
        return of_posterior(*self.listed(), self.probabilities)

    def accuracy(self) -> Exact:
        """E max p(c | t).

        Raises:
            NotExactError: the means of the categories span three dimensions or more.
        """
        centres = self.axes @ self.means
        if not len(centres):
            return Exact(float(self.probabilities.max()))
        if len(centres) > 2:
            raise NotExactError("the Bayes accuracy of a category is exact where its means span at most two dimensions")
        if len(centres) == 1:
            return Exact(float(_best(centres[0], np.log(self.probabilities), np.zeros_like(self.probabilities))), 2e-15)
        reach = (float(centres[1].min()) - _REACH, float(centres[1].max()) + _REACH)

        def along(across: Array) -> Array:
            heights = -0.5 * np.square(across[:, None] - centres[1])
            return np.array([_best(centres[0], np.log(self.probabilities), height) for height in heights]) / math.sqrt(
                2.0 * math.pi
            )

        return integral(along, np.linspace(*reach, 2 + int(reach[1] - reach[0])))

    def _posterior(self, v: Array) -> Array:
        centres = self.axes @ self.means
        logs = np.log(self.probabilities) + v @ centres - 0.5 * np.square(centres).sum(axis=0)
        return np.asarray(scipy.special.softmax(logs, 1))

    def _over(self, function: Callable[[Array], Array]) -> Exact:
        if not len(self.axes):
            return Exact(float(function(self.probabilities[None])[0]))
        if len(self.axes) not in _STEPS:
            raise NotExactError(
                f"the means of the categories span {len(self.axes)} dimensions, and quadrature reaches 1e-6 up to "
                "three; ask about fewer modalities"
            )
        fine, coarse = (
            math.fsum(mass * function(posterior))
            for mass, posterior in (self._grid(step) for step in _STEPS[len(self.axes)])
        )
        return Exact(fine, abs(fine - coarse) + 2e-15)

    def _grid(self, step: float) -> tuple[Array, Array]:
        """Mass (n,) and posterior (n, C) on a grid of v with h = step/Δ, but at most ½."""
        centres = self.axes @ self.means
        if not len(centres):
            return np.ones(1), self.probabilities[None]
        mass, v = grid(centres, self.probabilities, _width(centres, step))
        return mass, self._posterior(v)


def grid(centres: Array, probabilities: Array, h: float) -> tuple[Array, Array]:
    """Mass (n,) and points (n, r) of the trapezoid rule of step h under Σ_c p_c N(centre_c, I_r).

    Raises:
        NotExactError: there would be too many points.
    """
    lines = [np.arange(row.min() - _REACH, row.max() + _REACH + h, h) for row in centres]
    if math.prod(map(len, lines)) * centres.shape[1] > _MOST_NUMBERS:
        raise NotExactError("the categories lie so far apart that quadrature needs too many points; bring them nearer")
    v = np.stack([axis.ravel() for axis in np.meshgrid(*lines, indexing="ij")], axis=1)
    squares = np.square(v[:, :, None] - centres[None]).sum(axis=1)
    density = np.exp(-0.5 * squares) @ probabilities * (h / math.sqrt(2.0 * math.pi)) ** len(lines)
    kept = density > 1e-24
    return density[kept], v[kept]


def variance_of_pair(first: Evidence, second: Evidence) -> float:
    """Variance of the pointwise information of two blocks that are independent given the category, in nats².

    Raises:
        NotExactError: their means span more than three dimensions together.
    """
    centres = [each.axes @ (each.means - each.means @ each.probabilities[:, None]) for each in (first, second)]
    joint, split = np.concatenate(centres), len(centres[0])
    if not 0 < split < len(joint):
        return 0.0
    if len(joint) > max(_STEPS):
        raise NotExactError("the variance of the pointwise information needs quadrature in more than three dimensions")
    mass, v = grid(joint, first.probabilities, _width(joint, _STEPS[len(joint)][0]))
    sides = [
        Evidence(each, first.probabilities).log_ratio(part)
        for each, part in zip((*centres, joint), (v[:, :split], v[:, split:], v), strict=True)
    ]
    found = sides[2] - sides[0] - sides[1]
    return float(mass @ found**2 - (mass @ found) ** 2)


def _width(centres: Array, step: float) -> float:
    """h of a rule: step/Δ, and at most ½."""
    distances = (float(np.linalg.norm(centres[:, i] - centres[:, j])) for i, j in _pairs(centres.shape[1]))
    return min(0.5, step / min(max(distances), _FAR))


def _pairs(count: int) -> list[tuple[int, int]]:
    return list(combinations(range(count), 2))


def _best(centres: Array, logs: Array, heights: Array) -> float:
    """∫ max_k p_k N(v; m_k, 1) e^{height_k} dv: exponents are lines in v over the common e^{-v²/2}.

    The greatest of lines changes at crossings of neighbours in slope.
    """
    intercepts = logs + heights - 0.5 * centres * centres
    order = np.lexsort((intercepts, centres))
    hull: list[int] = []
    starts: list[float] = []
    for k in order:
        if hull and centres[hull[-1]] == centres[k]:
            hull.pop(), starts.pop()
        while hull:
            at = (intercepts[hull[-1]] - intercepts[k]) / (centres[k] - centres[hull[-1]])
            if at > starts[-1]:
                break
            hull.pop(), starts.pop()
        starts.append(float(at) if hull else -math.inf)
        hull.append(int(k))
    ends = [*starts[1:], math.inf]
    return math.fsum(
        math.exp(logs[k] + heights[k]) * _between(low - centres[k], high - centres[k])
        for k, low, high in zip(hull, starts, ends, strict=True)
    )


def _between(low: float, high: float) -> float:
    below, above = (low, high) if low < 0.0 else (-high, -low)
    return float(scipy.special.ndtr(above) - scipy.special.ndtr(below))
