"""Pointwise information of rows under a structured model, and means of its causes given latents.

Owns the evaluation of a `Reduction` on data. Imports NumPy and this room only. Latents are projected onto the
frame of the templates first and the rest is treated apart, so that no large quadratic forms are subtracted; a row's
bits do not depend on the other rows.

Per canonical pair (s, t) with correlation ρ the density is ρ s t / (1 + ρ) - ρ² (s - t)² / (2 (1 - ρ²)).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import pair_densities
from mmmi_hf.causal.laws.rowwise import combine, project
from mmmi_hf.causal.laws.structured.covariance import Channel, StructuredCovariance
from mmmi_hf.causal.laws.structured.reduction import Pairs, Reduction
from mmmi_hf.causal.queries import TARGET


def log_densities(form: Reduction, values: Mapping[str, Array], target: Array) -> Array:
    """ln p(a, b | given) - ln p(a | given) p(b | given) - I(a; b | given) of every row, (n,)."""
    total = np.zeros(len(target))
    latents = [scaled_latents(form.covariance, channel, values) for channel in form.channels]
    inner = [in_frame(channel, z) for channel, z in zip(form.channels, latents, strict=True)]
    for channel, z, coordinates in zip(form.channels, latents, inner, strict=True):
        if channel.frame.basis is not None:
            for c in range(len(channel.cosines)):
                sides = [
                    _mixed(z, part[c]) - combine(combine(coordinates, part[c : c + 1])[:, 0], channel.frame.basis.T)
                    for part in (channel.first, channel.second)
                ]
                total += _density(channel, c, sides[0], sides[1])
    inner = without_target(form, inner, target)
    means = mean_of_causes(form, inner)
    blocks = []
    residuals = [
        [
            _residual(part, coordinates, loading, means)
            for part, loading in zip((channel.first, channel.second), sides, strict=True)
        ]
        for channel, coordinates, sides in zip(form.channels, inner, form.loadings, strict=True)
    ]
    for channel, pairs, (a, b) in zip(form.channels, form.pairs, residuals, strict=True):
        if pairs.span is not None:
            for c in range(len(channel.cosines)):
                total += _density(channel, c, _beside(a[:, c], pairs.span[c]), _beside(b[:, c], pairs.span[c]))
    if form.small is None:
        return total
    blocks = [_statistics(form, side, [parts[side] for parts in residuals], means, target) for side in (0, 1)]
    count = len(form.small.cosines)
    first = combine(blocks[0], form.small.left[:count] @ form.whiten_a)
    second = combine(blocks[1], form.small.right[:count] @ form.whiten_b)
    return total + pair_densities(form.small.cosines, form.small.sines, first, second)


def scaled_latents(covariance: StructuredCovariance, channel: Channel, values: Mapping[str, Array]) -> list[Array]:
    """The latents of a channel's members in the units of the covariance, (n, d) each."""
    return [values[f"x{i + 1}"] / covariance.scale[i] for i in channel.members]


def in_frame(channel: Channel, latents: list[Array]) -> Array:
    """(n, members, r): coordinates of latents in the frame of the templates."""
    basis = channel.frame.basis
    return np.stack([z if basis is None else project(z, basis) for z in latents], axis=1)


def without_target(form: Reduction, inner: list[Array], target: Array) -> list[Array]:
    """Coordinates less what a given target explains of them."""
    if TARGET not in form.query.given:
        return inner
    direction = form.covariance.direction
    scores = target / (form.covariance.target_scale * float(direction @ direction))
    return [
        coordinates - scores[:, None, None] * (form.covariance.loadings(channel.members) @ direction)
        for channel, coordinates in zip(form.channels, inner, strict=True)
    ]


def mean_of_causes(form: Reduction, inner: list[Array]) -> Array:
    """E[ũ' | given] of the causes that a form conditions on its given modalities, (n, K)."""
    count = len(inner[0]) if inner else 0
    given = [
        _flat(combine(coordinates, channel.given))
        for channel, coordinates in zip(form.channels, inner, strict=True)
        if len(channel.given)
    ]
    if not given or not form.causes:
        return np.zeros((count, form.causes))
    return combine(np.concatenate(given, axis=1), form.mean_map)


def _residual(part: Array, coordinates: Array, loading: Array, means: Array) -> Array:
    """(n, rows of part, r): whitened coordinates less what the given modalities explain."""
    residual = combine(coordinates, part)
    explained = combine(means, loading.reshape(loading.shape[0] * loading.shape[1], loading.shape[2]))
    return np.asarray(residual - explained.reshape(residual.shape))


def _statistics(form: Reduction, side: int, residuals: list[Array], means: Array, target: Array) -> Array:
    """(n, rows): the entries of one block in the order of the form's small factor."""
    count = len(target)
    entries = []
    if form.rows_of_target[side]:
        expected = combine(means, form.target_loading[None, :])
        entries.append(target[:, None] / form.covariance.target_scale - expected)
    stack = [np.zeros((count, 0))]
    for channel, pairs, residual in zip(form.channels, form.pairs, residuals, strict=True):
        paired = len(channel.cosines)
        entries.append(_flat(_inside(pairs, residual[:, :paired])))
        stack.append(_flat(residual[:, paired:]))
    joined = np.concatenate(stack, axis=1)
    fold = form.unpaired[side].fold
    entries.append(joined if fold is None else combine(joined, fold.T))
    return np.concatenate(entries, axis=1)


def _flat(values: Array) -> Array:
    """(n, p, r) to (n, p r)."""
    return values.reshape(values.shape[0], values.shape[1] * values.shape[2])


def _inside(pairs: Pairs, residual: Array) -> Array:
    """(n, p, r) to the (n, p, s) coordinates inside the spans."""
    if pairs.span is None or not residual.shape[1]:
        return residual[:, :, : pairs.dimensions]
    return np.stack([combine(residual[:, c], pairs.span[c].T) for c in range(residual.shape[1])], axis=1)


def _beside(residual: Array, span: Array) -> Array:
    """(n, r) less its part in the span (r, s)."""
    return np.asarray(residual - combine(combine(residual, span.T), span))


def _density(channel: Channel, c: int, first: Array, second: Array) -> Array:
    cosine, sine = channel.cosines[c : c + 1], channel.sines[c : c + 1]
    return pair_densities(cosine, sine, first, second)


def _mixed(latents: list[Array], weights: Array) -> Array:
    """Σ_i weights_i z_i in increasing order of i, (n, d)."""
    out = np.zeros_like(latents[0])
    for latent, weight in zip(latents, weights, strict=True):
        if weight:
            out += weight * latent
    return out
