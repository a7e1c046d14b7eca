"""Products of many rows with one small matrix whose bits do not depend on how many rows there are.

Matrix products of a linear-algebra library change their order of summation with the number of rows and of threads;
these do not. Imports NumPy and this room's kernel only.
"""

from __future__ import annotations

import numpy as np

from mmmi_hf.causal.arguments import Array


def combine(rows: Array, matrix: Array) -> Array:
    """rows (n, m, …) and matrix (p, m) → (n, p, …), Σ_m in increasing order of m; zero columns are skipped."""
    out = np.zeros((rows.shape[0], matrix.shape[0], *rows.shape[2:]))
    trailing = (1,) * (rows.ndim - 2)
    for m in range(matrix.shape[1]):
        column = matrix[:, m]
        if np.any(column):
            out += rows[:, m : m + 1] * column.reshape(1, -1, *trailing)
    return out


def project(rows: Array, basis: Array, scratch: Array | None = None) -> Array:
    """rows (n, d) and basis (r, d) → (n, r): pairwise sums over d. `scratch` is room for (n, d)."""
    out = np.empty((rows.shape[0], basis.shape[0]))
    for r, vector in enumerate(basis):
        np.add.reduce(np.multiply(rows, vector, out=scratch), axis=1, out=out[:, r])
    return out


def add_expansion(out: Array, coefficients: Array, basis: Array, scratch: Array | None = None) -> None:
    """out (n, d) += coefficients (n, r) @ basis (r, d), in increasing order of r. `scratch` is room for (n, d)."""
    for r, vector in enumerate(basis):
        out += np.multiply(coefficients[:, r : r + 1], vector, out=scratch)
