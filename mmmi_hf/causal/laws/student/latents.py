"""Latents of a law with a common scale: standardisation of one modality, and sampling.

Owns the maps of one row. Imports NumPy and this room only. The scale has a stream of its own, so that the sources are
those of the structured law.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.latents import Normals, Sampler
from mmmi_hf.causal.laws.law import Standardizer
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.laws.student.parts import ScaledParts
from mmmi_hf.causal.laws.student.radial import Radial, scales

SCALE_STREAM = 2**62


@dataclass(frozen=True, eq=False)
class StudentStandardizer:
    """z' = z / scale, or the whitening of the structured law and then the radial map, where latents are whitened."""

    name: str
    parts: ScaledParts
    whitening: Standardizer | None
    radial: Radial
    scale: float

    @classmethod
    def of(cls, base: StructuredLaw, parts: ScaledParts, dof: float, name: str, kind: str) -> StudentStandardizer:
        """The standardiser of one modality."""
        radial = Radial(parts.count(name), dof)
        if kind == "whiten":
            return cls(name, parts, base.standardizer(name, kind), radial, 1.0)
        if kind == "none":
            return cls(name, parts, None, radial, 1.0)
        row = base.structure.mixing[list(base.shapes).index(name)]
        size, noise, factor = math.prod(base.shapes[name]), float(row @ row), dof / (dof - 2.0)
        plain = base.standardizer(name, "rms").undo(np.ones((1, size)))[0, 0] ** 2 * size
        rest = (size - parts.count(name)) * noise
        return cls(name, parts, None, radial, math.sqrt((factor * (float(plain) - rest) + rest) / size))

    def apply(self, latent: Array) -> Array:
        """z to z', (n, d)."""
        if self.whitening is None:
            return latent / self.scale
        white = self.whitening.apply(latent)
        return self.parts.stretch(self.name, white, self.radial.to_normal(self.parts.split(self.name, white)[1]))

    def undo(self, latent: Array) -> Array:
        """z' to z, (n, d)."""
        if self.whitening is None:
            return latent * self.scale
        factor = self.radial.to_student(self.parts.split(self.name, latent)[1])
        return self.whitening.undo(self.parts.stretch(self.name, latent, factor))


class StudentSampler:
    """Draws as the structured law does, scales, and standardises."""

    def __init__(
        self, base: Sampler, parts: ScaledParts, dof: float, standardizers: Mapping[str, StudentStandardizer]
    ) -> None:
        self._base, self._parts, self._dof, self._standardizers = base, parts, dof, standardizers
        self.rows_at_once = base.rows_at_once

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and y of some rows."""
        self._base.draw(normals, rows, out, target)
        own = np.empty((len(rows), 1))
        normals.fill(SCALE_STREAM, rows, own)
        scale = scales(own[:, 0], self._dof)
        target *= scale
        for name, standard in self._standardizers.items():
            out[name][:] = standard.apply(self._parts.stretch(name, out[name], scale))
