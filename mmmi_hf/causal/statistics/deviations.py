"""How far recovered latents are off, as floors count it.

Owns the measures by which a row is called good: the loss of pointwise information for a target, and for a pair the
length of the error of the canonical variates, measured or bounded. NumPy and SciPy only; knows nothing of shares or
files.

E[y | z] and the canonical variates of a pair are linear in the latents, so that they are applied to errors as they are
to latents. With b = 0 the pointwise information of an error u is I - ½ Σ κ_c² u_c², κ = ρ/√(1 - ρ²): it measures the
errors of canonical variates without naming these.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidQueryError, NotExactError
from mmmi_hf.causal.latents import Latents
from mmmi_hf.causal.laws.missing.patterns import lacking, patterns
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET

PAIRED = 1e-12
"""Canonical correlations up to this are none."""


def losses(model: CausalModel, names: tuple[str, ...], recovered: Latents, true: Latents) -> Array:
    """i(y; z) - i(y; ẑ) of every row, (n,), in nats; inf where a latent could not be recovered.

    Args:
        model: the causal model.
        names: modalities.
        recovered: latents from stored values; not finite where they could not be had.
        true: the latents and the target of the same rows; what these lack is not looked at.
    """
    finite, z = _recovered(names, recovered, true), {}
    for name in names:
        there = np.where(_column(finite, recovered.z[name]), recovered.z[name], 0.0)
        z[name] = np.where(_column(lacking(true.z[name]), there), np.nan, there)
    have = model.pointwise_mutual_information(Latents(z, true.y, recovered.standardize), names, TARGET)
    return np.where(finite, model.pointwise_mutual_information(true, names, TARGET) - have, np.inf)


def deviations(model: CausalModel, pair: tuple[str, str], recovered: Latents, true: Latents) -> Array:
    """Length of the error of the recovered canonical variates of a pair, (n,): the larger of the two sides.

    With several canonical pairs it is an upper bound: the whole error of the whitened latent, or what the pointwise
    information says of it. inf where a latent could not be recovered, 0 in rows that lack one of the two.

    Args:
        model: the causal model.
        pair: two modalities.
        recovered: latents from stored values; not finite where they could not be had.
        true: the latents of the same rows, standardised alike.

    Raises:
        InvalidQueryError: the two are standardised differently.
    """
    kind = true.standardize
    if model.law.missing:
        rows = np.flatnonzero(~np.logical_or.reduce([lacking(true.z[name]) for name in pair]))
        parts = (
            Latents({name: each.z[name][rows] for name in pair}, each.y[rows], each.standardize)
            for each in (recovered, true)
        )
        found = np.zeros(len(true))
        found[rows] = deviations(CausalModel.of_law(model.law.whole), pair, *parts)
        return found
    if recovered.standardize != kind:
        raise InvalidQueryError(
            f"recovered latents are standardised by {recovered.standardize!r}, true ones by {kind!r}"
        )
    finite = _recovered(pair, recovered, true)
    errors = {name: np.where(_column(finite, true.z[name]), recovered.z[name] - true.z[name], 0.0) for name in pair}
    correlations = model.canonical_correlations(*pair)
    paired = correlations[correlations > PAIRED]
    information, own = model.mutual_information(*pair), CausalModel.of_law(model.law.own)
    none = np.zeros(len(finite))
    sides = []
    for name, other in (pair, pair[::-1]):
        natural = model.unstandardize_latents(errors[name], name, kind)
        length = np.linalg.norm(_rows(own.standardize_latents(natural, name, "whiten")), axis=1)
        if paired.size and paired.min() < 1.0:
            z = {name: errors[name], other: np.zeros_like(errors[other])}
            lost = information - model.pointwise_mutual_information(Latents(z, none, kind), *pair)
            ratio = paired.min() / np.sqrt((1.0 - paired.min()) * (1.0 + paired.min()))
            length = np.minimum(length, np.sqrt(2.0 * np.maximum(lost, 0.0)) / ratio)
        sides.append(length)
    return np.where(finite, np.max(sides, axis=0), np.inf)


def _recovered(names: tuple[str, ...], latents: Latents, true: Latents) -> NDArray[np.bool_]:
    """Which rows, (n,) of bool: all that they have was recovered."""
    found = [np.isfinite(_rows(latents.z[name])).all(axis=1) | lacking(true.z[name]) for name in names]
    return np.asarray(np.logical_and.reduce(found))


def _column(rows: NDArray[np.bool_], like: Array) -> NDArray[np.bool_]:
    return np.asarray(rows.reshape(len(rows), *[1] * (like.ndim - 1)))


def reach(model: CausalModel, blocks: tuple[str, ...]) -> float:
    """The deviation of a quantity, at most, where the whitened latent of each modality is off by a length of √d."""
    names = tuple(name for name in blocks if name != TARGET)
    lengths = {name: float(np.sqrt(np.prod(model.shapes[name]))) for name in names}
    if TARGET not in blocks:
        return max(lengths.values())
    if len(names) == 1:
        return lengths[names[0]]
    scale = np.sqrt(model.variance_y - model.residual_variance(names))
    return sum(lengths[name] * _norm(model, names, name) for name in names) / float(scale) if scale > 0.0 else 0.0


def steepness(model: CausalModel, blocks: tuple[str, ...]) -> float:
    """κ η of a target (see `floors`) for each unit by which whitened latents are off, of a length of √d each.

    Raises:
        NotExactError: the law does not say what the modalities tell of what y is made of.
    """
    names = tuple(name for name in blocks if name != TARGET)
    if model.law.missing:
        whole = CausalModel.of_law(model.law.whole)
        return max(steepness(whole, (*there, TARGET)) for _, there in patterns(names, model.law.missing) if there)
    made_of = None if model.target is None else model.target.made_of
    if made_of is None:
        plain = model.with_target(None)
        if not plain.law.is_gaussian:
            raise NotExactError("what errors of latents cost is bounded where modalities and y are jointly Gaussian")
        return reach(plain, blocks) * float(np.sqrt(np.expm1(2.0 * plain.mutual_information(names, TARGET))))
    posterior = model.law.posterior_of_causes(names)
    causes: list[int] = list(made_of)
    factor = np.linalg.cholesky(posterior.factor[causes] @ posterior.factor[causes].T)
    total = 0.0
    for name in names:
        basis = _templates(model, names, name)
        z = {other: np.zeros((len(basis), int(np.prod(model.shapes[other])))) for other in names}
        z[name] = _rows(model.unstandardize_latents(basis.reshape(len(basis), *model.shapes[name]), name, "whiten"))
        means = posterior.mean(z)[:, causes]
        length = np.linalg.norm(scipy.linalg.solve_triangular(factor, means.T, lower=True), 2) if len(basis) else 0.0
        total += float(length) * float(np.sqrt(np.prod(model.shapes[name])))
    return total


def _norm(model: CausalModel, names: tuple[str, ...], name: str) -> float:
    """Length of the functional by which E[y | names] reads the whitened latent of one of them.

    It lies in the span of the templates of modalities of that size: whitening one modality and what vector sources
    share do not leave it.
    """
    basis = _templates(model, names, name)
    z = {other: np.zeros((len(basis), *model.shapes[other])) for other in names}
    z[name] = basis.reshape(len(basis), *model.shapes[name])
    return float(np.linalg.norm(model.decode(Latents(z, np.zeros(len(basis)), "whiten"), names)))


def _templates(model: CausalModel, names: tuple[str, ...], name: str) -> Array:
    """Orthonormal rows (p, d) that span the templates; all of ℝᵈ for a dense model, which has none."""
    size = int(np.prod(model.shapes[name]))
    try:
        causes = len(model.eta)
    except AttributeError:
        return np.eye(size)
    order = list(model.modalities)
    found = [
        template.ravel()
        for other in names
        if int(np.prod(model.shapes[other])) == size
        for template in (model.template(order.index(other), k) for k in range(causes))
        if template is not None
    ]
    if not found:
        return np.zeros((0, size))
    _, lengths, rows = np.linalg.svd(np.asarray(found, dtype=np.float64), full_matrices=False)
    return np.asarray(rows[lengths > 1e-12 * lengths[0]])


def _rows(values: Array) -> Array:
    return values.reshape(len(values), -1)
