"""The law of a categorical cause: z_i = û_i + m_ic T_i/‖T_i‖, c one of C categories, and y the number of c.

m and y are taken less their means.

Owns the joining of what each modality sees. Imports NumPy and this room only.

Along its template a modality is t_i = m_ic + N(0, 1); the rest of it is noise of its own. Whitening makes t_i N(0, 1)
by Φ⁻¹ of the mixture's distribution function, a bijection: each modality is then exactly N(0, I), jointly they are not
Gaussian. Given c the modalities are independent, so that with J(S) = I(x_S; c)

    I(a; b | g) = J(a, g) + J(b, g) - J(a, b, g) - J(g),   I(a; c | g) = J(a, g) - J(g),   I(a; b | c, g) = 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mmmi_hf.causal.arguments import Array, read_coefficients, read_shapes
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.arrays import bytes_of
from mmmi_hf.causal.laws.categorical.coordinates import of_coordinate, of_two_coordinates
from mmmi_hf.causal.laws.categorical.evidence import Evidence
from mmmi_hf.causal.laws.categorical.form import BlocksView, CategoricalForm, NumberPosterior
from mmmi_hf.causal.laws.categorical.latents import CategoricalSampler, CategoricalStandardizer
from mmmi_hf.causal.laws.categorical.mixture import Mixture
from mmmi_hf.causal.laws.categorical.moments import CategoricalMoments
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.laws.stored_templates import read_template, write_template
from mmmi_hf.causal.queries import Query
from mmmi_hf.causal.template_bank import TemplateBank

MOST_CATEGORIES = 50
FARTHEST = 60.0
"""Of two means, in standard deviations of the noise."""
RAREST = 1e-6
_STRETCH = 8.0
"""dt/du of all but some millionths of the rows, where the categories do not determine the pointwise information."""


class CategoricalLaw(Law):
    """A categorical cause seen by every modality along a template of its own.

    Args:
        probabilities: (C,), of the categories.
        means: (M, C), where each category is along the template of a modality, in standard deviations of its noise.
        shape: one shape, or one per modality.
        templates: T_i: a name, an array, or one of these for every modality.

    Raises:
        InvalidModelError: anything else, or categories that nothing tells apart.
    """

    kind = "categorical"
    fields: ClassVar = ("probabilities", "means", "templates")
    summary = "c ~ categories,  z_i = m_ic T_i/‖T_i‖ + û_i, made N(0, I) along T_i"
    is_gaussian = False
    decomposes = False

    def __init__(self, probabilities: Any, means: Any, shape: Any, templates: Any = "ones") -> None:
        self.probabilities = read_coefficients("probabilities", probabilities, 1, "(C,), one per category")
        self.means = read_coefficients("means", means, 2, "(M, C), one row per modality, one column per category")
        count = len(self.probabilities)
        if not 2 <= count <= MOST_CATEGORIES or self.means.shape[1] != count:
            raise InvalidModelError(
                f"means has {self.means.shape[1]} columns for {count} probabilities; give 2 … {MOST_CATEGORIES} of both"
            )
        if self.probabilities.min() < RAREST or abs(float(self.probabilities.sum()) - 1.0) > 1e-12:
            raise InvalidModelError(f"probabilities must be at least {RAREST} and sum to 1, got {probabilities!r}")
        spread = np.ptp(self.means, axis=1)
        if spread.max() == 0.0 or spread.max() > FARTHEST:
            raise InvalidModelError(
                f"means lie {float(spread.max())} apart at most, expected more than 0 and up to {FARTHEST}"
            )
        shapes = read_shapes(shape, len(self.means))
        self.shapes = {f"x{i + 1}": each for i, each in enumerate(shapes)}
        several = isinstance(templates, (list, tuple)) and len(templates) == len(shapes)
        nested = [[each] for each in templates] if several else templates
        self._bank = TemplateBank(nested, np.ones((len(shapes), 1)), shapes)
        self._templates = [self._bank.template(i, 0) for i in range(len(shapes))]
        self.directions = {
            name: each.values / math.sqrt(float(np.add.reduce(each.values**2)))
            for name, each in zip(self.shapes, self._templates, strict=True)
            if each is not None
        }
        self._position = {name: i for i, name in enumerate(self.shapes)}
        self._centred = self.means - self.means @ self.probabilities[:, None]
        self._views: dict[tuple[str, ...], BlocksView] = {}

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> CategoricalLaw:
        """The law that `write` wrote."""
        stored = fields["templates"]
        if not isinstance(stored, list):
            raise InvalidModelError(f"templates is {stored!r:.60}, expected a list")
        found = [read_template(f"templates[{place}]", entry) for place, entry in enumerate(stored)]
        return cls(fields["probabilities"], fields["means"], shapes, found)

    def write(self) -> dict[str, Any]:
        """Probabilities, means, and a template per modality."""
        return {
            "probabilities": self.probabilities.tolist(),
            "means": self.means.tolist(),
            "templates": [write_template(each) for each in self._templates if each is not None],
        }

    def content(self) -> Iterable[bytes]:
        """Coefficients and the values of the templates."""
        yield self.kind.encode()
        yield from (bytes_of(array) for array in (self.probabilities, self.means))
        yield from (each.content for each in self._templates if each is not None)

    def template(self, name: str) -> Array | None:
        """T_i, read-only, of a modality; None where none was given."""
        template = self._templates[self._position[name]]
        return None if template is None else template.values.reshape(template.shape)

    @property
    def target_variance(self) -> float:
        """Of the number of the category."""
        numbers = np.arange(len(self.probabilities))
        mean = float(self.probabilities @ numbers)
        return float(self.probabilities @ (numbers - mean) ** 2)

    def category(self, blocks: tuple[str, ...]) -> BlocksView:
        """What modalities tell of the category, whatever their order."""
        key = tuple(name for name in self.shapes if name in blocks)
        if key not in self._views:
            rows = [self._position[name] for name in key]
            directions = [self.directions[name] for name in key]
            self._views[key] = BlocksView(key, directions, Evidence(self._centred[rows], self.probabilities))
        return self._views[key]

    def form(self, query: Query) -> CategoricalForm:
        """The query as a sum of what sets of modalities tell of the category."""
        return CategoricalForm(self.category, query)

    def information_error(self, query: Query) -> float:
        """What the quadratures of the query may err by together, in nats."""
        return self.form(query).exact().error

    def posterior(self, blocks: tuple[str, ...]) -> NumberPosterior:
        """The mean and the variance of the number of the category given modalities."""
        return NumberPosterior(self.category(blocks))

    def standardizer(self, name: str, kind: str) -> CategoricalStandardizer:
        """The standardiser of one modality."""
        i = self._position[name]
        return CategoricalStandardizer.of(self.directions[name], Mixture(self._centred[i], self.probabilities), kind)

    def sampler(self, kind: str) -> CategoricalSampler:
        """The map from the normal numbers of rows to latents and the category."""
        return CategoricalSampler(
            self.probabilities, self._centred, {name: self.standardizer(name, kind) for name in self.shapes}
        )

    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate, (d,), in nats, by quadrature."""
        return self.map_of_labels(name, kind, np.eye(len(self.probabilities)))

    def map_of_labels(self, name: str, kind: str, chances: Array) -> Array:
        """I(z_a[c]; label) of every coordinate, (d,), in nats, by quadrature."""
        direction, means = self.directions[name], self._centred[self._position[name]]
        sizes, places = np.unique(np.abs(direction), return_inverse=True)
        whitened = kind == "whiten"
        found = [of_coordinate(float(size), means, self.probabilities, chances, whitened=whitened) for size in sizes]
        return np.array(found)[places]

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate, (d,), in nats, by quadrature."""
        i, j = (self._position[name] for name in (a, b))
        both = np.stack([self.directions[a], self.directions[b]], axis=1)
        both *= np.where(both[:, :1] < 0.0, -1.0, 1.0)
        pairs, places = np.unique(both, axis=0, return_inverse=True)
        found = [
            of_two_coordinates(pair, self._centred[[i, j]], self.probabilities, whitened=kind == "whiten")
            for pair in pairs
        ]
        return np.array(found)[places.ravel()]

    @cached_property
    def moments(self) -> CategoricalMoments:
        """Second moments of the mixture."""
        return CategoricalMoments(self.directions, self._centred, self.probabilities)

    def sharpness(self, query: Query) -> float:
        """Of the means in standard deviations of the noise, and what whitening stretches between them."""
        return _STRETCH * float(np.ptp(self.means, axis=1).max())

    def check_rows(self) -> None:
        """Means of at most 60 standard deviations leave the noise its digits: nothing to check."""
