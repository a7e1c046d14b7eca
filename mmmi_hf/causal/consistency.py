"""Tests that recovered latents follow the law that a causal model declares.

Owns the tests of the certificate: each has an exact or a conservative null distribution at any sample size, so that
honest data are refused no more often than stated. NumPy and SciPy only; knows nothing of images or files.

A test gives one p-value, already corrected for what it looked at (Bonferroni); a set of tests refuses at a family-wise
level by comparing each with its share of the level. The tests see the recovered latents and y, never the seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.projections import declared_covariance, probing_directions

FAMILY_WISE_LEVEL = 1e-4


@dataclass(frozen=True)
class Test:
    """One test: what was looked at, its corrected p-value, and where the smallest one was found."""

    __test__ = False

    name: str
    p_value: float
    where: str


def law_tests(
    model: CausalModel, z: Mapping[str, Array], y: Array, kind: str, generator: np.random.Generator
) -> list[Test]:
    """Tests of recovered latents against the declared law.

    Args:
        model: the declared model.
        z: modality → (n, *shape) recovered latents, standardised as `kind` says; n ≥ 2.
        y: (n,) the stored target.
        kind: the standardisation.
        generator: of the random directions.
    """
    directions = {name: probing_directions(model, name, kind, generator) for name in model.modalities}
    flat = {name: np.asarray(z[name], dtype=np.float64).reshape(len(y), -1) for name in model.modalities}
    features = np.concatenate([y[:, None], *(flat[name] @ directions[name].T for name in model.modalities)], axis=1)
    labels = ["y"] + [f"{name} direction {i}" for name in model.modalities for i in range(len(directions[name]))]
    covariance = declared_covariance(model, directions, kind)
    scale = np.sqrt(np.diagonal(covariance))
    factor = linalg.cholesky(covariance / np.multiply.outer(scale, scale), lower=True)
    normals = linalg.solve_triangular(factor, (features / scale).T, lower=True).T
    tests = [*_moments(normals, labels), *_information(model, z, y, kind)]
    if kind == "whiten":
        tests += _whitened(flat)
    return tests


def refused(tests: list[Test], level: float = FAMILY_WISE_LEVEL) -> list[Test]:
    """The tests that fail when all of them together may fail with probability `level` at most."""
    return [test for test in tests if not test.p_value >= level / len(tests)]


def _moments(normals: Array, labels: list[str]) -> list[Test]:
    """Features made independent N(0, 1) by the declared covariance: means, variances, and products of all pairs."""
    n = len(normals)
    means = 2.0 * stats.norm.sf(np.abs(normals.sum(axis=0)) / math.sqrt(n))
    squares = np.square(normals).sum(axis=0)
    variances = 2.0 * np.minimum(stats.chi2.sf(squares, n), stats.chi2.cdf(squares, n))
    lengths = np.sqrt(squares)
    products = normals.T @ normals / np.where(lengths > 0, lengths, 1.0)[:, None]
    first, second = np.triu_indices(len(labels), 1)
    # Given the first column, the product over its length is N(0, 1).
    cross = 2.0 * stats.norm.sf(np.abs(products[first, second]))
    pairs = [f"{labels[i]} and {labels[j]}" for i, j in zip(first, second, strict=True)]
    return [
        _smallest("means", means, labels),
        _smallest("variances", variances, labels),
        _smallest("covariances", cross, pairs),
    ]


def _information(model: CausalModel, z: Mapping[str, Array], y: Array, kind: str) -> list[Test]:
    """Mean pointwise information of every pair of blocks: Σ_r (i_r - I) = Σ (ρ_c / 2)(u² - v²) with unit normals u, v.

    Its tail is bounded by Chernoff: ln E exp(t Σ) = -(n/2) Σ_c ln(1 - ρ_c² t²).
    """
    from mmmi_hf.causal.latents import Latents

    latents = Latents(dict(z), y, kind)
    p_values, pairs = [], []
    names = [*model.modalities, "y"]
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            correlations = model.canonical_correlations(first, second)
            correlations = correlations[correlations > 1e-9]
            if not len(correlations):
                continue
            pointwise = model.pointwise_mutual_information(latents, first, second)
            excess = abs(float(np.sum(pointwise - model.mutual_information(first, second))))
            p_values.append(2.0 * math.exp(_chernoff(excess, correlations, len(y))))
            pairs.append(f"{first} and {second}")
    return [_smallest("information", np.array(p_values), pairs)] if pairs else []


def _chernoff(excess: float, correlations: Array, n: int) -> float:
    """min over t of -(n/2) Σ ln(1 - ρ² t²) - t s: the bound is valid for any t, found on a fine grid here."""
    largest = float(correlations.max())
    squares = np.square(correlations / largest)
    values, counts = np.unique(np.round(squares, 12), return_counts=True)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 4000)[:-1]])
    exponents = -0.5 * n * (np.log1p(-np.multiply.outer(grid**2, values)) @ counts) - grid * excess / largest
    return float(exponents.min())


def _whitened(flat: Mapping[str, Array]) -> list[Test]:
    """Whitened latents are d independent N(0, 1): lengths of rows, all values, the largest, likeness of rows.

    The largest |value| of N has the distribution function (1 - 2 Q(m))^N: clipping leaves too small a one long before
    it shows among all values.
    """
    lengths, values, largest, likeness = [], [], [], []
    rows, names, pairs = [], [], []
    for name, z in flat.items():
        n, d = z.shape
        squares = np.square(z).sum(axis=1)
        lengths.append(2.0 * np.minimum(stats.chi2.sf(squares, d), stats.chi2.cdf(squares, d)))
        total = float(squares.sum())
        lengths.append([2.0 * min(stats.chi2.sf(total, n * d), stats.chi2.cdf(total, n * d))])
        rows += [f"{name}, sampled row {r}" for r in range(n)] + [f"{name}, all"]
        values.append(stats.kstest(z.ravel(), "norm").pvalue)
        below = z.size * float(stats.halfnorm.logcdf(np.abs(z).max()))
        largest.append(2.0 * min(math.exp(below), -math.expm1(below)))
        names.append(name)
        if n > 1 and d > 1:
            first, second = np.triu_indices(n, 1)
            norms = np.sqrt(squares)
            products = (z @ z.T) / np.where(norms > 0, norms, 1.0)[:, None]
            likeness.append(2.0 * stats.norm.sf(np.abs(products[first, second])))
            pairs += [f"{name}, sampled rows {r} and {s}" for r, s in zip(first, second, strict=True)]
    tests = [
        _smallest("lengths", np.concatenate(lengths), rows),
        _smallest("values", np.array(values), names),
        _smallest("largest values", np.array(largest), names),
    ]
    return [*tests, _smallest("likeness of rows", np.concatenate(likeness), pairs)] if likeness else tests


def _smallest(name: str, p_values: Array, labels: list[str]) -> Test:
    """The smallest p-value, corrected; what is no number has none, and counts as impossible."""
    known = np.where(np.isnan(p_values), 0.0, p_values)
    at = int(np.argmin(known))
    return Test(name, min(1.0, float(known[at]) * len(known)), labels[at])
