"""Latents of a structured model: standardisation of one modality and sampling.

Owns z = Σ_k w_k T_k ũ_k + Σ_j G_j û_j, its whitening and its scaling, row by row. Imports NumPy and this room only.

With g = Σ_j G_j² and L = U S Vᵀ the thin SVD of the weighted templates, Cov(z) = g I + U S² Uᵀ, so that
Cov(z)^{-1/2} = g^{-1/2} [I + U ((1 + S²/g)^{-1/2} - 1) Uᵀ], exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.rowwise import add_expansion, combine, project
from mmmi_hf.causal.laws.structured.covariance import StructuredCovariance

_CHUNK_NUMBERS = 1 << 16
_QUIET = 1e3
"""Up to causes this many times as loud as the noise, I + change keeps 13 digits of every direction."""


@dataclass(frozen=True, eq=False)
class StructuredStandardizer:
    """z' = (z + basisᵀ change (basis z)) / scale.

    basis: (r, d) orthonormal rows; change, restore: (r, r), so that I + restore undoes I + change; kept: (r, r),
    I + change without its cancellation; causes: (r, K), the weighted templates of z' in the basis.
    """

    basis: Array
    change: Array
    restore: Array
    kept: Array
    scale: float
    causes: Array

    @classmethod
    def of(cls, covariance: StructuredCovariance, i: int, kind: str) -> StructuredStandardizer:
        """The standardiser of modality i, counted from 0."""
        weights, size = covariance.weights[i], math.prod(covariance.shapes[i])
        used = weights != 0.0
        frame, position = covariance.bank.own_frame(i, used)
        basis = np.zeros((0, size)) if frame.basis is None else frame.basis
        loadings = np.zeros((len(basis), len(weights)))
        if used.any():
            loadings[:, used] = (weights[used, None] * frame.coordinates[position]).T
        row = covariance.mixing[i] / covariance.scale[i]
        noise = float(np.sqrt(row @ row)) * float(covariance.scale[i])
        none, whole = np.zeros((len(basis), len(basis))), np.eye(len(basis))
        if kind == "none":
            return cls(basis, none, none, whole, 1.0, loadings)
        ratio = loadings / noise
        if kind == "rms":
            scale = noise * math.sqrt(1.0 + float(np.sum(ratio * ratio)) / size)
            return cls(basis, none, none, whole, scale, loadings / scale)
        directions, lengths, right = np.linalg.svd(ratio, full_matrices=False)
        quiet = not lengths.size or lengths[0] <= _QUIET
        if not quiet:
            directions, lengths, right = _graded_svd(ratio)
        stretch = np.hypot(1.0, lengths)
        excess = lengths * lengths / (1.0 + stretch)
        change = (directions * (-excess / stretch)) @ directions.T
        return cls(
            basis,
            change,
            (directions * excess) @ directions.T,
            (directions / stretch) @ directions.T,
            noise,
            # the first form gives the bits of all rows that were ever drawn, and cancels where causes are loud
            (loadings + change @ loadings) / noise if quiet else (directions * (lengths / stretch)) @ right,
        )

    def apply(self, latent: Array) -> Array:
        """z to z', (n, d)."""
        out = latent / self.scale
        if np.any(self.change):
            add_expansion(out, combine(project(out, self.basis), self.change), self.basis)
        return out

    def undo(self, latent: Array) -> Array:
        """z' to z, (n, d)."""
        out = np.array(latent)
        if np.any(self.restore):
            add_expansion(out, combine(project(out, self.basis), self.restore), self.basis)
        out *= self.scale
        return out


def _graded_svd(matrix: Array) -> tuple[Array, Array, Array]:
    """The thin SVD of (r, K), r ≤ K, exact to rounding in each singular value: columns may differ by any factor.

    One-sided Jacobi rotations after a pivoted QR (Drmač and Veselić, 2008), where the ordinary SVD loses all values
    below ε times the largest.
    """
    lengths, right, directions, work, _, failed = scipy.linalg.lapack.dgejsv(
        matrix.T, joba=2, jobu=0, jobv=0, jobr=0, jobp=0
    )
    if failed:
        raise ArithmeticError(f"dgejsv failed with {failed} on loadings of shape {matrix.shape}")
    return directions, lengths * (work[0] / work[1]), np.ascontiguousarray(right.T)


@dataclass(frozen=True, eq=False)
class _Recipe:
    """One modality: latent = Σ_j G_j û_j + basisᵀ (causes + change (basis Σ_j G_j û_j)), in standardised units.

    sources: (j, G_j) with G_j ≠ 0; causes: (r, K); change: (r, r), or None where nothing is whitened.
    """

    sources: tuple[tuple[int, float], ...]
    basis: Array
    causes: Array
    change: Array | None

    @classmethod
    def of(cls, covariance: StructuredCovariance, i: int, kind: str) -> _Recipe:
        standard = StructuredStandardizer.of(covariance, i, kind)
        row = covariance.mixing[i]
        return cls(
            tuple((int(j), float(row[j] / standard.scale)) for j in np.flatnonzero(row)),
            standard.basis,
            standard.causes,
            standard.change if standard.change.any() else None,
        )


class StructuredSampler:
    """Draws standardised latents without forming z first."""

    def __init__(self, covariance: StructuredCovariance, kind: str) -> None:
        self._eta = covariance.eta[None, :]
        self._recipes = {name: _Recipe.of(covariance, i, kind) for name, i in covariance.position.items()}
        sizes = [math.prod(shape) for shape in covariance.shapes]
        used = covariance.mixing != 0.0
        self._sizes = {int(j): sizes[int(np.argmax(used[:, j]))] for j in np.flatnonzero(used.any(axis=0))}
        self.rows_at_once = max(1, _CHUNK_NUMBERS // sum(self._sizes.values()))

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and the target of some rows; sums run over causes and sources in increasing order."""
        count = len(rows)
        causes = np.empty((count, self._eta.shape[1]))
        normals.fill(0, rows, causes)
        target[:] = combine(causes, self._eta)[:, 0]
        vectors = {}
        for j, size in self._sizes.items():
            vectors[j] = np.empty((count, size))
            normals.fill(1 + j, rows, vectors[j])
        for name, recipe in self._recipes.items():
            latent = out[name]
            scratch = np.empty_like(latent)
            (first, coefficient), *others = recipe.sources
            np.multiply(vectors[first], coefficient, out=latent)
            for j, coefficient in others:
                latent += np.multiply(vectors[j], coefficient, out=scratch)
            shift = combine(causes, recipe.causes)
            if recipe.change is not None:
                shift += combine(project(latent, recipe.basis, scratch), recipe.change)
            add_expansion(latent, shift, recipe.basis, scratch)
