"""Canonical correlations of two Gaussian blocks given by their linear factors.

Owns the one numerical kernel of the room: blocks are written as rows over independent N(0, 1) sources, and canonical
correlations are the cosines of the principal angles between the row spaces. Imports NumPy only; knows nothing of
models, names or latents.

Cosines and sines are computed separately, each by the route that is accurate for it (Björck and Golub, 1973), so that
-ln sin keeps its digits from 1e-30 nats to thousands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array

EPSILON = float(np.finfo(np.float64).eps)
_GRAM_SCHMIDT_ROWS = 48


class DependentRowsError(ArithmeticError):
    """A row is a linear combination of the rows before it, to rounding."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row} depends on the rows before it")
        self.row = row


def orthonormal_rows(rows: Array, carried: Array) -> tuple[Array, Array]:
    """Q with orthonormal rows and T⁻¹ X, where `rows` = T Q, T is lower triangular and X = `carried`.

    Modified Gram-Schmidt for few rows: it is backward stable in T and, unlike reflections, keeps exact zeros between
    rows with disjoint support. Householder reflections for many rows.

    Args:
        rows: (n, m) with n ≤ m, linearly independent.
        carried: (n, q), the right-hand sides.

    Raises:
        DependentRowsError: a row is dependent on those before it: its remainder is at most 8 ε max(n, m) of its length.
    """
    count = len(rows)
    if not count:
        return rows, carried
    lengths = np.sqrt(np.add.reduce(rows * rows, axis=1))
    floor = 8.0 * EPSILON * max(rows.shape) * lengths
    if count > _GRAM_SCHMIDT_ROWS:
        basis, upper = np.linalg.qr(rows.T)
        remainders = np.abs(np.diagonal(upper))
        if len(remainders) < count:
            raise DependentRowsError(len(remainders))
        dependent = np.flatnonzero(~(remainders > floor))
        if dependent.size:
            raise DependentRowsError(int(dependent[0]))
        return np.ascontiguousarray(basis.T), np.linalg.solve(upper.T, carried)
    joint = np.concatenate([rows, carried], axis=1)
    width = rows.shape[1]
    for k in range(count):
        row = joint[k]
        remainder = float(np.sqrt(row[:width] @ row[:width]))
        if not remainder > floor[k]:
            raise DependentRowsError(k)
        row /= remainder
        if k + 1 < count:
            rest = joint[k + 1 :]
            rest -= np.multiply.outer(rest[:, :width] @ row[:width], row)
    return joint[:, :width], joint[:, width:]


@dataclass(frozen=True, eq=False)
class PrincipalAngles:
    """Principal angles between two row spaces, largest cosine first.

    left (p, p_a) and right (p, p_b) are the orthogonal changes of basis: row c of left·Q_a and of right·Q_b are the
    c-th canonical variates; only the first len(cosines) rows are paired.
    """

    left: Array
    right: Array
    cosines: Array
    sines: Array

    @classmethod
    def between(cls, first: Array, second: Array, complete: bool = True) -> PrincipalAngles:
        """The angles between the row spaces of two matrices with orthonormal rows, (p_a, m) and (p_b, m).

        Without `complete`, left and right have only the paired rows.
        """
        overlap = first @ second.T
        if overlap.size == 1:
            cosine = float(overlap[0, 0])
            sign = -1.0 if cosine < 0.0 else 1.0
            residual = second[0] - cosine * first[0]
            return cls(
                np.ones((1, 1)),
                np.full((1, 1), sign),
                np.array([abs(cosine)]),
                np.array([np.sqrt(residual @ residual)]),
            )
        left, cosines, right = np.linalg.svd(overlap, full_matrices=complete)
        count = len(cosines)
        if count and cosines[0] ** 2 > 0.5:
            sines = np.asarray(
                np.linalg.svd(second - overlap.T @ first, compute_uv=False)[::-1][:count], dtype=np.float64
            )
        else:
            sines = np.sqrt(1.0 - cosines**2)
        return cls(np.ascontiguousarray(left.T), right, cosines, sines)

    def information_terms(self) -> Array:
        """-ln sin of every angle, in nats: the mutual information of each canonical pair.

        Raises:
            ArithmeticError: an angle is zero or not a number, so that the information is not finite in float64.
        """
        return information_of(self.cosines, self.sines)


def information_of(cosines: Array, sines: Array) -> Array:
    """-½ ln(1 - ρ²) in nats, by log1p of the cosine where ρ² ≤ ½ and by the logarithm of the sine above.

    Raises:
        ArithmeticError: a sine is zero or not a number, or ρ² is more than rounding above 1.
    """
    squares = cosines * cosines
    near = squares > 0.5
    if not (np.all(np.isfinite(squares)) and np.all(sines > 0.0)):
        raise ArithmeticError(
            f"canonical correlations up to {float(np.max(cosines))!r} with sines down to {float(np.min(sines))!r}: "
            "the information is not finite in float64; make the noise larger or the weights smaller"
        )
    return np.where(near, -np.log(np.where(near, sines, 1.0)), -0.5 * np.log1p(-np.where(near, 0.0, squares)))


def pair_densities(cosines: Array, sines: Array, first: Array, second: Array) -> Array:
    """Σ over pairs of ln p(s, t) / p(s) p(t), without the constant -ln sin, in nats.

    For unit normals s, t with correlation ρ this is ρ s t / (1 + ρ) - ρ² (s - t)² / (2 sin²), which loses no digits as
    ρ approaches 1.

    Args:
        cosines, sines: (p,).
        first, second: (n, p), the canonical variates.
    """
    gaps = cosines * (first - second) / sines
    products = cosines / (1.0 + cosines) * first * second
    return np.asarray(np.add.reduce(products - 0.5 * gaps * gaps, axis=1))
