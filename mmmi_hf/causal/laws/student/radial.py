"""The bijection between the radius of a Student vector and that of a normal one.

Owns r → F_χ⁻¹(F_R(r)) for k dimensions and ν degrees of freedom, and back, by the smaller tail. Imports NumPy, SciPy
and this room only. r² = ν x/(1 - x) with x of the beta law (k/2, ν/2); a normal radius has r² = 2 g, g of the gamma law
k/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array

_LEAST = 1e-300
"""What a probability that is 0 in float64 counts as."""


@dataclass(frozen=True)
class Radial:
    """dimensions: k. dof: ν."""

    dimensions: int
    dof: float

    def to_normal(self, squared: Array) -> Array:
        """The factor r'/r of rows with these r² of a Student vector, (n,)."""
        half, rest = 0.5 * self.dimensions, 0.5 * self.dof
        share = squared / (squared + self.dof)
        below = scipy.special.betainc(half, rest, share)
        above = scipy.special.betainc(rest, half, self.dof / (squared + self.dof))
        small, large = scipy.special.gammaincinv(half, below), scipy.special.gammainccinv(half, above)
        wanted = 2.0 * np.where(below < above, small, large)
        return np.asarray(np.sqrt(wanted / squared))

    def to_student(self, squared: Array) -> Array:
        """The factor r/r' of rows with these r'² of a normal vector, (n,); finite for any finite r'²."""
        half, rest = 0.5 * self.dimensions, 0.5 * self.dof
        below, above = scipy.special.gammainc(half, 0.5 * squared), scipy.special.gammaincc(half, 0.5 * squared)
        share, other = scipy.special.betaincinv(half, rest, below), scipy.special.betaincinv(rest, half, above)
        near = below < above
        odds = np.where(near, share, 1.0 - other) / np.where(near, 1.0 - share, np.maximum(other, _LEAST))
        wanted = self.dof * odds
        return np.asarray(np.sqrt(wanted / squared))


def scales(normals: Array, dof: float) -> Array:
    """√(ν/χ²) of rows by one standard normal number each, (n,)."""
    half, low = 0.5 * dof, scipy.special.ndtr(-np.abs(normals))
    chi = 2.0 * np.where(normals < 0.0, scipy.special.gammaincinv(half, low), scipy.special.gammainccinv(half, low))
    return np.asarray(np.sqrt(dof / chi))
