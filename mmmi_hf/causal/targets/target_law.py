"""The law of a model whose y is made of the Gaussian y, or of the causes, of another law.

Owns queries that mention y: by the chain rule every one of them is a signed sum of information among modalities, which
the law below knows, and of I(x_S; y), which views of the target know. Imports NumPy and this room only.

I(a; b | g, y) = I(a; b | g) + I(a; y | b, g) - I(a; y | g) and I(a; b, y | g) = I(a; b | g) + I(a; y | b, g), with
I(a; y | h) = I(a, h; y) - I(h; y). The same sums hold for every row, for pointwise information.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import CausesPosterior, Form, Law, Standardizer
from mmmi_hf.causal.laws.missing.patterns import patterns
from mmmi_hf.causal.laws.moments import Moments
from mmmi_hf.causal.queries import TARGET, Query
from mmmi_hf.causal.targets.missing_view import MissingView
from mmmi_hf.causal.targets.target import Target, View


class TargetLaw(Law):
    """The blocks of a law, and y as a target makes it.

    Args:
        base: the law of the modalities and of the Gaussian y. target: what y is instead.

    Raises:
        InvalidModelError: the law has not what the target is made of.
        NotExactError: the law is of an intervention that would make y another function of the causes.
    """

    kind = "target"
    fields = ()
    summary = "modalities of another law, and y made by a target"
    is_gaussian = False

    def __init__(self, base: Law, target: Target) -> None:
        target.check(base.whole)
        if not base.is_standard and not target.scale_free:
            raise NotExactError(
                f"a target of kind {target.kind} is made of y or causes over their own standard deviations, which the "
                "intervention changes: y would be another function of the causes than without it; take a target of "
                "signs (parity, boolean), or none"
            )
        self.base, self.target = base, target
        self.shapes, self.structure, self.matrix, self.remark = base.shapes, base.structure, base.matrix, base.remark
        self.target_shape, self.target_type, self.decomposes = target.shape, target.dtype, target.decomposes
        self.is_standard, self.missing = base.is_standard, base.missing
        self._views: dict[tuple[str, ...], View] = {}

    @property
    def whole(self) -> Law:
        """The target on the law of rows that lack nothing."""
        return TargetLaw(self.base.whole, self.target) if self.missing else self

    @property
    def own(self) -> Law:
        """The target on the law below, whitened by itself."""
        return self if self.is_standard else TargetLaw(self.base.own, self.target)

    @property
    def observed(self) -> Law:
        """The target on the law without the intervention."""
        return self if self.base.observed is self.base else TargetLaw(self.base.observed, self.target)

    def shift_divergence(self, blocks: tuple[str, ...]) -> float:
        """KL(do ‖ observed) of modalities."""
        return self.base.shift_divergence(blocks)

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> NoReturn:
        """A law with a target is read by `targets.serialization`."""
        raise InvalidModelError("a law with a target has no kind of its own in JSON; its field is target")

    def write(self) -> dict[str, Any]:
        """The fields of the law below."""
        return self.base.write()

    def content(self) -> Iterable[bytes]:
        """The content of the law below."""
        return self.base.content()

    def sampler(self, kind: str) -> TargetSampler:
        """The map from the normal numbers of rows to latents and y."""
        return TargetSampler(self, kind)

    def standardizer(self, name: str, kind: str) -> Standardizer:
        """The standardiser of one modality."""
        return self.base.standardizer(name, kind)

    def form(self, query: Query) -> Form:
        """The query as a sum of what the law below and views of the target know."""
        return self.base.form(query) if TARGET not in query.names else TargetForm(self, query)

    def information_error(self, query: Query) -> float:
        """What the quadratures of the query may err by together, in nats."""
        return TargetForm(self, query).exact().error if TARGET in query.names else 0.0

    def sharpness(self, query: Query) -> float:
        """That of what y is made of."""
        made_of = self.target.made_of
        if TARGET not in query.names or made_of is None:
            return self.base.sharpness(query)
        narrowest = float(
            np.linalg.svd(self.base.whole.posterior_of_causes(query.modalities).factor[list(made_of)])[1][-1]
        )
        return float(np.sqrt((1.0 - narrowest) * (1.0 + narrowest)) / narrowest)

    def view(self, blocks: tuple[str, ...]) -> View:
        """What modalities tell of y, whatever their order."""
        key = tuple(name for name in self.shapes if name in blocks)
        if key not in self._views:
            self._views[key] = self._view(key)
        return self._views[key]

    def _view(self, blocks: tuple[str, ...]) -> View:
        whole = self.base.whole
        if not any(name in self.missing for name in blocks):
            return self.target.view(whole, blocks)
        found = [
            (chance, there, self.target.view(whole, there) if there else None)
            for chance, there in patterns(blocks, self.missing)
        ]
        return MissingView(self.target, whole, blocks, found)

    def posterior(self, blocks: tuple[str, ...]) -> ViewPosterior:
        """The mean and the variance of y given modalities. Raises NotExactError where y is no number."""
        return ViewPosterior(self.view(blocks))

    def posterior_of_causes(self, blocks: tuple[str, ...]) -> CausesPosterior:
        """The law of the causes given modalities."""
        return self.base.posterior_of_causes(blocks)

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return self.target.variance(self.base.whole)

    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate, (d,), in nats."""
        return np.asarray(self.chance_of([name]) * self.target.information_map(self.base.whole, name, kind))

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate, (d,), in nats."""
        return self.base.map_of_pair(a, b, kind)

    @property
    def moments(self) -> Moments:
        """Refused: second moments of y say little where y is not Gaussian."""
        raise NotExactError(f"y is made by {self.target.kind}, so that second moments do not describe it")

    def check_rows(self) -> None:
        """Whether float64 rows carry what the law below says of them."""
        self.base.check_rows()

    def of_shared_causes(self, first: str, second: str) -> tuple[Law, ...]:
        """Laws with a cause that two modalities share in the place of y."""
        return self.base.of_shared_causes(first, second)


class TargetSampler:
    """Draws latents as the law below does, and makes y of the same numbers."""

    def __init__(self, law: TargetLaw, kind: str) -> None:
        self._law, self._sampler = law, law.base.sampler(kind)
        self.rows_at_once = self._sampler.rows_at_once

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and y of some rows."""
        gaussian = np.empty(len(rows))
        self._sampler.draw(normals, rows, out, gaussian)
        target[:] = self._law.target.make(self._law.base.whole, normals, rows, gaussian)


class TargetForm:
    """A query that mentions y: signs of what is among modalities, and of what sets of them tell of y."""

    def __init__(self, law: TargetLaw, query: Query) -> None:
        self._law, self._query = law, query
        rest = [tuple(name for name in names if name != TARGET) for names in (query.first, query.second, query.given)]
        a, b, g = rest if TARGET not in query.first else (rest[1], rest[0], rest[2])
        self.among = Query(a, b, g) if a and b else None
        if TARGET in query.given:
            signed = [(1, a + b + g), (-1, b + g), (-1, a + g), (1, g)]
        else:
            signed = [(1, a + b + g), (-1, b + g)]
        self.signed = [(sign, names) for sign, names in signed if names]

    def exact(self) -> Exact:
        """The information in nats with a bound of its numerical error."""
        total = Exact(0.0 if self.among is None else self._law.base.form(self.among).information())
        for sign, names in self.signed:
            total += self._law.view(names).information().times(sign)
        # a difference that is 0 may come out below it by no more than its stated error
        return Exact(0.0, total.error) if -total.error <= total.value < 0.0 else total

    def information(self) -> float:
        """Mutual information in nats."""
        return self.exact().value

    def variance(self) -> float:
        """Variance of the pointwise information of modalities about y, in nats²."""
        return self._only("variance of the pointwise information").variance().value

    def correlations(self) -> Array:
        """Of modalities and a y that is Gaussian but for its margin, or several such; refused of another."""
        try:
            return self._only("canonical correlations").correlations()
        except NotExactError:
            raise NotExactError(
                f"y is made by {self._law.target.kind}, so that {self._query} has no canonical correlations"
            ) from None

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise information of every row in nats, (n,)."""
        total: Array = np.zeros(len(target))
        if self.among is not None:
            total = total + self._law.base.form(self.among).pointwise(values, np.zeros(len(target)))
        for sign, names in self.signed:
            total = total + sign * self._law.view(names).pointwise(values, target)
        return total

    def _only(self, what: str) -> View:
        if self.among is not None or len(self.signed) != 1:
            raise NotExactError(f"the {what} is known of modalities about y, without a condition; ask without it")
        return self._law.view(self.signed[0][1])


class ViewPosterior:
    """The mean and variance of y given modalities, as a law's posterior."""

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def variance(self) -> float:
        """E Var(y | z_S)."""
        return self._view.residual_variance().value

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        return self._view.mean(values)
