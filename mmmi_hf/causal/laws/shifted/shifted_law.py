"""The law under do(ũ_k ~ N(0, τ²)), standardised as the observed law would be.

Owns the pairing of the two. Imports NumPy and this room only. All information is that of the law under the
intervention, which is Gaussian. Whitening by the observed law leaves latents that are not N(0, I): they leave the law
that flows were trained on by a known amount,

    KL(do ‖ observed) = ½ (λ - 1 - ln λ),  λ = (1 + τ² q)/(1 + q),  q/(1 + q) = 1 - e^{-2 I(x_S; ũ_k)}.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmmi_hf.causal.arguments import Array, read_positive, read_whole
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.latents import Normals, Sampler
from mmmi_hf.causal.laws.law import CausesPosterior, Form, Law, Posterior, Standardizer
from mmmi_hf.causal.laws.moments import Moments
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.queries import TARGET, Query
from mmmi_hf.common.numbers import is_finite


class ShiftedLaw(Law):
    """A structured law in which one cause has another standard deviation.

    Args:
        observed: the law without the intervention. cause: k, from 0. scale: τ.

    Raises:
        InvalidModelError: no such cause or no scale.
    """

    kind = "shifted"
    fields: ClassVar = (*StructuredLaw.fields, "cause", "scale")
    summary = "a structured law with one cause scaled, standardised without that"
    is_standard = False

    def __init__(self, observed: StructuredLaw, cause: Any, scale: Any) -> None:
        self._observed, parts = observed, observed.structure
        self.cause = read_whole("cause", cause, 0, len(parts.eta) - 1)
        if is_finite(scale) and scale == 0:
            raise InvalidModelError(
                "scale is 0, expected a number above 0: a cause held at its mean is do(ũ = 0), whose divergence is "
                "shifts.divergence_of_value"
            )
        self.scale = read_positive("scale", scale)
        stretch = np.ones(len(parts.eta))
        stretch[self.cause] = self.scale
        self._own = _like(observed, parts.eta * stretch, parts.weights * stretch)
        self.shapes, self.structure = observed.shapes, self._own.structure
        self.remark = f"do(ũ{self.cause + 1} ~ N(0, {self.scale:g}²)), standardised as without it"

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> ShiftedLaw:
        """The law that `write` wrote."""
        return cls(StructuredLaw.read(shapes, fields), fields["cause"], fields["scale"])

    def write(self) -> dict[str, Any]:
        """The fields of the observed law, the cause and its scale."""
        return {**self.observed.write(), "cause": self.cause, "scale": self.scale}

    def content(self) -> Iterable[bytes]:
        """The content of the observed law, the cause and its scale."""
        yield from self.observed.content()
        yield f"\nshifted {self.cause} {self.scale!r}".encode()

    @property
    def observed(self) -> StructuredLaw:
        """The law without the intervention."""
        return self._observed

    @property
    def own(self) -> StructuredLaw:
        """The law under the intervention, whitened by itself."""
        return self._own

    @property
    def target_variance(self) -> float:
        """Var(y) under the intervention."""
        return self.own.target_variance

    def form(self, query: Query) -> Form:
        """The query under the intervention."""
        return self.own.form(query)

    def posterior(self, blocks: tuple[str, ...]) -> Posterior:
        """The law of y given modalities, under the intervention."""
        return self.own.posterior(blocks)

    def posterior_of_causes(self, blocks: tuple[str, ...]) -> CausesPosterior:
        """The law of the causes, each over its standard deviation, under the intervention."""
        return self.own.posterior_of_causes(blocks)

    def shift_divergence(self, blocks: tuple[str, ...]) -> float:
        """KL(do ‖ observed) of modalities, in nats."""
        parts = self.observed.structure
        of_cause = _like(self.observed, np.eye(len(parts.eta))[self.cause], parts.weights)
        heard = -math.expm1(-2.0 * of_cause.form(Query(blocks, (TARGET,))).information())
        change = (self.scale - 1.0) * (self.scale + 1.0) * heard
        return 0.5 * (change - math.log1p(change))

    def standardizer(self, name: str, kind: str) -> Standardizer:
        """That of the observed law."""
        return self.observed.standardizer(name, kind)

    def sampler(self, kind: str) -> ShiftedSampler:
        """The map from the normal numbers of rows to latents and y."""
        return ShiftedSampler(self.own.sampler("none"), {name: self.standardizer(name, kind) for name in self.shapes})

    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate where latents are not whitened, (d,), in nats."""
        if kind == "whiten":
            raise NotExactError("coordinates that another law whitened are not computed; ask with standardize='rms'")
        return self.own.map_of_target(name, "none")

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate likewise."""
        if kind == "whiten":
            raise NotExactError("coordinates that another law whitened are not computed; ask with standardize='rms'")
        return self.own.map_of_pair(a, b, "none")

    @property
    def moments(self) -> Moments:
        """Second moments under the intervention."""
        return self.own.moments

    def check_rows(self) -> None:
        """As the law under the intervention, and as the observed one."""
        self.own.check_rows()
        self.observed.check_rows()

    def of_shared_causes(self, first: str, second: str) -> tuple[Law, ...]:
        """Laws with a cause that two modalities share in the place of y."""
        return self.own.of_shared_causes(first, second)


class ShiftedSampler:
    """Draws under the intervention, and standardises as the observed law does."""

    def __init__(self, sampler: Sampler, standardizers: Mapping[str, Standardizer]) -> None:
        self._sampler, self._standardizers = sampler, standardizers
        self.rows_at_once = sampler.rows_at_once

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and y of some rows."""
        self._sampler.draw(normals, rows, out, target)
        for name, standard in self._standardizers.items():
            out[name][:] = standard.apply(out[name])


def _like(law: StructuredLaw, eta: Array, weights: Array) -> StructuredLaw:
    """A structured law with other coefficients of its causes."""
    parts = law.structure
    templates = [[parts.bank.template(i, k) for k in range(len(eta))] for i in range(len(weights))]
    return StructuredLaw(eta, weights, parts.mixing, list(law.shapes.values()), templates)
