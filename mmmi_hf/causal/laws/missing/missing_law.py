"""The law of rows that lack modalities by chance, with a flag for each that says so.

Owns the pairing of a law with the chances. Imports NumPy, SciPy and this room only. With F_i the flag of modality i and
x̃_i = (F_i, x_i where it is there),

    I(ã; b̃ | g̃) = Σ over patterns P(pattern) I(a there; b there | g there),

of one modality (1 - p) I(x_i; y): by the chain rule, because flags are independent of all else. y is never lacking.
Rows, y and the latents that are there are those of the law without absence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array, read_number, shown
from mmmi_hf.causal.errors import InvalidModelError, InvalidQueryError, NotExactError
from mmmi_hf.causal.latents import Normals, Sampler
from mmmi_hf.causal.laws.law import Law, Standardizer
from mmmi_hf.causal.laws.missing.patterns import Names, Rows, by_rows, patterns
from mmmi_hf.causal.laws.moments import Moments
from mmmi_hf.causal.queries import TARGET, Query

ABSENCE_STREAM = 2**63 + 1
"""The stream of a row's numbers that say which modalities it lacks: one for each modality, in their order."""


class MissingLaw(Law):
    """The rows of a law, of which some lack modalities.

    Args:
        base: the law of whole rows, without a target.
        missing: modality → the probability that a row lacks it, independently of the others and of everything else.

    Raises:
        InvalidModelError: no such modality, or no probability from 0 to below 1.
    """

    kind = "missing"
    fields = ()
    summary = "rows of another law, some without some modalities"
    is_gaussian = False
    decomposes = False

    def __init__(self, base: Law, missing: Any) -> None:
        self.base, self.missing = base, MappingProxyType(read_missing(missing, base.shapes))
        self.shapes, self.structure, self.matrix = base.shapes, base.structure, base.matrix
        self.target_shape, self.target_type, self.is_standard = base.target_shape, base.target_type, base.is_standard
        absent = ", ".join(f"{name} with probability {chance:g}" for name, chance in self.missing.items())
        self.remark = "; ".join(part for part in (base.remark, f"a row lacks {absent}; a flag says so") if part)

    @property
    def whole(self) -> Law:
        """The law of rows that lack nothing."""
        return self.base

    @property
    def own(self) -> Law:
        """The same absences of a law that is whitened by itself."""
        return self if self.is_standard else MissingLaw(self.base.own, self.missing)

    @property
    def observed(self) -> Law:
        """The same absences without the intervention."""
        return self if self.base.observed is self.base else MissingLaw(self.base.observed, self.missing)

    def shift_divergence(self, blocks: Names) -> float:
        """The mean over patterns: flags have one law, observed and under the intervention."""
        return math.fsum(
            chance * self.base.shift_divergence(there) for chance, there in patterns(blocks, self.missing) if there
        )

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> NoReturn:
        """Absences are read by `laws.serialization`."""
        raise InvalidModelError("a law with absences has no kind of its own in JSON; its field is missing")

    def write(self) -> dict[str, Any]:
        """The fields of the law of whole rows."""
        return self.base.write()

    def content(self) -> Iterable[bytes]:
        """The content of the law of whole rows, and the chances."""
        yield from self.base.content()
        yield f"\nmissing {sorted(self.missing.items())!r}".encode()

    def form(self, query: Query) -> MissingForm:
        """The query as a mean over patterns."""
        return MissingForm(self, query)

    def information_error(self, query: Query) -> float:
        """The mean over patterns of what their quadratures may err by."""
        return MissingForm(self, query).mean(self.base.information_error)

    def sharpness(self, query: Query) -> float:
        """That of whole rows."""
        return self.base.sharpness(query)

    def posterior(self, blocks: Names) -> MissingPosterior:
        """The law of the target given the modalities that are there."""
        return MissingPosterior(self, blocks)

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return self.base.target_variance

    def standardizer(self, name: str, kind: str) -> Standardizer:
        """That of whole rows; what a row lacks stays NaN."""
        return self.base.standardizer(name, kind)

    def sampler(self, kind: str) -> MissingSampler:
        """The map from the normal numbers of rows to latents, NaN where they are lacking, and y."""
        return MissingSampler(self.base.sampler(kind), [self.missing.get(name, 0.0) for name in self.shapes])

    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate, (d,), in nats."""
        return np.asarray(self.chance_of([name]) * self.base.map_of_target(name, kind))

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate, (d,), in nats."""
        return np.asarray(self.chance_of([a, b]) * self.base.map_of_pair(a, b, kind))

    @property
    def moments(self) -> Moments:
        """Refused: what a row lacks has no moments."""
        raise NotExactError("rows lack modalities, which then have no moments; ask the law of whole rows")

    def check_rows(self) -> None:
        """Whether float64 rows carry what the law of whole rows says of them."""
        self.base.check_rows()

    def of_shared_causes(self, first: str, second: str) -> NoReturn:
        """Refused: a modality that a row lacks has no sufficient number."""
        raise InvalidQueryError(
            f"the oracle of {first} and {second} needs rows that lack nothing; leave the oracles out or ask for pairs "
            "with y"
        )


class MissingForm:
    """One query: the mean over patterns of the queries of what is there."""

    def __init__(self, law: MissingLaw, query: Query) -> None:
        self._law, self._query = law, query

    def mean(self, of: Callable[[Query], float]) -> float:
        """The mean over patterns of a number of the query of what is there; 0 where a side of it is empty."""
        parts = ((chance, self._restricted(there)) for chance, there in self._patterns())
        return math.fsum(chance * of(query) for chance, query in parts if query is not None)

    def information(self) -> float:
        """Mutual information in nats."""
        return self.mean(lambda query: self._law.base.form(query).information())

    def variance(self) -> float:
        """Variance of the pointwise information in nats²: within patterns, and of their means."""

        def second(query: Query) -> float:
            form = self._law.base.form(query)
            return form.variance() + form.information() ** 2

        return self.mean(second) - self.information() ** 2

    def correlations(self) -> Array:
        """Refused: rows that lack a modality are not Gaussian."""
        raise NotExactError(f"{self._query} has no canonical correlations: rows lack modalities; ask of whole rows")

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise information of every row in nats, (n,)."""

        def found(there: Names, part: Mapping[str, Array], rows: Rows) -> Array:
            query = self._restricted(there)
            return np.zeros(len(rows)) if query is None else self._law.base.form(query).pointwise(part, target[rows])

        return by_rows(values, self._query.modalities, found, np.zeros(len(target)))

    def _patterns(self) -> list[tuple[float, Names]]:
        return patterns(self._query.modalities, self._law.missing)

    def _restricted(self, there: Names) -> Query | None:
        """The query without what is not there; None where a side of it is empty, so that nothing is shared."""
        kept = {*there, TARGET}
        first, second, given = (
            tuple(name for name in names if name in kept)
            for names in (self._query.first, self._query.second, self._query.given)
        )
        return Query(first, second, given) if first and second else None


class MissingPosterior:
    """The mean and the variance of y given the modalities that are there."""

    def __init__(self, law: MissingLaw, blocks: Names) -> None:
        self._law, self._blocks = law, blocks

    @property
    def variance(self) -> float:
        """E Var(y | z)."""
        base = self._law.base
        return math.fsum(
            chance * (base.posterior(there).variance if there else base.target_variance)
            for chance, there in patterns(self._blocks, self._law.missing)
        )

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z] of every row, (n,); 0, the mean of y, where nothing is there."""

        def found(there: Names, part: Mapping[str, Array], rows: Rows) -> Array:
            return self._law.base.posterior(there).mean(part) if there else np.zeros(len(rows))

        return by_rows(values, self._blocks, found, np.zeros(len(values[self._blocks[0]])))


class MissingSampler:
    """Draws whole rows, and takes away what a row lacks."""

    def __init__(self, sampler: Sampler, chances: Sequence[float]) -> None:
        self._sampler, self._chances = sampler, np.asarray(chances)
        self.rows_at_once = sampler.rows_at_once

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and y of some rows."""
        self._sampler.draw(normals, rows, out, target)
        numbers = np.empty((len(rows), len(self._chances)))
        normals.fill(ABSENCE_STREAM, rows, numbers)
        for latent, absent in zip(out.values(), (scipy.special.ndtr(numbers) < self._chances).T, strict=True):
            latent[absent] = np.nan


def read_missing(missing: Any, shapes: Mapping[str, Any]) -> dict[str, float]:
    """Modality → probability, in the order of the modalities, without those that no row lacks.

    Raises:
        InvalidModelError: anything else.
    """
    if not isinstance(missing, Mapping) or not missing:
        raise InvalidModelError(f"missing is {shown(missing)}, expected a modality with a probability: {{x1: 0.3}}")
    for name, value in missing.items():
        if name not in shapes:
            raise InvalidModelError(f"missing names {shown(name)}, expected modalities: {', '.join(shapes)}")
        chance = read_number(f"missing[{name}]", value, "a probability from 0 to below 1")
        if not 0.0 <= chance < 1.0:
            raise InvalidModelError(
                f"missing[{name}] is {shown(value)}, expected a probability from 0 to below 1; leave a modality out "
                "that no row has"
            )
    found = {name: float(missing[name]) for name in shapes if missing.get(name, 0.0) > 0.0}
    if not found:
        raise InvalidModelError("missing has no probability above 0; leave it out where no row lacks a modality")
    return found
