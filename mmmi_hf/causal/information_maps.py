"""Where in a latent the information sits: the mutual information of every single coordinate.

Owns maps of I(z_a[c]; y) and I(z_a[c]; z_b[c]) over the coordinates c of a modality. They describe latents, not images,
and do not add up to the information of the whole latent. Imports NumPy and this room only.

With z'_c = λ_cᵀ ũ + n_c one coordinate of a standardised latent, only its loadings λ_c (K,), the variance of n_c and,
for pairs, the covariance of both noises are needed; all are diagonals of low-rank expressions, O(d K²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.dense import DenseLaw
from mmmi_hf.causal.errors import BeyondFloat64Error
from mmmi_hf.causal.structured import StructuredLaw
from mmmi_hf.causal.structured_latents import StructuredStandardizer


def map_of_target(law: StructuredLaw | DenseLaw, name: str, kind: str) -> Array:
    """I(z_a[c]; y) of every coordinate, (d,): ½ ln(Var(z'_c) / Var(z'_c | y)), in nats."""
    if isinstance(law, DenseLaw):
        direction = law.matrix[0] / law.scales[0]
        rows = _dense_rows(law, name, kind)
    else:
        direction = law.covariance.direction
        rows = _Coordinates.of(law, name, kind).loadings
    direction = direction / np.sqrt(direction @ direction)
    along = rows @ direction
    rest = np.add.reduce((rows - np.multiply.outer(along, direction)) ** 2, axis=1)
    if isinstance(law, StructuredLaw):
        rest = rest + _Coordinates.of(law, name, kind).noise
    if not np.all(rest > 0.0):
        raise BeyondFloat64Error(
            f"a coordinate of {name} came out with the variance {float(rest.min())} beside y; its noise is below "
            "rounding: make the mixing larger or the weights smaller"
        )
    return np.asarray(0.5 * np.log1p(along * along / rest))


def map_of_pair(law: StructuredLaw | DenseLaw, a: str, b: str, kind: str) -> Array:
    """I(z_a[c]; z_b[c]) of every coordinate, (d,): -½ ln(1 - ρ_c²), in nats."""
    if isinstance(law, DenseLaw):
        first, second = _dense_rows(law, a, kind), _dense_rows(law, b, kind)
        common = np.add.reduce(first * second, axis=1)
        variances = np.add.reduce(first * first, axis=1) * np.add.reduce(second * second, axis=1)
    else:
        one, other = _Coordinates.of(law, a, kind), _Coordinates.of(law, b, kind)
        common = np.add.reduce(one.loadings * other.loadings, axis=1) + one.shared_noise(other)
        variances = one.variance * other.variance
    correlation = common / np.sqrt(variances)
    if not np.all(np.abs(correlation) < 1.0):
        raise BeyondFloat64Error(
            f"a coordinate of {a} and {b} came out with the correlation {float(np.abs(correlation).max())!r}; their "
            "noise is below rounding: make the mixing larger or the weights smaller"
        )
    return np.asarray(-0.5 * np.log1p(-correlation * correlation))


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """The coordinates of one standardised latent: z' = (z + basisᵀ change (basis z)) / scale.

    loadings: (d, K) on the causes; row: (J,), its vector sources over `scale`.
    """

    standard: StructuredStandardizer
    loadings: Array
    row: Array

    @classmethod
    def of(cls, law: StructuredLaw, name: str, kind: str) -> _Coordinates:
        covariance = law.covariance
        i = covariance.position[name]
        standard = StructuredStandardizer.of(covariance, i, kind)
        inner = standard.loadings + standard.change @ standard.loadings
        return cls(standard, standard.basis.T @ inner / standard.scale, covariance.mixing[i] / standard.scale)

    @property
    def noise(self) -> Array:
        """Variance of the vector sources in every coordinate, (d,)."""
        basis, kept = self.standard.basis, np.eye(len(self.standard.basis)) + self.standard.change
        outside = 1.0 - np.add.reduce(basis * basis, axis=0)
        return np.asarray((self.row @ self.row) * (outside + np.add.reduce((kept @ basis) ** 2, axis=0)))

    @property
    def variance(self) -> Array:
        """Variance of every coordinate, (d,)."""
        return np.asarray(np.add.reduce(self.loadings**2, axis=1) + self.noise)

    def shared_noise(self, other: _Coordinates) -> Array:
        """Covariance of both modalities' vector sources in every coordinate, (d,)."""
        one, two = self.standard, other.standard
        mine, theirs = one.change @ one.basis, two.change @ two.basis
        shape = (
            1.0
            + np.add.reduce(one.basis * mine, axis=0)
            + np.add.reduce(two.basis * theirs, axis=0)
            + np.add.reduce(mine * (one.basis @ two.basis.T @ theirs), axis=0)
        )
        return np.asarray((self.row @ other.row) * shape)


def _dense_rows(law: DenseLaw, name: str, kind: str) -> Array:
    """(d, N): every coordinate of a standardised latent over the sources."""
    return np.ascontiguousarray(law.standardizer(name, kind).apply(np.ascontiguousarray(law.block(name).T)).T)
