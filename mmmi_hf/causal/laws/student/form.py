"""Queries about a law with a common scale, and the posterior of its y. Imports NumPy, SciPy and this room only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.laws.law import Posterior
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.laws.student.parts import ScaledParts
from mmmi_hf.causal.queries import TARGET, Query


class StudentForm:
    """One query: the Gaussian information and signs of sets of blocks."""

    def __init__(self, base: StructuredLaw, parts: ScaledParts, dof: float, query: Query) -> None:
        self._parts, self._dof, self._query = parts, dof, query
        self._gaussian = base.form(query).information()
        a, b, g = query.first, query.second, query.given
        self._signed = [(1, a + b + g), (1, g), (-1, a + g), (-1, b + g)]

    def information(self) -> float:
        """Mutual information in nats."""
        return self._gaussian + float(sum(sign * _entropic(self._dof + self._size(s)) for sign, s in self._signed))

    def variance(self) -> float:
        """Refused."""
        raise NotExactError("the variance of the pointwise information under a common scale is not computed")

    def correlations(self) -> Array:
        """Refused: canonical correlations describe Gaussian blocks."""
        raise NotExactError(f"{self._query} has no canonical correlations: a common scale is not Gaussian")

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """I_Gauss + Σ ± [lnΓ((ν+p)/2) - ((ν+p)/2) ln(1 + q/ν)] of every row, (n,)."""
        total = np.full(len(target), self._gaussian)
        for sign, blocks in self._signed:
            half = 0.5 * (self._dof + self._size(blocks))
            logs = np.log1p(self._quadratic(blocks, values, target) / self._dof)
            total += sign * (scipy.special.gammaln(half) - half * logs)
        return total

    def _size(self, blocks: tuple[str, ...]) -> int:
        return sum(1 if name == TARGET else self._parts.count(name) for name in blocks)

    def _quadratic(self, blocks: tuple[str, ...], values: Mapping[str, Array], target: Array) -> Array:
        q, mean, variance = self._parts.quadratic(tuple(name for name in blocks if name != TARGET), values)
        return q + np.square(target - mean) / variance if TARGET in blocks else q


class ScaledPosterior:
    """The mean of a Gaussian posterior, and its variance times E s²."""

    def __init__(self, posterior: Posterior, factor: float) -> None:
        self.mean, self.variance = posterior.mean, factor * posterior.variance


def _entropic(x: float) -> float:
    """lnΓ(x/2) - (x/2) ψ(x/2)."""
    return float(scipy.special.gammaln(0.5 * x) - 0.5 * x * scipy.special.psi(0.5 * x))
