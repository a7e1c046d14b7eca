"""Tests of dependence that a model does not declare, between modalities and between them and y.

Owns what is looked at in residuals. NumPy and this room only.

Residuals v = (I - CᵀC)^{-1/2} (w_2 - Cᵀ w_1) of two whitened blocks are n × d independent N(0, 1) given w_1 (see
`residuals`), in every orthonormal basis. For any a in R^m made of w_1 and any m of these, aᵀv / ‖a‖ is N(0, 1) and the
squared cosine (aᵀv)² / (‖a‖² ‖v‖²) is Beta(1/2, (m - 1)/2), exactly.

Found is what is large in one coordinate, in one row or in the geometry of rows. Not found: dependence without
correlation; a little of many coordinates; a coordinate of one basis copied to one of another basis; dependence on
several modalities at once that shows in no pair; and y, or one coordinate, along a direction that only the forger
knows, where d ≥ n and d is above n² / 40. Pairs of which the declared residual is too small are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.statistics.p_values import (
    ROWS_AT_ONCE,
    Test,
    chernoff,
    largest_cosine,
    lengths_of,
    likest_rows,
    of_normal,
    of_rest,
    of_squares,
    ratio,
    test_of,
    unit,
)
from mmmi_hf.causal.statistics.projections import bases
from mmmi_hf.causal.statistics.regressions import Regressions

CROSSWISE = 1 << 32
"""Multiplications for comparing all coordinates with all; where this is too few for FEWEST_CROSSWISE rows, none are."""
FEWEST_CROSSWISE = 32
MOST_SPANNED = 512
"""Coordinates of which the span is compared with others, where there are more rows."""


def beside_target(
    regressions: Regressions, whole: Mapping[str, Array], y: Array, shapes: Mapping[str, Shape]
) -> list[Test]:
    """Given y, with v the residual of a modality on it, d columns of n independent N(0, 1).

    The largest cosine of y and a column, in every basis; Σ_k (yᵀ v_k)² / ‖y‖² ~ χ²_d; and what of y the columns span.
    """
    looks = []
    for name, w in whole.items():
        regression = regressions.between(TARGET, name)
        if regression is None:
            continue
        v = regression.residual(y[:, None], w)
        for basis, values in bases(v, shapes[name]).items():
            looks.append(largest_cosine(unit(values.T) @ unit(y[None])[0], len(y), f"{name}, {basis}"))
        squares = np.square(unit(y[None])[0] @ v)
        looks.append((of_squares(float(squares.sum()), len(squares)), f"{name}, all"))
        looks += [(p, f"{name}, all, regressed on") for p, _ in _spanned(y[:, None], v)]
    return test_of("coordinates and y", looks)


def between_modalities(regressions: Regressions, whole: Mapping[str, Array], shapes: Mapping[str, Shape]) -> list[Test]:
    """Two modalities: a is the first and v the residual of the second on it; all laws are given a.

    Same coordinates, of one shape: the largest cosine of columns a_k and v_k, and Σ_k (a_kᵀ v_k)² / ‖a_k‖² ~ χ²_d.
    Rows, of one shape: the largest cosine of rows a_r and v_s, of all and of r = s; Σ_r (a_rᵀ v_r)² / ‖a_r‖² ~ χ²_n;
    and Σ_r a_rᵀ v_r / ‖a‖, which is N(0, 1).
    Geometry: Σ_{r≠s} (a_rᵀ a_s)(v_rᵀ v_s) ~ Σ_i λ_i χ²_d with the eigenvalues λ of a aᵀ without its diagonal: copies
    through any orthogonal map show here. And what of every a_k the columns of v span.
    """
    coordinates, rows, geometry = [], [], []
    for first, second in combinations(whole, 2):
        regression = regressions.between(first, second)
        if regression is None:
            continue
        a, v, pair = whole[first], regression.residual(whole[first], whole[second]), f"{first} and {second}"
        geometry.append((_geometry(a, v), pair))
        geometry += [(p, f"{pair}, coordinate {k} of {first}") for p, k in _spanned(a, v)]
        if shapes[first] != shapes[second]:
            continue
        n, d = a.shape
        others = bases(v, shapes[second])
        for basis, values in bases(a, shapes[first]).items():
            products = (unit(values.T) * others[basis].T).sum(axis=1)
            cosines = ratio(products, lengths_of(others[basis].T))
            coordinates.append(largest_cosine(cosines, n, f"{pair}, {basis}"))
            coordinates.append((of_squares(float(products @ products), d), f"{pair}, every {basis}"))
        inner = (a * v).sum(axis=1)
        products = ratio(inner, lengths_of(a))
        total = ratio(inner.sum(keepdims=True), lengths_of(a.reshape(1, -1)))
        rows.append((of_squares(float(products @ products), n), f"{pair}, every row"))
        rows.append((of_normal(float(total[0])), f"{pair}, all"))
        if d > 1:
            rows.append(largest_cosine(ratio(products, lengths_of(v)), d, f"{pair}, sampled row"))
            p, r, s = likest_rows(unit(a), unit(v))
            rows.append((p, f"{pair}, sampled rows {r} and {s}"))
    return [
        *test_of("coordinates of two modalities", coordinates),
        *test_of("rows of two modalities", rows),
        *test_of("geometry of two modalities", geometry),
    ]


def _geometry(a: Array, v: Array) -> float:
    """Two-sided, over blocks of rows."""
    excess, weights = 0.0, []
    for begin in range(0, len(a), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        likeness = a[part] @ a[part].T
        np.fill_diagonal(likeness, 0.0)
        excess += float(np.sum(likeness * (v[part] @ v[part].T)))
        weights.append(np.linalg.eigvalsh(likeness))
    eigenvalues = np.concatenate(weights)
    return 2.0 * math.exp(chernoff(abs(excess), eigenvalues if excess > 0.0 else -eigenvalues, v.shape[1]))


def _spanned(a: Array, v: Array) -> list[tuple[float, int]]:
    """Share of a column of a, (n, p), in the span of v, (n, d), d < n, is Beta(d/2, (n - d)/2): the largest, and where.

    Nothing where d ≥ n or d > MOST_SPANNED.
    """
    n, d = v.shape
    if d >= min(n, MOST_SPANNED + 1):
        return []
    basis = np.linalg.qr(v)[0]
    units = unit(a.T).T
    outside = np.square(units - basis @ (basis.T @ units)).sum(axis=0)
    k = int(np.argmin(np.where(np.any(a, axis=0), outside, 1.0)))
    return [(of_rest(float(outside[k]), n - d, d, n) * a.shape[1], k)]


def crosswise(regressions: Regressions, whole: Mapping[str, Array], shapes: Mapping[str, Shape]) -> list[Test]:
    """Any coordinate k beside any other, l, within a modality and of two: the largest cosine of columns a_k and v_l.

    Within a modality v = a and k < l. Of evenly spaced rows, as many as CROSSWISE allows.
    """
    pairs = [*((name, name) for name in whole), *combinations(whole, 2)]
    sizes = {name: w.shape[1] for name, w in whole.items()}
    n = len(next(iter(whole.values())))
    affordable = CROSSWISE // sum(2 * sizes[first] * sizes[second] for first, second in pairs)
    if affordable < min(n, FEWEST_CROSSWISE):
        return []
    step = -(-n // affordable)
    looks = []
    for first, second in pairs:
        a = whole[first][::step]
        if first == second:
            v, where = a, first
        else:
            regression = regressions.between(first, second)
            if regression is None:
                continue
            v, where = regression.residual(a, whole[second][::step]), f"{first} and {second}"
        others = bases(v, shapes[second])
        for basis, values in bases(a, shapes[first]).items():
            if basis in others and (first != second or sizes[first] > 1):
                p, k, m = likest_rows(unit(values.T), unit(others[basis].T), later=first == second)
                looks.append((p, f"{where}, {basis} {k} and {m}"))
    return test_of("coordinates crosswise", looks)
