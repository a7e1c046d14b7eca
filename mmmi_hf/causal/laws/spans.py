"""Blocks of which some rows depend on others: ranks, and principal angles between row spaces of any rank.

Owns the one rank test of a query, over all of its rows at once and so the same however the query splits them, and what
is left to compute where the rows are dependent but the information is finite: no dependence then joins the two sides.
Imports NumPy (and SciPy inside the test of large matrices) and this room's kernel only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON, PrincipalAngles, pair_densities

_SMALL = 64


def dependent(rows: Array) -> bool:
    """Whether the rows (n, m) are linearly dependent, to rounding of their entries."""
    unit = _unit(rows)
    count, width = unit.shape
    if count > width:
        return True
    if not count:
        return False
    if count <= _SMALL:
        values = np.linalg.svd(unit, compute_uv=False)
        return bool(values[-1] <= _tolerance(unit) * values[0])
    upper = np.linalg.qr(unit.T, mode="r")
    condition, failed = scipy.linalg.lapack.dtrcon(upper)
    return bool(failed) or float(condition) <= _tolerance(unit)


def rank(rows: Array) -> int:
    """The dimension of the span of rows (n, m)."""
    return len(_span(rows)[1])


@dataclass(frozen=True, eq=False)
class Spans:
    """Two blocks given a third in canonical pairs.

    maps: for either block, (p, rows): canonical variates of the data of (given, block), p pairs.
    left: for either block, how many dimensions of it the given one leaves open.
    """

    angles: PrincipalAngles
    maps: tuple[Array, Array]
    left: tuple[int, int]

    @classmethod
    def of(cls, given: Array, first: Array, second: Array) -> Spans | None:
        """Of rows over independent N(0, 1), (n_i, m) each; None where the information is infinite.

        It is finite iff what both sides tell is told by `given` alone: then the ranks add up.
        """
        known = _span(given)[0]
        joint = [np.concatenate([given, side]) for side in (first, second)]
        sizes = [rank(rows) - len(known) for rows in joint]
        if rank(np.concatenate([given, first, second])) != len(known) + sum(sizes):
            return None
        left = (sizes[0], sizes[1])
        if not all(sizes):
            nothing = PrincipalAngles(np.zeros((0, sizes[0])), np.zeros((0, sizes[1])), np.zeros(0), np.zeros(0))
            return cls(nothing, (np.zeros((0, len(joint[0]))), np.zeros((0, len(joint[1])))), left)
        bases = [_beside(rows, known, size) for rows, size in zip((first, second), sizes, strict=True)]
        angles = PrincipalAngles.between(bases[0], bases[1])
        turns = (angles.left[: len(angles.cosines)], angles.right[: len(angles.cosines)])
        first_map, second_map = (
            turn @ basis @ _inverse(rows) for turn, basis, rows in zip(turns, bases, joint, strict=True)
        )
        return cls(angles, (first_map, second_map), left)

    def information(self) -> float:
        """Σ -ln sin of the angles, in nats."""
        return float(np.add.reduce(self.angles.information_terms())) if self.angles.cosines.size else 0.0

    def squared_correlations(self) -> float:
        """Σ cos² of the angles."""
        return float(np.add.reduce(np.square(self.angles.cosines)))

    def densities(self, first: Array, second: Array) -> Array:
        """ln p(a, b) / p(a) p(b) less its mean, (n,), of canonical variates (n, p) each."""
        return pair_densities(self.angles.cosines, self.angles.sines, first, second)


def regression(rows: Array, target: Array) -> tuple[Array, Array]:
    """What rows (n, m) tell of one row (m,): the coefficients on them, (n,), and what they leave of it, (m,)."""
    basis = _span(rows)[0]
    parts = basis @ target
    rest = target - parts @ basis
    return parts @ basis @ _inverse(rows), rest - (basis @ rest) @ basis


def _unit(rows: Array) -> Array:
    lengths = np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True))
    return np.asarray(rows / np.where(lengths > 0.0, lengths, 1.0))


def _tolerance(rows: Array) -> float:
    return 8.0 * EPSILON * float(max(rows.shape))


def _span(rows: Array) -> tuple[Array, Array]:
    """Orthonormal rows (r, m) with the same span, and the singular values of the rows at unit length, (r,)."""
    if not rows.size:
        return np.zeros((0, rows.shape[1])), np.zeros(0)
    unit = _unit(rows)
    _, values, right = np.linalg.svd(unit, full_matrices=False)
    count = int(np.count_nonzero(values > _tolerance(unit) * values[0]))
    return right[:count], values[:count]


def _beside(rows: Array, known: Array, size: int) -> Array:
    """Orthonormal rows (size, m) of what rows span beside those of `known`."""
    rest = _unit(rows)
    for _ in range(2):
        rest = rest - (rest @ known.T) @ known
    if not size:
        return rest[:0]
    return np.linalg.svd(rest, full_matrices=False)[2][:size]


def _inverse(rows: Array) -> Array:
    """(m, n): the pseudo-inverse of rows (n, m) of any rank."""
    lengths = np.sqrt(np.add.reduce(rows * rows, axis=1))
    unit = _unit(rows)
    left, values, right = np.linalg.svd(unit, full_matrices=False)
    count = int(np.count_nonzero(values > _tolerance(unit) * values[0]))
    inverse = (right[:count].T / values[:count]) @ left[:, :count].T
    return np.asarray(inverse / np.where(lengths > 0.0, lengths, 1.0))
