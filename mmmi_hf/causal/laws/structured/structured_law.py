"""The law of a structured model: K common causes, J vector sources, templates.

Owns the checks of coefficients and shapes, and joins covariance, canonical forms and latents of this kind. Imports
NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mmmi_hf.causal.arguments import SMALLEST, Array, Shape, read_coefficients, read_shapes, shown
from mmmi_hf.causal.errors import BeyondFloat64Error, InvalidModelError, InvalidQueryError, NotExactError
from mmmi_hf.causal.laws import maps
from mmmi_hf.causal.laws.arrays import bytes_of
from mmmi_hf.causal.laws.law import CausalStructure, Law
from mmmi_hf.causal.laws.stored_templates import read_template, write_template
from mmmi_hf.causal.laws.structured.coordinates import Coordinates
from mmmi_hf.causal.laws.structured.covariance import StructuredCovariance
from mmmi_hf.causal.laws.structured.form import (
    LOUDEST_ROWS,
    StructuredCausesPosterior,
    StructuredForm,
    StructuredPosterior,
)
from mmmi_hf.causal.laws.structured.latents import StructuredSampler, StructuredStandardizer
from mmmi_hf.causal.laws.structured.moments import StructuredMoments
from mmmi_hf.causal.laws.structured.reduction import Reduction
from mmmi_hf.causal.laws.structured.singular import SingularForm, SingularPosterior
from mmmi_hf.causal.queries import TARGET, Query
from mmmi_hf.causal.template_bank import Template, TemplateBank
from mmmi_hf.common.numbers import is_whole


class StructuredLaw(Law):
    """y = Σ η_k ũ_k, z_i = Σ_k w_ik T_ik ũ_k + Σ_j G_ij û_j.

    Args:
        eta, weights, mixing: (K,), (M, K), (M, J).
        shape: one shape, or one per modality.
        templates: as `TemplateBank` reads them.

    Raises:
        InvalidModelError: anything that defines no model with a density.
    """

    kind = "structured"
    fields: ClassVar = ("eta", "weights", "mixing", "templates", "template_index")
    summary = "y = Σ η ũ,  z_i = Σ w_i T_i ũ + Σ G_i û"
    structure: CausalStructure

    def __init__(self, eta: Any, weights: Any, mixing: Any, shape: Any, templates: Any) -> None:
        eta = read_coefficients("eta", eta, 1, "(K,), one per common cause")
        weights = read_coefficients("weights", weights, 2, "(M, K), one row per modality and one column per cause")
        mixing = read_coefficients("mixing", mixing, 2, "(M, J), one row per modality and one column per vector source")
        if weights.shape[1] != len(eta):
            raise InvalidModelError(
                f"weights has {weights.shape[1]} columns but eta has {len(eta)} entries; give both one per common cause"
            )
        if len(mixing) != len(weights):
            raise InvalidModelError(
                f"mixing has {len(mixing)} rows but weights has {len(weights)}; give both one per modality"
            )
        if np.abs(eta).max() < SMALLEST:
            raise InvalidModelError("eta is all zero, so that y has no source; give at least one cause a coefficient")
        silent = np.flatnonzero(np.abs(mixing).max(axis=1) < SMALLEST)
        if silent.size:
            i = int(silent[0])
            raise InvalidModelError(
                f"mixing[{i}] is all zero: x{i + 1} has no vector source and hence no density; give it one"
            )
        shapes = read_shapes(shape, len(weights))
        _check_sharing(mixing, shapes)
        self.shapes: dict[str, Shape] = {f"x{i + 1}": each for i, each in enumerate(shapes)}
        self.structure = CausalStructure(eta, weights, mixing, TemplateBank(templates, weights, shapes))
        self._covariance = StructuredCovariance(eta, weights, mixing, self.structure.bank)

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> StructuredLaw:
        """The law that `write` wrote."""
        stored = fields["templates"]
        if not isinstance(stored, list):
            raise InvalidModelError(f"templates is {stored!r:.60}, expected a list")
        templates = [read_template(f"templates[{place}]", entry) for place, entry in enumerate(stored)]
        index = fields["template_index"]
        if not isinstance(index, list) or not all(isinstance(row, list) for row in index):
            raise InvalidModelError("template_index must be a list of rows, one per modality")
        nested = [[_chosen(templates, place) for place in row] for row in index]
        return cls(fields["eta"], fields["weights"], fields["mixing"], shapes, nested)

    def write(self) -> dict[str, Any]:
        """Coefficients, each distinct template once, and which of them a modality uses for a cause."""
        bank, parts = self.structure.bank, self.structure
        places = {id(template): place for place, template in enumerate(bank.distinct)}
        causes = range(len(parts.eta))
        return {
            "eta": parts.eta.tolist(),
            "weights": parts.weights.tolist(),
            "mixing": parts.mixing.tolist(),
            "templates": [write_template(template) for template in bank.distinct],
            "template_index": [
                [places.get(id(bank.template(i, k))) for k in causes] for i in range(len(parts.weights))
            ],
        }

    def content(self) -> Iterable[bytes]:
        """Coefficients, and the values of templates whose weight is not 0."""
        for array in (self.structure.eta, self.structure.weights, self.structure.mixing):
            yield bytes_of(array)
        for i, k in np.argwhere(self.structure.weights != 0.0):
            template = self.structure.bank.template(int(i), int(k))
            if template is not None:
                yield template.content

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return self._covariance.target_variance

    def form(self, query: Query) -> StructuredForm | SingularForm:
        """The query in canonical form. Raises InfiniteInformationError where it has none."""
        reduced = Reduction.of(self._covariance, query)
        return SingularForm(self._covariance, query) if reduced is None else StructuredForm(reduced)

    def posterior(self, blocks: tuple[str, ...]) -> StructuredPosterior | SingularPosterior:
        """The law of the target given modalities."""
        query = Query((TARGET,), (), blocks)
        reduced = Reduction.of(self._covariance, query)
        return SingularPosterior(self._covariance, query) if reduced is None else StructuredPosterior(reduced)

    def posterior_of_causes(self, blocks: tuple[str, ...]) -> StructuredCausesPosterior:
        """The law of the causes given modalities. Raises NotExactError where these have noise-free combinations."""
        reduced = Reduction.of(self._covariance, Query((TARGET,), (), blocks))
        if reduced is None:
            raise NotExactError(
                f"the vector sources of {', '.join(blocks)} are linearly dependent, and targets of several causes are "
                "known of independent ones only: give each modality a source of its own"
            )
        return StructuredCausesPosterior(reduced)

    def standardizer(self, name: str, kind: str) -> StructuredStandardizer:
        """The standardiser of one modality."""
        return StructuredStandardizer.of(self._covariance, self._covariance.position[name], kind)

    def sampler(self, kind: str) -> StructuredSampler:
        """The map from one row's normal numbers to its standardised latents."""
        return StructuredSampler(self._covariance, kind)

    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate, (d,), in nats."""
        coordinates = Coordinates.of(self._covariance, name, kind)
        return maps.of_target(name, coordinates.loadings, self._covariance.direction, coordinates.noise)

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate, (d,), in nats."""
        first, second = (Coordinates.of(self._covariance, name, kind) for name in (a, b))
        return maps.of_pair(a, b, *first.beside(second))

    @cached_property
    def moments(self) -> StructuredMoments:
        """Second moments of causes and sources."""
        return StructuredMoments(self.structure, self.shapes, lambda name: self.standardizer(name, "whiten"))

    def check_rows(self) -> None:
        """Whether float64 latents hold the noise beside the causes.

        Raises:
            BeyondFloat64Error: the causes of a modality are more than `LOUDEST_ROWS` times as loud as its noise.
        """
        parts, scale = self.structure, self._covariance.scale
        for i, name in enumerate(self.shapes):
            noise = float(np.sqrt(np.square(parts.mixing[i] / scale[i]).sum()))
            loudest = max(abs(float(w / scale[i])) * parts.bank.norm(i, k) for k, w in enumerate(parts.weights[i]))
            if loudest > LOUDEST_ROWS * noise:
                raise BeyondFloat64Error(
                    f"weights[{i}] make the causes of {name} more than {LOUDEST_ROWS:.2g} times as loud as its noise, "
                    "which float64 latents do not hold: make the mixing larger or the weights smaller"
                )

    def of_shared_causes(self, first: str, second: str) -> tuple[Law, ...]:
        """The law with ũ_k in the place of y, for every cause k that both modalities know of.

        Raises:
            InvalidQueryError: the modalities share a vector source.
        """
        parts = self.structure
        i, j = (self._covariance.position[name] for name in (first, second))
        if np.any(parts.mixing[i] * parts.mixing[j]):
            raise InvalidQueryError(
                f"{first} and {second} share a vector source: their sufficient statistics have as many numbers as "
                "coordinates; leave the oracles out or ask for pairs with y"
            )
        causes = len(parts.eta)
        templates = [[parts.bank.template(m, k) for k in range(causes)] for m in range(len(parts.weights))]
        return tuple(
            StructuredLaw(np.eye(causes)[k], parts.weights, parts.mixing, list(self.shapes.values()), templates)
            for k in range(causes)
            if parts.weights[i, k] and parts.weights[j, k]
        )


def _chosen(templates: list[Template], place: Any) -> Template | None:
    if place is None:
        return None
    if not is_whole(place, 0) or place >= len(templates):
        raise InvalidModelError(f"template_index contains {shown(place)}, expected null or 0 … {len(templates) - 1}")
    return templates[place]


def _check_sharing(mixing: Array, shapes: Sequence[Shape]) -> None:
    if len(set(shapes)) == 1:
        return
    for j, column in enumerate(mixing.T):
        users = np.flatnonzero(column)
        for i in users[1:]:
            if shapes[i] != shapes[users[0]]:
                raise InvalidModelError(
                    f"shape differs between x{users[0] + 1} {shapes[users[0]]} and x{i + 1} {shapes[i]}, which share "
                    f"vector source {j}; give them one shape or separate columns of mixing"
                )
