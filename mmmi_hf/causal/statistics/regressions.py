"""What a declared law leaves of one block given another: independent N(0, 1), whatever the other is.

Owns which regressions of a law can be tested on stored latents, and the whitening of latents that are stored otherwise.
Imports NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws.moments import Regression
from mmmi_hf.causal.model import CausalModel

LARGEST_GAIN = 300.0
"""Whitening may magnify errors of stored latents so much: those of the round trip, 2e-5, then stay far below 1."""
SMALLEST_SINES = (1e-2, 1e-4)
"""Of what a residual is divided by, in all directions outside the templates, and in any one direction."""


class Regressions:
    """The regressions that a model declares between its whitened blocks."""

    def __init__(self, model: CausalModel) -> None:
        self._model, self._moments = model, model.law.moments
        self._known: dict[tuple[str, str], Regression | None] = {}

    def between(self, first: str, second: str) -> Regression | None:
        """Of modality `second` on `first`, a modality or y; None where the declared residual is too small to be tested.

        That is below SMALLEST_SINES, where errors of the round trip of images would show: from 4.6 nats in every single
        coordinate, or 9.2 nats in one direction.
        """
        if (first, second) not in self._known:
            found = self._moments.between(first, second)
            if found is not None and any(s < least for s, least in zip(found.sines, SMALLEST_SINES, strict=True)):
                found = None
            self._known[first, second] = found
        return self._known[first, second]

    def whitened(self, z: Mapping[str, Array], kind: str) -> dict[str, Array]:
        """modality → (n, d) latents, whitened, of those of `z` (n, *shape) of which the errors stay small.

        Left out, unless stored whitened, are those that whitening would magnify by more than LARGEST_GAIN.
        """
        found = {}
        for name, values in z.items():
            if kind == "whiten":
                found[name] = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
            elif self._moments.gain(name) <= LARGEST_GAIN:
                natural = self._model.unstandardize_latents(values, name, kind)
                found[name] = self._model.standardize_latents(natural, name, "whiten").reshape(len(values), -1)
        return found

    def deviations(self, z: Array, name: str, kind: str) -> tuple[Array, Array]:
        """Latents in the units of the model, (n, d), and the standard deviation of z_rᵀ z' for each row, (n,).

        z' is another row: the standard deviation is ‖Cov(z)^{1/2} z_r‖.
        """
        natural = self._model.unstandardize_latents(z, name, kind)
        rows = natural.reshape(len(natural), -1)
        return rows, np.sqrt(np.square(self._moments.loaded(rows, name)).sum(axis=1))
