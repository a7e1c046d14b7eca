"""Causal stories: the families of models of the paper, and the null.

Owns how a story's few coefficients become η, w, G and templates. Imports NumPy and this room only.

With masks D and decays, w_ik = D^θ_ik ρ̃_k β^{-(i-1)} and G_ij = D^u_ij ρ̂_j α^{-|i-j|}, modalities and sources counted
from 1. Every function raises InvalidModelError for coefficients that define no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmmi_hf.causal.arguments import (
    MOST_COEFFICIENTS,
    Array,
    check_shape,
    read_coefficients,
    read_number,
    read_numbers,
    read_shapes,
    read_whole,
    shown,
)
from mmmi_hf.causal.closed_forms import weight_for_target_information
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.categorical.categorical_law import CategoricalLaw
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.template_bank import TemplateBank

__all__ = [
    "categorical_cause",
    "common_cause",
    "decaying_modalities",
    "independent",
    "template_ablation",
    "two_telescopes",
]


def common_cause(
    shape: Any,
    *,
    mi: ArrayLike | None = None,
    rho_tilde: ArrayLike = 1.0,
    rho_hat: ArrayLike = 1.0,
    eta: float = 1.0,
    modalities: int = 2,
    template: Any = "ones",
) -> CausalModel:
    """One cause of the target and of every modality (eq. 2): y = η ũ, z_i = ρ̃_i T ũ + ρ̂_i û_i.

    I(x_i; y) = ½ ln(1 + s_i) with s_i = ‖T‖² ρ̃_i² / ρ̂_i².

    Args:
        shape: of every modality, or one per modality.
        mi: the wanted I(x_i; y) in nats, one number or one per modality; sets ρ̃_i = ρ̂_i sqrt(e^{2 mi} - 1) / ‖T‖.
        rho_tilde, rho_hat: one number, or one per modality.
        eta: the target's coefficient; no information depends on it.
        modalities: their number.
        template: T, a name or an array.

    Raises:
        InvalidModelError: coefficients, shapes or templates that define no density, or both mi and rho_tilde.

    >>> round(common_cause((1, 32, 32), mi=1.5).mutual_information("x1", "y"), 12)
    1.5
    """
    count = _count(modalities)
    noise = _per("rho_hat", rho_hat, count)
    if mi is None:
        weights = _per("rho_tilde", rho_tilde, count)
    else:
        if not np.array_equal(np.asarray(rho_tilde), 1.0):
            raise InvalidModelError(
                f"rho_tilde is {rho_tilde!r} although mi is {mi!r}, which determines it; give one of them"
            )
        bank = TemplateBank(template, np.ones((count, 1)), read_shapes(shape, count))
        norms = [bank.norm(i, 0) for i in range(count)]
        wanted = [mi] * count if np.ndim(mi) == 0 else _per("mi", mi, count)
        weights = np.array([weight_for_target_information(*each) for each in zip(wanted, noise, norms, strict=True)])
    return CausalModel([eta], weights[:, None], np.diag(noise), shape=shape, templates=template)


def two_telescopes(
    shape: Sequence[int],
    *,
    target: str | None = None,
    eta_1: float = 1.0,
    eta_2: float = 1.0,
    rho_tilde_1: float = 1.0,
    rho_tilde_2: float = 1.0,
    rho_hat_1: float = 1.0,
    rho_hat_2: float = 1.0,
    mass_templates: Any = "gaussian",
    atmosphere_template: Any = "radial_decay",
) -> CausalModel:
    """A black hole seen by two telescopes, one through an atmosphere (eq. 10).

    z_1 = ρ̃_1 T_11 ũ_1 + ρ̃_2 T_12 ũ_2 + ρ̂_1 û_1, z_2 = ρ̃_1 T_21 ũ_1 + ρ̂_2 û_2, where ũ_1 is the mass and ũ_2 the
    atmosphere.

    Args:
        shape: of both modalities.
        target: "mass" for y = η_1 ũ_1, "atmosphere" for y = η_2 ũ_2, as in the paper; None for y = η_1 ũ_1 + η_2 ũ_2.
        eta_1, eta_2: the target's coefficients.
        rho_tilde_1, rho_tilde_2: how loud the mass and the atmosphere are.
        rho_hat_1, rho_hat_2: the modalities' own sources.
        mass_templates: T_11 and T_21: one name or array for both, or a pair.
        atmosphere_template: T_12.

    Raises:
        InvalidModelError: another target, or coefficients, shapes or templates that define no density.
    """
    if target not in (None, "mass", "atmosphere"):
        raise InvalidModelError(f"target is {shown(target)}, expected 'mass', 'atmosphere' or None")
    paired = isinstance(mass_templates, (list, tuple)) and len(mass_templates) == 2
    pair = mass_templates if paired and not _is_array(mass_templates, shape) else (mass_templates, mass_templates)
    return CausalModel(
        [0.0 if target == "atmosphere" else eta_1, 0.0 if target == "mass" else eta_2],
        [[rho_tilde_1, rho_tilde_2], [rho_tilde_1, 0.0]],
        [[rho_hat_1, 0.0], [0.0, rho_hat_2]],
        shape=shape,
        templates=[[pair[0], atmosphere_template], [pair[1], None]],
    )


def decaying_modalities(
    shape: Sequence[int],
    *,
    modalities: int = 10,
    alpha: float = 1.0,
    beta: float = 1.0,
    rho_tilde: float = 1.0,
    rho_hat: ArrayLike = 1.0,
    eta: float = 1.0,
    template: Any = "ones",
    cause_mask: ArrayLike | None = None,
    source_mask: ArrayLike | None = None,
) -> CausalModel:
    """Many modalities that see the target ever less and each other's sources (eq. 11).

    y = η ũ, z_i = D^θ_i ρ̃ β^{-(i-1)} T ũ + Σ_j D^u_ij ρ̂_j α^{-|i-j|} û_j, with as many sources as modalities.

    Args:
        shape: of every modality.
        modalities: M.
        alpha: decay of the sharing of sources; at 1 all modalities share all of them and I(x_i; x_j) is infinite,
            at infinity none.
        beta: decay of the cause.
        rho_tilde: ρ̃. rho_hat: ρ̂, one number or one per source.
        eta: the target's coefficient.
        template: T, a name or an array.
        cause_mask: D^θ, (M,). source_mask: D^u, (M, M). By default 1.
    """
    count = _count(modalities)
    noise = _per("rho_hat", rho_hat, count)
    weights = (
        _array("rho_tilde", rho_tilde, 0) * _decay_of_causes(beta, count) * _mask("cause_mask", cause_mask, (count,))
    )
    mixing = noise * _decay_of_sources(alpha, count, count) * _mask("source_mask", source_mask, (count, count))
    return CausalModel([eta], weights[:, None], mixing, shape=shape, templates=template)


def template_ablation(
    shape: Sequence[int],
    *,
    eta: ArrayLike = 1.0,
    rho_tilde: ArrayLike = 1.0,
    rho_hat: ArrayLike = 1.0,
    modalities: int | None = None,
    alpha: float | None = None,
    beta: float = 1.0,
    templates: Any = "ones",
    cause_mask: ArrayLike | None = None,
    source_mask: ArrayLike | None = None,
) -> CausalModel:
    """How much is shared and where it sits, varied apart (eq. 12): z_i = Σ_k w_ik T_ik ũ_k + Σ_j G_ij û_j.

    Args:
        shape: of every modality.
        eta: η_k, one number or one per cause; the number of causes is that of `eta`, or of `rho_tilde` where eta is one
            number, or 1.
        rho_tilde: free coefficients (M, K), or one number or (K,) that decays: w_ik = D^θ_ik ρ̃_k β^{-(i-1)}.
        rho_hat: free coefficients (M, J), or one number or (J,): without `alpha` every modality has its own source,
            G_ii = ρ̂_i, with it G_ij = ρ̂_j α^{-|i-j|}; always times D^u_ij.
        modalities: M; by default that of the free coefficients, or 2.
        alpha, beta: the decays.
        templates: one for all (a name or an array), or an M × K nesting.
        cause_mask: D^θ, (M, K). source_mask: D^u, (M, J). By default 1.

    Raises:
        InvalidModelError: coefficients, shapes or templates that define no density.
    """
    loud, quiet, target = _array("rho_tilde", rho_tilde, 2), _array("rho_hat", rho_hat, 2), _array("eta", eta, 1)
    causes = target.shape[0] if target.ndim else loud.shape[-1] if loud.ndim else 1
    free = loud.shape[0] if loud.ndim == 2 else quiet.shape[0] if quiet.ndim == 2 else 2
    count = free if modalities is None else _count(modalities)
    weights = _fitted("rho_tilde", loud, (count, causes))
    weights = weights * _decay_of_causes(beta, count)[:, None] * _mask("cause_mask", cause_mask, (count, causes))
    sources = quiet.shape[-1] if quiet.ndim else count
    mixing = _fitted("rho_hat", quiet, (count, sources))
    if alpha is not None or quiet.ndim < 2:
        mixing = mixing * _decay_of_sources(math.inf if alpha is None else alpha, count, sources)
    mixing = mixing * _mask("source_mask", source_mask, (count, sources))
    return CausalModel(np.broadcast_to(target, (causes,)), weights, mixing, shape=shape, templates=templates)


def categorical_cause(shape: Any, *, means: Any, probabilities: Any = None, templates: Any = "ones") -> CausalModel:
    """One categorical cause c: every modality shows it along its template, z_i = û_i + m_ic T_i/‖T_i‖, made N(0, I).

    y is the category, 0 … C - 1, as a class. With other label noise: `.with_target({"category": {…}})`.

    Args:
        shape: of the modalities, or one each.
        means: (M, C), m_ic in standard deviations of the noise.
        probabilities: (C,); default: all alike.
        templates: T_i: a name, an array, or one of these for every modality.
    """
    rows = read_coefficients("means", means, 2, "(M, C), one row per modality, one column per category")
    count = rows.shape[1]
    chances = [1.0 / count] * count if probabilities is None else probabilities
    law = CategoricalLaw(chances, rows, shape, templates)
    return CausalModel.of_law(law).with_target({"category": {"categories": count}})


def independent(shape: Any, *, modalities: int = 2, rho_hat: ArrayLike = 1.0, eta: float = 1.0) -> CausalModel:
    """The null: y = η ũ, z_i = ρ̂_i û_i. Every information between blocks is exactly 0.

    Args:
        shape: of every modality, or one per modality.
        modalities: their number.
        rho_hat: one number, or one per modality.
        eta: the target's coefficient.

    Raises:
        InvalidModelError: coefficients, shapes or templates that define no density.
    """
    count = _count(modalities)
    noise = _per("rho_hat", rho_hat, count)
    return CausalModel([eta], np.zeros((count, 1)), np.diag(noise), shape=shape)


def _count(value: int) -> int:
    return read_whole("modalities", value, 1, MOST_COEFFICIENTS)


def _array(name: str, values: ArrayLike, most: int) -> Array:
    array = read_numbers(name, values, "numbers")
    if array.ndim > most or array.size == 0:
        expected = f"at most {most} axes, none of them zero" if most else "one number"
        raise InvalidModelError(f"{name} has shape {array.shape}, expected {expected}")
    return array


def _fitted(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    try:
        return np.array(np.broadcast_to(array, shape))
    except ValueError:
        raise InvalidModelError(f"{name} has shape {array.shape}, expected one number or shape {shape}") from None


def _per(name: str, values: ArrayLike, count: int) -> Array:
    return _fitted(name, _array(name, values, 1), (count,))


def _mask(name: str, values: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    if values is None:
        return np.ones(shape)
    array = _array(name, values, len(shape))
    if array.shape != shape:
        raise InvalidModelError(f"{name} has shape {array.shape}, expected {shape}")
    return array


def _decay(name: str, value: float) -> float:
    number = read_number(name, value, "a number above 0")
    if number <= 0.0:
        raise InvalidModelError(f"{name} is {shown(value)}, expected a number above 0")
    return number


def _decay_of_causes(beta: float, modalities: int) -> Array:
    """β^{-(i-1)}, (M,)."""
    return _powers(_decay("beta", beta), np.arange(modalities))


def _decay_of_sources(alpha: float, modalities: int, sources: int) -> Array:
    """α^{-|i-j|}, (M, J)."""
    return _powers(_decay("alpha", alpha), np.abs(np.subtract.outer(np.arange(modalities), np.arange(sources))))


def _powers(base: float, steps: NDArray[np.intp]) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(np.power(base, -steps.astype(np.float64)))


def _is_array(values: Any, shape: Sequence[int]) -> bool:
    try:
        return np.asarray(values, dtype=np.float64).shape == check_shape(shape)
    except (TypeError, ValueError):
        return False
