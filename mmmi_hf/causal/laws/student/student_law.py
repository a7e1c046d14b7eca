"""The law of a common scale: directions of every modality, and y, times one √(ν/χ²_ν) of the row.

Owns the joining of a structured law with the scale. Imports NumPy and this room only.

The scaled directions of a modality hold its templates: their span, as many more as are wanted, or all of it. Together
with y they are multivariate Student, so that with p the number of scaled dimensions of a set of blocks (1 for y), and
f(x) = lnΓ(x/2) - (x/2) ψ(x/2),

    I(a; b | g) = I_Gauss(a; b | g) + f(ν + p_abg) + f(ν + p_g) - f(ν + p_ag) - f(ν + p_bg).

Whitening makes each modality Gaussian: after the whitening of the structured law the radius of its scaled directions is
mapped to that of a normal vector, its direction kept. Dependence is left that no correlation shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mmmi_hf.causal.arguments import Array, read_number, read_whole
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.laws.student.form import ScaledPosterior, StudentForm
from mmmi_hf.causal.laws.student.latents import StudentSampler, StudentStandardizer
from mmmi_hf.causal.laws.student.moments import StudentMoments
from mmmi_hf.causal.laws.student.parts import ScaledParts
from mmmi_hf.causal.queries import Query

FEWEST_DOF, MOST_DOF = 2.1, 1000.0


class StudentLaw(Law):
    """A structured law with a common scale.

    Args:
        base: modalities with vector sources of their own.
        dof: ν, 2.1 … 1000.
        dimensions: how many directions of every modality are scaled, at least those of its templates; None for all.

    Raises:
        InvalidModelError: a base, a ν or a number of directions that cannot be.
    """

    kind = "student"
    fields: ClassVar = (*StructuredLaw.fields, "dof", "dimensions")
    summary = "s (y, B z_i) with one s = √(ν/χ²_ν) of the row, made N(0, I) within each modality"
    is_gaussian = False
    decomposes = False

    def __init__(self, base: StructuredLaw, dof: Any, dimensions: Any = None) -> None:
        self.dof = read_number("dof", dof)
        if not FEWEST_DOF <= self.dof <= MOST_DOF:
            raise InvalidModelError(f"dof is {self.dof}, expected {FEWEST_DOF:g} … {MOST_DOF:g}")
        if np.any(np.count_nonzero(base.structure.mixing, axis=0) > 1):
            raise InvalidModelError(
                "mixing lets modalities share a vector source, which has no common scale; give each its own"
            )
        self.dimensions = None if dimensions is None else read_whole("dimensions", dimensions, 1)
        self.base, self.shapes, self.structure = base, base.shapes, base.structure
        self._parts = ScaledParts(base, self.dimensions)
        count = "all" if self.dimensions is None else f"{self.dimensions} direction{'s' if self.dimensions > 1 else ''}"
        self.remark = f"y and {count} of each z times one √(ν/χ²_ν), ν = {self.dof:g}; then made N(0, I) in each"

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> StudentLaw:
        """The law that `write` wrote."""
        return cls(StructuredLaw.read(shapes, fields), fields["dof"], fields["dimensions"])

    def write(self) -> dict[str, Any]:
        """The fields of the structured law, ν and the number of scaled directions."""
        return {**self.base.write(), "dof": self.dof, "dimensions": self.dimensions}

    def content(self) -> Iterable[bytes]:
        """The content of the structured law, ν and the number of scaled directions."""
        yield from self.base.content()
        yield f"\nstudent {self.dof!r} {self.dimensions}".encode()

    @property
    def variance_factor(self) -> float:
        """E s² = ν/(ν - 2)."""
        return self.dof / (self.dof - 2.0)

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return self.variance_factor * self.base.target_variance

    def form(self, query: Query) -> StudentForm:
        """The query as its Gaussian value and what the scale adds."""
        return StudentForm(self.base, self._parts, self.dof, query)

    def posterior(self, blocks: tuple[str, ...]) -> ScaledPosterior:
        """The mean of y given modalities, that of the structured law, and E Var(y | z)."""
        return ScaledPosterior(self.base.posterior(blocks), self.variance_factor)

    def standardizer(self, name: str, kind: str) -> StudentStandardizer:
        """The standardiser of one modality."""
        return StudentStandardizer.of(self.base, self._parts, self.dof, name, kind)

    def sampler(self, kind: str) -> StudentSampler:
        """The map from the normal numbers of rows to latents and y."""
        return StudentSampler(
            self.base.sampler("none"),
            self._parts,
            self.dof,
            {name: self.standardizer(name, kind) for name in self.shapes},
        )

    def map_of_target(self, name: str, kind: str) -> Array:
        """Refused: a coordinate by itself is not Student."""
        raise NotExactError("what a single coordinate tells under a common scale is not computed; ask about modalities")

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """Refused likewise."""
        return self.map_of_target(a, kind)

    @cached_property
    def moments(self) -> StudentMoments:
        """Second moments of the scaled directions and of the rest."""
        return StudentMoments(self.base.moments, self._parts, self.variance_factor)

    def sharpness(self, query: Query) -> float:
        """That of the structured law, and what errors of a radius add."""
        return self.base.sharpness(query) + 2.0 * math.sqrt(sum(self._parts.count(name) for name in query.modalities))

    def check_rows(self) -> None:
        """As the structured law."""
        self.base.check_rows()
