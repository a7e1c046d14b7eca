"""One latent along its template: t = m_c + N(0, 1), a mixture, and the bijection that makes it N(0, 1).

Owns u = Φ⁻¹(F(t)), F the mixture's distribution function, and its inverse. Imports NumPy, SciPy and this room only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array

_HALVINGS = 70
"""Of an interval of some standard deviations, until float64 has no number between its ends."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Σ_c p_c N(m_c, 1). means, probabilities: (C,)."""

    means: Array
    probabilities: Array

    def normal(self, t: Array) -> Array:
        """Φ⁻¹(F(t)) of (n,) points, by the smaller tail."""
        below, above = self._tails(t)
        return np.asarray(np.where(below < above, scipy.special.ndtri(below), -scipy.special.ndtri(above)))

    def undo(self, u: Array) -> Array:
        """The t with Φ⁻¹(F(t)) = u: in [u + min m, u + max m], because F is a mixture of shifts of Φ."""
        low, high = u + self.means.min(), u + self.means.max()
        lower, wanted = u < 0.0, scipy.special.ndtr(-np.abs(u))
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            below, above = self._tails(middle)
            left = np.where(lower, below < wanted, above > wanted)
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        return np.asarray(0.5 * (low + high))

    def _tails(self, t: Array) -> tuple[Array, Array]:
        scores = t[:, None] - self.means
        return (
            np.add.reduce(scipy.special.ndtr(scores) * self.probabilities, axis=1),
            np.add.reduce(scipy.special.ndtr(-scores) * self.probabilities, axis=1),
        )
