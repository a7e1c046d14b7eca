"""How far recovered latents are off, in the canonical variates of a quantity.

Owns the measure by which a row is called good: from errors of latents, measured or bounded, to deviations of a
quantity. NumPy only; knows nothing of shares, images or files.

E[y | z] and the canonical variates of a pair are linear in the latents, so that they are applied to errors as they are
to latents. With b = 0 the pointwise information of an error u is I - ½ Σ κ_c² u_c², κ = ρ/√(1 - ρ²): it measures the
errors of canonical variates without naming these.
"""

from __future__ import annotations

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.latents import Latents
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET

_PAIRED = 1e-12
"""Canonical correlations up to this are none."""


def deviations(model: CausalModel, blocks: tuple[str, ...], recovered: Latents, true: Latents) -> Array:
    """Length of the error of the recovered latents in the canonical variates of a quantity, (n,); inf where it failed.

    For a target it is that of E[y | z] in units of its standard deviation. For a pair it is the larger of the two
    sides; with several canonical pairs an upper bound: the whole error of the whitened latent, or what the pointwise
    information says of it.

    Args:
        model: the causal model.
        blocks: of the quantity.
        recovered: latents from stored values; not finite where they could not be had.
        true: the latents of the same rows, standardised alike.

    Raises:
        InvalidQueryError: the two are standardised differently.
    """
    kind = true.standardize
    if recovered.standardize != kind:
        raise InvalidQueryError(
            f"recovered latents are standardised by {recovered.standardize!r}, true ones by {kind!r}"
        )
    names = tuple(name for name in blocks if name != TARGET)
    errors = {name: np.asarray(recovered.z[name], dtype=np.float64) - true.z[name] for name in names}
    finite = np.logical_and.reduce([np.isfinite(_rows(values)).all(axis=1) for values in errors.values()])
    errors = {name: values[finite] for name, values in errors.items()}
    found = np.full(len(finite), np.inf)
    none = np.zeros(int(np.count_nonzero(finite)))
    if TARGET in blocks:
        scale = np.sqrt(model.variance_y - model.residual_variance(names))
        found[finite] = np.abs(model.decode(Latents(errors, none, kind), names)) / scale if scale > 0.0 else 0.0
        return found
    correlations = model.canonical_correlations(*names)
    paired = correlations[correlations > _PAIRED]
    information = model.mutual_information(*names)
    sides = [none]
    for name, other in (names, names[::-1]):
        z = {name: errors[name], other: np.zeros_like(errors[other])}
        lost = information - model.pointwise_mutual_information(Latents(z, none, kind), *names)
        whole = model.unstandardize_latents(errors[name], name, kind)
        length = np.linalg.norm(_rows(model.standardize_latents(whole, name, "whiten")), axis=1)
        if paired.size:
            ratio = paired.min() / np.sqrt((1.0 - paired.min()) * (1.0 + paired.min()))
            length = np.minimum(length, np.sqrt(2.0 * np.maximum(lost, 0.0)) / ratio)
        sides.append(length)
    found[finite] = np.max(sides, axis=0)
    return found


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
