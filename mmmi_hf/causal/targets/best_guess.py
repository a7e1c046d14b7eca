"""Expected maxima of posteriors of labels of signs: what the best guess gets right.

Owns the integrals over one, two and three causes that modalities see one by one. Imports NumPy, SciPy and this room
only. q_i = P(ũ_i > 0 | T_i) = Φ(ρ_i T_i/√(1-ρ_i²)), and the posterior of every label is linear in each q_i.

Over the last cause the integral is exact. What it leaves is smooth in the others but where a crossing of two labels
comes to q = 0 or 1, where it goes with a broken power of the distance: there panels end, and a substitution that is
flat at ends makes high powers of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
from scipy.special import ndtr, ndtri

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.targets.signs import Group, below

MOST_CAUSES = 3
_FARTHEST, _REACH, _RATIO = 38.0, 8.5, 4.0
_NODES = (24, 28)
"""Of a panel, coarse and fine."""
_LARGEST_ERROR = 1e-7
_AT_ONCE = 1 << 17


def best_guess(groups: Sequence[Group], chances: Array) -> Exact:
    """E max_k p(k | T) of one to three single causes.

    Args:
        groups: the causes, each by itself. chances: (2, …, labels), p(label | signs), an axis of two for every group.

    Raises:
        NotExactError: two resolutions differ by more than 1e-7.
    """
    *outer, last = sorted(zip(groups, range(len(groups)), strict=True), key=lambda each: -each[0].rho)
    order = [place for _, place in (*outer, last)]
    chances = chances.transpose(*order, len(order))
    coarse, fine = (_over([group for group, _ in outer], last[0], chances[None], nodes) for nodes in _NODES)
    error = abs(float(fine[0] - coarse[0]))
    if error > _LARGEST_ERROR:
        raise NotExactError(f"the Bayes accuracy of this label came out with an error of {error:.1e}, expected 1e-7")
    return Exact(float(fine[0]), error + 1e-14)


def _over(outer: Sequence[Group], last: Group, chances: Array, nodes: int) -> Array:
    """E max over all causes of rows of chances, (n, 2, …, labels) → (n,)."""
    if not outer:
        return expected_maximum(chances[:, 0], chances[:, 1], last.rho, float(last.sines[0]))
    group, *others = outer
    places, weights = _unit_panel(nodes)
    breaks = _breaks(group, chances)
    low, high = breaks[:, :-1, None], breaks[:, 1:, None]
    t = (low + (high - low) * places).reshape(len(chances), -1)
    mass = ((high - low) * weights).reshape(t.shape) * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    total = np.zeros(len(chances))
    step = max(1, _AT_ONCE // t.shape[1])
    for begin in range(0, len(chances), step):
        rows = slice(begin, begin + step)
        row, place = np.nonzero(mass[rows] > 1e-22)
        q = ndtr(group.rho * t[rows][row, place] / float(group.sines[0]))
        q = q.reshape(-1, *[1] * (chances.ndim - 2))
        there = chances[rows][row]
        best = _over(others, last, (1.0 - q) * there[:, 0] + q * there[:, 1], nodes)
        total[rows] = np.bincount(row, mass[rows][row, place] * best, minlength=len(total[rows]))
    return total


def _breaks(group: Group, chances: Array) -> Array:
    """Ends of panels in T of a cause for rows of chances (n, 2, …, labels), ascending, (n, breaks).

    They lie in a geometric series about 0, and where two labels are equally likely at a corner of the other causes.
    """
    width, corners = float(group.sines[0]) / group.rho, chances.reshape(len(chances), 2, -1, chances.shape[-1])
    series = [0.0, *(min(1.0, width) * _RATIO**n for n in range(64))]
    fixed = [point for point in series if point < 0.7 * _REACH] + [_REACH]
    found = [
        np.broadcast_to(np.array([*(-point for point in fixed[:0:-1]), *fixed]), (len(chances), 2 * len(fixed) - 1))
    ]
    for corner, (i, j) in product(range(corners.shape[2]), combinations(range(corners.shape[3]), 2)):
        before, after = (corners[:, side, corner, i] - corners[:, side, corner, j] for side in (0, 1))
        turns = before * after < 0.0
        if turns.any():
            q = np.where(turns, before / np.where(turns, before - after, 1.0), 0.5)
            found.append(np.clip(np.where(turns, ndtri(q) * width, 0.0), -_REACH, _REACH)[:, None])
    return np.sort(np.concatenate(found, axis=1), axis=1)


def _unit_panel(nodes: int) -> tuple[Array, Array]:
    """Nodes and weights on (0, 1): Gauss-Legendre in s, x = s³ (10 - 15 s + 6 s²), flat at both ends."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    s = 0.5 * (1.0 + points)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s * s), 15.0 * weights * (s * (1.0 - s)) ** 2


def expected_maximum(negative: Array, positive: Array, rho: float, sine: float) -> Array:
    """E max_k [(1 - q) n_k + q p_k], q = Φ(ρ T / √(1-ρ²)), of rows of (n, labels): n where q = 0, p where q = 1.

    The maximum of lines changes at their crossings; between these, E q 1(T < t) is a bivariate normal probability.
    """
    crossings = [np.zeros(len(negative)), np.ones(len(negative))]
    for i, j in combinations(range(negative.shape[1]), 2):
        before, after = negative[:, i] - negative[:, j], positive[:, i] - positive[:, j]
        turns = before * after < 0.0
        crossings.append(np.where(turns, before / np.where(turns, before - after, 1.0), 0.0))
    q = np.sort(np.stack(crossings, axis=1), axis=1)
    t = np.clip(ndtri(q) * sine / rho, -_FARTHEST, _FARTHEST)
    lower = below(t.ravel(), np.zeros(t.size), rho).reshape(t.shape)
    middle = 0.5 * (q[:, 1:] + q[:, :-1])[:, :, None]
    best = ((1.0 - middle) * negative[:, None] + middle * positive[:, None]).argmax(axis=2)
    rows = np.arange(len(negative))[:, None]
    of_negative, of_positive = np.diff(lower, axis=1), np.diff(ndtr(t) - lower, axis=1)
    return np.asarray((negative[rows, best] * of_negative + positive[rows, best] * of_positive).sum(axis=1))
