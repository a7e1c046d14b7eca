"""Tests that recovered latents follow the law that a causal model declares.

Owns the tests of the certificate: each has an exact or a conservative null distribution at any sample size, so that
honest data are refused no more often than stated. NumPy and SciPy only; knows nothing of images or files.

A test gives one p-value, already corrected for what it looked at (Bonferroni); a set of tests refuses at a family-wise
level by comparing each with its share of the level. The tests see the recovered latents and y, never the seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.latents import Latents
from mmmi_hf.causal.laws.missing.patterns import lacking
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.statistics.dependence import beside_target, between_modalities, crosswise
from mmmi_hf.causal.statistics.law_tests.absences import absence_test, groups_of, merged
from mmmi_hf.causal.statistics.law_tests.targets import (
    SMALLEST_DEVIATION,
    information_tests,
    likelihood_tests,
    likelihoods_of_absences,
    target_tests,
)
from mmmi_hf.causal.statistics.p_values import (
    Test,
    largest_normal,
    likest_rows,
    ratio,
    smallest,
    test_of,
    two_sided,
    unit,
)
from mmmi_hf.causal.statistics.projections import bases, declared_covariance, probing_directions
from mmmi_hf.causal.statistics.regressions import Regressions

FAMILY_WISE_LEVEL = 1e-4
POSSIBLE = 1e3
"""Standard deviations that no honest value reaches: in float64 the probability of 40 is 0."""


def law_tests(
    model: CausalModel, z: Mapping[str, Array], y: Array, kind: str, generator: np.random.Generator
) -> list[Test]:
    """Tests of recovered latents against the declared law.

    Values that are not finite or beyond POSSIBLE standard deviations have probability 0: that is then the only test.
    A y that a target makes is tested given the latents (`target_tests`), and not among the Gaussian features.

    Where rows lack modalities, which rows lack what is tested, and all tests of latents are made once for every group
    of `groups_of`, given which rows lack what; a name's smallest p-value is corrected for the groups. Modalities that
    only one sampled row has together are tested together by `likelihoods_of_absences` alone; y of rows that lack
    everything is not tested where it is neither Gaussian nor a class.

    Args:
        model: the declared model.
        z: modality → (n, *shape) recovered latents, standardised as `kind` says, NaN in rows that lack it; n ≥ 2.
        y: (n,) the stored target, (n, m) of several numbers.
        kind: the standardisation.
        generator: of the random directions.
    """
    z = {name: np.asarray(z[name], dtype=np.float64) for name in model.modalities}
    latents = Latents(z, np.asarray(y, dtype=np.float64), kind)
    impossible = _impossible(model, latents)
    if impossible:
        return impossible
    if not model.law.missing:
        return _of_whole_rows(model, latents, generator)
    whole, found = CausalModel.of_law(model.law.whole), []
    for group in groups_of(latents.z):
        held = {name: latents.z[name][group.rows] for name in group.names}
        tests = _of_whole_rows(whole, Latents(held, latents.y[group.rows], kind), generator)
        found += [Test(test.name, test.p_value, f"{test.where}; {group.said}") for test in tests]
    return [absence_test(model.law.missing, latents.z), *merged([*found, *likelihoods_of_absences(model, latents)])]


def _of_whole_rows(model: CausalModel, latents: Latents, generator: np.random.Generator) -> list[Test]:
    """Tests of rows that all have the modalities of `latents`, some or none of those of the model, and y."""
    if not model.law.is_standard:
        own = CausalModel.of_law(model.law.own)
        kind = latents.standardize
        natural = {name: model.unstandardize_latents(values, name, kind) for name, values in latents.z.items()}
        whitened = {name: own.standardize_latents(values, name, "whiten") for name, values in natural.items()}
        model, latents = own, Latents(whitened, latents.y)
    plain = model.with_target(None)
    if not plain.law.is_gaussian:
        pairs = list(combinations(latents.z, 2))
        tests = [*likelihood_tests(plain, latents, pairs), *target_tests(model, latents)]
        return [*tests, *_within(plain, latents, None)]
    gaussian = latents.y if model.target is None else None
    made = [] if model.target is None else target_tests(model, latents)
    return [*_of_features(plain, latents, generator, gaussian), *made, *_within(plain, latents, gaussian)]


def _of_features(model: CausalModel, latents: Latents, generator: np.random.Generator, y: Array | None) -> list[Test]:
    """Of linear features of jointly Gaussian modalities, and of the Gaussian y where that is stored."""
    z, kind, count = latents.z, latents.standardize, len(latents.y)
    directions = {name: probing_directions(model, name, kind, generator) for name in z}
    flat = {name: values.reshape(count, -1) for name, values in z.items()}
    known = [] if y is None else [y[:, None]]
    if not known and not z:
        return []
    features = np.concatenate([*known, *(flat[name] @ directions[name].T for name in z)], axis=1)
    labels = [f"{name} direction {i}" for name in z for i in range(len(directions[name]))]
    labels = ["y"] * len(known) + labels
    covariance = declared_covariance(model, directions, kind)[1 - len(known) :, 1 - len(known) :]
    scale = np.sqrt(np.diagonal(covariance))
    noise = SMALLEST_DEVIATION * generator.standard_normal(features.shape)
    correlations = covariance / np.multiply.outer(scale, scale) + SMALLEST_DEVIATION**2 * np.eye(len(scale))
    factor = scipy.linalg.cholesky(correlations, lower=True)
    normals = scipy.linalg.solve_triangular(factor, (features / scale + noise).T, lower=True).T
    blocks = (*z, *([] if y is None else [TARGET]))
    return [*_moments(normals, labels), *information_tests(model, latents, list(combinations(blocks, 2)))]


def _within(model: CausalModel, latents: Latents, y: Array | None) -> list[Test]:
    """Of every coordinate of whitened modalities, and of what one block leaves of another where it is Gaussian."""
    z, kind, tests = latents.z, latents.standardize, list[Test]()
    regressions = Regressions(model)
    whole = regressions.whitened(z, kind)
    loud = {name: regressions.deviations(z[name], name, kind) for name in z if name not in whole}
    if whole:
        tests += [*_whitened(whole), *_coordinates(whole, model.shapes)]
        if y is not None:
            tests += beside_target(regressions, whole, y / math.sqrt(model.variance_y), model.shapes)
        tests += between_modalities(regressions, whole, model.shapes)
        tests += crosswise(regressions, whole, model.shapes)
    return [*tests, *_likeness(whole, loud)]


def refused(tests: list[Test], level: float = FAMILY_WISE_LEVEL) -> list[Test]:
    """The tests that fail when all of them together may fail with probability `level` at most."""
    return [test for test in tests if not test.p_value >= level / len(tests)]


def _moments(normals: Array, labels: list[str]) -> list[Test]:
    """Features made independent N(0, 1) by the declared covariance: means, variances, and products of all pairs."""
    n = len(normals)
    means = 2.0 * scipy.stats.norm.sf(np.abs(normals.sum(axis=0)) / math.sqrt(n))
    squares = np.square(normals).sum(axis=0)
    variances = two_sided(squares, n)
    products = ratio(normals.T @ normals, np.sqrt(squares)[:, None])
    first, second = np.triu_indices(len(labels), 1)
    # Given the first column, the product over its length is N(0, 1).
    cross = 2.0 * scipy.stats.norm.sf(np.abs(products[first, second]))
    pairs = [f"{labels[i]} and {labels[j]}" for i, j in zip(first, second, strict=True)]
    return [
        smallest("means", means, labels),
        smallest("variances", variances, labels),
        *([smallest("covariances", cross, pairs)] if pairs else []),
    ]


def _impossible(model: CausalModel, latents: Latents) -> list[Test]:
    """One test that fails, where a value has no probability; none of the others could be evaluated then.

    No coordinate's standard deviation exceeds sqrt(d) times the root mean square of all. NaN throughout is possible of
    a modality that rows may lack.
    """
    y = latents.y if model.target is None else np.where(np.isfinite(latents.y), 0.0, np.inf)
    scale = math.sqrt(model.variance_y) if model.target is None else 1.0
    sizes = {"y": np.abs(y).reshape(len(y), -1).max(axis=1) / scale}
    with np.errstate(invalid="ignore", over="ignore"):
        for name, values in latents.z.items():
            relative = model.standardize_latents(values, name, "rms") if latents.standardize == "none" else values
            size = np.abs(relative).reshape(len(y), -1).max(axis=1) / math.sqrt(math.prod(model.shapes[name]))
            sizes[name] = np.where(lacking(values), 0.0, size) if name in model.law.missing else size
    for name, size in sizes.items():
        wrong = ~(size <= POSSIBLE)
        if wrong.any():
            return [Test("possible values", 0.0, f"{name}, sampled row {int(np.argmax(wrong))}")]
    return []


def _whitened(whole: Mapping[str, Array]) -> list[Test]:
    """Whitened latents are d independent N(0, 1): lengths of rows, all values, the largest.

    The largest |value| of N has the distribution function (1 - 2 Q(m))^N: clipping leaves too small a one long before
    it shows among all values.
    """
    lengths: list[Array] = []
    values, largest, rows = [], [], []
    for name, w in whole.items():
        n, d = w.shape
        squares = np.square(w).sum(axis=1)
        lengths += [two_sided(squares, d), two_sided(squares.sum(keepdims=True), n * d)]
        rows += [f"{name}, sampled row {r}" for r in range(n)] + [f"{name}, all"]
        values.append(scipy.stats.kstest(w.ravel(), "norm").pvalue)
        below = w.size * float(scipy.stats.halfnorm.logcdf(np.abs(w).max()))
        largest.append(2.0 * min(math.exp(below), -math.expm1(below)))
    return [
        smallest("lengths", np.concatenate(lengths), rows),
        smallest("values", np.array(values), list(whole)),
        smallest("largest values", np.array(largest), list(whole)),
    ]


def _likeness(whole: Mapping[str, Array], loud: Mapping[str, tuple[Array, Array]]) -> list[Test]:
    """Rows of one modality beside each other: cosines, and where latents are not whitened products.

    Given z_r, z_rᵀ z_s is N(0, z_rᵀ Cov(z) z_r): `loud` gives such rows with their standard deviations.
    """
    looks = []
    for name, w in whole.items():
        if w.shape[1] > 1:
            p, r, s = likest_rows(unit(w), unit(w), later=True)
            looks.append((p, f"{name}, sampled rows {r} and {s}"))
    for name, (rows, deviations) in loud.items():
        p, r, s = likest_rows(ratio(rows, deviations[:, None]), rows, later=True, cosines=False)
        looks.append((p, f"{name}, sampled rows {r} and {s}"))
    return test_of("likeness of rows", looks)


def _coordinates(whole: Mapping[str, Array], shapes: Mapping[str, Shape]) -> list[Test]:
    """Every coordinate in every basis is n independent N(0, 1): its mean and its length over the rows."""
    looks = []
    for name, w in whole.items():
        for basis, values in bases(w, shapes[name]).items():
            looks.append(largest_normal(values.sum(axis=0) / math.sqrt(len(w)), f"{name}, mean of {basis}"))
            p_values = two_sided(np.square(values).sum(axis=0), len(w))
            k = int(np.argmin(p_values))
            looks.append((float(p_values[k]) * len(p_values), f"{name}, variance of {basis} {k}"))
    return test_of("coordinates", looks)
