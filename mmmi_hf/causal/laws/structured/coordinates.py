"""The coordinates of a structured latent over independent sources, for maps of information.

Owns their loadings on the causes and their noise. Imports NumPy and this room only.

With z'_c = λ_cᵀ ũ + n_c one coordinate of a standardised latent, its loadings λ_c (K,) and its noise are needed: the
variance of n_c and, for pairs, n_c over two independent sources in a frame of both modalities' templates, O(d K).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON
from mmmi_hf.causal.laws.structured.covariance import StructuredCovariance
from mmmi_hf.causal.laws.structured.latents import StructuredStandardizer


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The coordinates of one standardised latent: z' = (z + basisᵀ change (basis z)) / scale.

    loadings: (d, K) on the causes; row: (J,), its vector sources over `scale`.
    """

    standard: StructuredStandardizer
    loadings: Array
    row: Array

    @classmethod
    def of(cls, covariance: StructuredCovariance, name: str, kind: str) -> Coordinates:
        """The coordinates of one modality."""
        i = covariance.position[name]
        standard = StructuredStandardizer.of(covariance, i, kind)
        if kind == "whiten":
            loadings = standard.basis.T @ standard.causes
        else:
            loadings = np.zeros((standard.basis.shape[1], len(covariance.eta)))
            for k in np.flatnonzero(covariance.weights[i]):
                template = covariance.bank.template(i, int(k))
                if template is not None:
                    loadings[:, k] = covariance.weights[i, k] * template.values / standard.scale
        return cls(standard, loadings, covariance.mixing[i] / standard.scale)

    @property
    def noise(self) -> Array:
        """Variance of the vector sources in every coordinate, (d,)."""
        basis = self.standard.basis
        inside = np.add.reduce((self.standard.kept @ basis) ** 2, axis=0)
        return np.asarray((self.row @ self.row) * (_outside(basis) + inside))

    def beside(self, other: Coordinates) -> tuple[Array, Array]:
        """Both modalities' coordinates over the same independent sources, each (d, sources).

        The noise of coordinate c is row_j A e_c in each vector source: A acts inside the frame of both bases, and one
        more entry is the length of what e_c has outside of it.
        """
        one, two = self.standard, other.standard
        frame = np.linalg.qr(np.concatenate([one.basis, two.basis]).T)[0].T
        outside = np.sqrt(_outside(frame))
        rows = np.linalg.qr(np.stack([self.row, other.row], axis=1))[1].T  # both in the plane that they span
        both = []
        for coordinates, row in zip((self, other), rows, strict=True):
            part = coordinates.standard.basis @ frame.T
            beside = frame - part.T @ coordinates.standard.basis
            inner = np.concatenate(
                [beside + part.T @ (coordinates.standard.kept @ coordinates.standard.basis), [outside]]
            )
            noise = np.multiply.outer(row, inner).reshape(-1, inner.shape[1])
            both.append(np.concatenate([coordinates.loadings, noise.T], axis=1))
        return both[0], both[1]


def _outside(basis: Array) -> Array:
    """1 - ‖basis e_c‖² of every coordinate c, (d,); what is rounding is 0: such a unit vector lies in the span."""
    outside = 1.0 - np.add.reduce(basis * basis, axis=0)
    return np.where(outside > 8.0 * EPSILON * (1 + len(basis)), outside, 0.0)
