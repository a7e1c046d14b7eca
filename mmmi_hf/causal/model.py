"""CausalModel: linear Gaussian structural equations and everything that is exactly known about them.

Owns the public class. Imports NumPy and this room only, never torch, files or data sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mmmi_hf.causal import information, targets
from mmmi_hf.causal.arguments import Array, Shape, read_natural
from mmmi_hf.causal.errors import InvalidQueryError, NotExactError
from mmmi_hf.causal.information import PartialInformation
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Latents, check_kind, check_latents, check_target, draw
from mmmi_hf.causal.laws.dense.dense_law import DenseLaw
from mmmi_hf.causal.laws.law import CausalStructure, Law
from mmmi_hf.causal.laws.missing.missing_law import MissingLaw
from mmmi_hf.causal.laws.shifted.shifted_law import ShiftedLaw
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.laws.student.student_law import StudentLaw
from mmmi_hf.causal.queries import TARGET, Blocks, Query, flat, read_blocks, read_query
from mmmi_hf.causal.targets import Target, serialization
from mmmi_hf.causal.targets.target import View
from mmmi_hf.causal.targets.target_law import TargetLaw

if TYPE_CHECKING:
    from jaxtyping import Float

_CHUNK_NUMBERS = 1 << 20


class CausalModel:
    """y = Σ_k η_k ũ_k and z_i = Σ_k w_ik T_ik ũ_k + Σ_j G_ij û_j (eqs. 1 and 12 of the paper).

    ũ_k ~ N(0, 1) are K common causes, û_j ~ N(0, I_d) are J vector sources, all independent. Blocks are called
    x1 … xM (the modalities) and y (the target). All information is in nats, computed in float64.

    Args:
        eta: (K,), the target's coefficients.
        weights: (M, K), w_ik.
        mixing: (M, J), G_ij.
        shape: the shape of every modality, or one per modality; modalities that share a vector source must agree.
        templates: T_ik: a name, an array of `shape`, or an M × K nesting of these, None where w_ik is 0.
        target: what y is made of instead, a kind with its arguments, e.g. {"classes": {"quantiles": 10}}.

    Raises:
        InvalidModelError: coefficients, shapes or templates that define no density.

    >>> model = CausalModel([1.0], [[1.0], [1.0]], [[1.0, 0.0], [0.0, 1.0]], shape=(3, 32, 32))
    >>> round(model.mutual_information("x1", "y"), 9)
    4.015204781
    """

    def __init__(
        self, eta: Any, weights: Any, mixing: Any, *, shape: Any, templates: Any = "ones", target: Any = None
    ) -> None:
        law = StructuredLaw(eta, weights, mixing, shape, templates)
        self._law: Law = law if target is None else TargetLaw(law, targets.read(target))

    @classmethod
    def of_law(cls, law: Law) -> CausalModel:
        """The model of a law of any kind."""
        model = cls.__new__(cls)
        model._law = law
        return model

    @classmethod
    def from_matrix(cls, A: Any, shapes: Sequence[Sequence[int]]) -> CausalModel:
        """The model (y, z_1, …, z_M) = A u with independent u ~ N(0, 1) (eq. 1), by dense algebra.

        Args:
            A: (1 + Σ d_i, N), at most 4,096 rows; row 0 is y, then the entries of each modality in C order.
            shapes: one shape per modality.

        Raises:
            InvalidModelError: A defines no such model.
        """
        return cls.of_law(DenseLaw(A, shapes))

    @classmethod
    def from_json(cls, text: str) -> CausalModel:
        """The model of a text that `to_json` wrote. Raises InvalidModelError for unknown fields, versions, contents."""
        return cls.of_law(serialization.from_json(text))

    def to_json(self) -> str:
        """The model as JSON text, every float exactly."""
        return serialization.to_json(self._law)

    @cached_property
    def digest(self) -> str:
        """sha256 (hexadecimal) of the model's content; equal templates count as equal, however they were given."""
        return serialization.digest(self._law)

    @property
    def target(self) -> Target | None:
        """What y is made of; None where it is the Gaussian y = Σ_k η_k ũ_k itself."""
        return self._law.target if isinstance(self._law, TargetLaw) else None

    def with_target(self, target: Target | Mapping[str, Any] | None) -> CausalModel:
        """The same modalities with another y; None is the Gaussian one.

        Raises:
            InvalidModelError: no target, or one that this model has no causes for.
        """
        return self.of_law(self._base if target is None else TargetLaw(self._base, targets.read(target)))

    def with_common_scale(self, dof: float, dimensions: int | None = None) -> CausalModel:
        """y and directions of every modality times one √(ν/χ²_ν) of the row: heavy tails that no correlation shows.

        Args:
            dof: ν, 2.1 … 1000.
            dimensions: how many directions of each modality, those of its templates among them; None for all.

        Raises:
            InvalidModelError: a ν or a number of directions that cannot be, or modalities that share a vector source.
            NotExactError: a model that is not made of causes and templates, or has a target already.
        """
        return self._remade("common scale", lambda law: StudentLaw(law, dof, dimensions))

    def with_shift(self, cause: int, scale: float) -> CausalModel:
        """The model under do(ũ_k ~ N(0, scale²)), with latents standardised by the law without the intervention.

        Whitened latents are then not N(0, I): a shift of known size, `shift_divergence`, that a flow meets as well.

        Raises:
            InvalidModelError: no such cause or no scale.
            NotExactError: a model that is not made of causes and templates, or has a target already.
        """
        return self._remade("cause to shift", lambda law: ShiftedLaw(law, cause, scale))

    def with_missing(self, missing: Mapping[str, float] | None) -> CausalModel:
        """The same rows, some without some modalities, flagged; `missing`: modality → probability, None for whole rows.

        Latents that a row lacks are NaN; absences are independent of all else. Raises InvalidModelError for no chances.
        """
        law = self._base.whole if missing is None else MissingLaw(self._base.whole, missing)
        return self.of_law(law if self.target is None else TargetLaw(law, self.target))

    def shift_divergence(self, blocks: Blocks) -> float:
        """KL(do ‖ observed) of the modalities `blocks`, in nats. Raises NotExactError without an intervention."""
        return self._law.shift_divergence(self._modalities(blocks))

    @property
    def modalities(self) -> tuple[str, ...]:
        """x1 … xM."""
        return tuple(self._law.shapes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All blocks: the modalities, then y."""
        return (*self._law.shapes, TARGET)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Modality name to shape."""
        return MappingProxyType(self._law.shapes)

    @property
    def law(self) -> Law:
        """The joint law of its blocks."""
        return self._law

    @property
    def structure(self) -> CausalStructure | None:
        """Causes and sources with their coefficients; None of a model that is not made of such, as of `from_matrix`."""
        return self._law.structure

    @property
    def eta(self) -> Float[Array, " causes"]:
        """η of eq. 1, (K,), read-only; AttributeError for a model of `from_matrix`, as the next three."""
        return self._made_of.eta

    @property
    def weights(self) -> Float[Array, "modalities causes"]:
        """w_ik, how loud each cause is in each modality, (M, K), read-only."""
        return self._made_of.weights

    @property
    def mixing(self) -> Float[Array, "modalities sources"]:
        """G_ij, how loud each vector source is in each modality, (M, J), read-only."""
        return self._made_of.mixing

    @property
    def matrix(self) -> Array:
        """A of a model made by `from_matrix`, read-only; AttributeError for any other."""
        if self._law.matrix is None:
            raise AttributeError("a model of causes and templates has no matrix; it has eta, weights and mixing")
        return self._law.matrix

    def template(self, i: int, k: int) -> Array | None:
        """T_ik, read-only, of modality number i and cause number k counted from 0; None where none was given."""
        return self._made_of.template(i, k)

    def mutual_information(self, a: Blocks, b: Blocks, given: Blocks = ()) -> float:
        """I(a; b | given) in nats.

        Args:
            a, b, given: disjoint blocks, each a name or a sequence of names.

        Raises:
            InvalidQueryError: an unknown or empty block, or blocks that overlap.
            InfiniteInformationError: the vector sources of the blocks have a singular covariance.
        """
        return self._information(self._query(a, b, given))

    def information_error(self, a: Blocks, b: Blocks, given: Blocks = ()) -> float:
        """A bound of the error of `mutual_information(a, b, given)` in nats, where that is a quadrature; else 0."""
        return self._law.information_error(self._query(a, b, given))

    def canonical_correlations(self, a: Blocks, b: Blocks, given: Blocks = ()) -> Float[Array, " correlations"]:
        """Canonical correlations of a and b given others, descending: I = Σ -½ ln(1 - ρ²); see `mutual_information`."""
        return self._law.form(self._query(a, b, given)).correlations()

    def pointwise_variance(self, a: Blocks, b: Blocks, given: Blocks = ()) -> float:
        """Variance of `pointwise_mutual_information(…, a, b, given)` in nats²: Σ ρ² over the canonical correlations."""
        return self._law.form(self._query(a, b, given)).variance()

    def sharpness(self, a: Blocks, b: Blocks) -> float:
        """The largest slope of i(a; b) in errors of a canonical variate: ρ/√(1 - ρ²) if Gaussian."""
        return self._law.sharpness(self._query(a, b, ()))

    def pointwise_mutual_information(
        self, latents: Latents, a: Blocks, b: Blocks, given: Blocks = ()
    ) -> Float[Array, " n"]:
        """ln p(a, b | given) / p(a | given) p(b | given) of every row, (n,), in nats; its mean is I(a; b | given).

        Args:
            latents: drawn by `sample` or recovered from images; any float dtype, any standardisation.
            a, b, given: as in `mutual_information`.

        Raises:
            InvalidQueryError: also where a latent of the query is missing or of the wrong shape.
        """
        query = self._query(a, b, given)
        form = self._law.form(query)
        target = check_target(latents, self._law.target_shape) if TARGET in query.names else None
        parts = [np.zeros(0)]
        for rows, values in self._parts(latents, query.modalities):
            known = len(values[query.modalities[0]])
            parts.append(form.pointwise(values, np.zeros(known) if target is None else target[rows]))
        return np.concatenate(parts)

    def interaction_information(self, a: Blocks, b: Blocks, c: Blocks) -> float:
        """I(a; b) - I(a; b | c) in nats: positive where c explains what a and b share, negative where it joins them."""
        query = self._query(a, b, c)
        return self._information(Query(query.first, query.second)) - self._information(query)

    def total_correlation(self, names: Sequence[str]) -> float:
        """TC = Σ H(x_i) - H(x) in nats, over the blocks `names`. Raises as `mutual_information` does."""
        return information.total_correlation(self._between, read_blocks("names", names, self._known))

    def dual_total_correlation(self, names: Sequence[str]) -> float:
        """DTC = H(x) - Σ H(x_i | rest) in nats, over the blocks `names`. Raises as `mutual_information` does."""
        return information.dual_total_correlation(self._between, read_blocks("names", names, self._known))

    def o_information(self, names: Sequence[str]) -> float:
        """Ω = TC - DTC in nats of the blocks `names`: positive where redundancy prevails, else synergy does."""
        return self.total_correlation(names) - self.dual_total_correlation(names)

    def partial_information_decomposition(self, a: Blocks, b: Blocks) -> PartialInformation:
        """I(a, b; y) as redundant, unique and synergistic information about y, in nats.

        Gaussian BROJA, exact; for another y exact only where a or b tells nothing of it by itself.

        Raises:
            NotExactError: both do.
        """
        query = self._query(a, b, TARGET)
        if not self._law.decomposes and all(self._between(side, (TARGET,), ()) for side in (query.first, query.second)):
            why = "rows lack modalities" if self._law.missing and self._law.whole.decomposes else "y is not Gaussian"
            raise NotExactError(
                f"{', '.join(query.first)} and {', '.join(query.second)} both tell of y, and {why}: no "
                "decomposition of what they tell is exact; ask for I(a;y), I(b;y), I(a,b;y) and II(a;b;y)"
            )
        return information.partial_information(self._between, query.first, query.second, query.given)

    def information_map(self, a: str, b: str = TARGET, *, standardize: str = "whiten") -> Float[Array, " *shape"]:
        """Where in a latent the information sits: I(z_a[c]; b) of every coordinate c, of the shape of a, in nats.

        Coordinates of latents, not pixels; what they know together is `mutual_information`, not their sum.

        Args:
            a: a modality.
            b: y, or another modality of the same shape, of which the same coordinate is taken.
            standardize: which latents, as in `sample`.

        Raises:
            InvalidQueryError: unknown or equal blocks, or modalities of different shape.
        """
        query, kind = self._query(a, b, ()), check_kind(standardize)
        (a,), (b,) = self._modalities(query.first), query.second
        shape = self._law.shapes[a]
        if b == TARGET:
            return self._law.map_of_target(a, kind).reshape(shape)
        if (other := self._law.shapes[b]) != shape:
            raise InvalidQueryError(f"b is {b!r} of shape {other}, but {a} has {shape}: give modalities of one shape")
        return self._law.map_of_pair(a, b, kind).reshape(shape)

    def sample(self, n: int, *, seed: int, start: int = 0, standardize: str = "whiten") -> Latents:
        """Rows start … start + n - 1 of a seed; a row is the same whatever is drawn with it, and in any process.

        Args:
            n: number of rows.
            seed: 0 ≤ seed < 2^63.
            start: the first row.
            standardize: "whiten" (each modality exactly N(0, I)), "rms" (each divided by the constant
                sqrt(tr Cov / d)) or "none". y is never rescaled.

        Raises:
            InvalidQueryError: a number outside its range or an unknown standardisation.
        """
        first = read_natural("start", start)
        rows = range(first, first + read_natural("n", n))
        return self._draw(rows, seed, standardize, first)

    def sample_rows(self, rows: Sequence[int], *, seed: int, standardize: str = "whiten") -> Latents:
        """The rows of these numbers, in this order, as `sample` gives them with `seed` and `standardize`."""
        return self._draw([read_natural("rows", row) for row in rows], seed, standardize, None)

    def standardize_latents(self, z: Float[Array, " n *shape"], name: str, kind: str) -> Float[Array, " n *shape"]:
        """The latents z of the modality `name`, (n, *shape), standardised; `unstandardize_latents` undoes it.

        `kind` is "whiten", "rms" or "none", as `standardize` of `sample`. Raises InvalidQueryError for other shapes.
        """
        return self._mapped(z, name, lambda values: self._law.standardizer(name, check_kind(kind)).apply(values))

    def unstandardize_latents(self, z: Float[Array, " n *shape"], name: str, kind: str) -> Float[Array, " n *shape"]:
        """Standardised latents z of the modality `name`, (n, *shape), in the units of the model; `kind` likewise."""
        return self._mapped(z, name, lambda values: self._law.standardizer(name, check_kind(kind)).undo(values))

    def check_rows(self) -> None:
        """Whether float64 rows carry what the model says of them: asked before any are made.

        Raises:
            BeyondFloat64Error: the noise of a latent is below rounding beside its causes.
        """
        self._law.check_rows()

    def of_shared_causes(self, first: str, second: str) -> tuple[CausalModel, ...]:
        """The models with a cause that modalities `first` and `second` share in the place of y, one for each cause.

        `decode` of them given one modality is a sufficient statistic of it for the other.

        Raises:
            InvalidQueryError: there is no such finite set of numbers.
        """
        return tuple(self.of_law(law) for law in self._law.of_shared_causes(first, second))

    @property
    def classes(self) -> int | None:
        """How many classes y has; None where it is no class."""
        return None if self.target is None else self.target.classes

    @property
    def class_prior(self) -> Float[Array, " classes"]:
        """p(class), (classes,). Raises NotExactError where y is no class."""
        if self.target is None or self.classes is None:
            raise NotExactError("y has no classes, so that they have no probabilities")
        return self.target.class_prior(self._base.whole)

    def class_posterior(self, latents: Latents, blocks: Blocks) -> Float[Array, "n classes"]:
        """p(class | blocks) of every row of the latents, (n, classes). Raises NotExactError where y is no class."""
        names = self._modalities(blocks)
        view = self._view(names)
        parts = [view.posterior(values) for _, values in self._parts(latents, names)]
        return np.concatenate([np.zeros((0, self.classes or 0)), *parts])

    def pointwise_law(self, blocks: Blocks) -> tuple[Array, Array]:
        """Weights and values of a quadrature over the law of i(blocks; y). Raises NotExactError without one."""
        return self._view(self._modalities(blocks)).pointwise_law()

    def bayes_accuracy(self, blocks: Blocks) -> Exact:
        """Accuracy of the best guess of the class from blocks, with its error. NotExactError where y is no class."""
        return self._view(self._modalities(blocks)).accuracy()

    def bayes_log_loss(self, blocks: Blocks) -> Exact:
        """H(class | blocks) in nats, the floor of the log loss, likewise."""
        return self._view(self._modalities(blocks)).log_loss()

    def r2_ceiling(self, blocks: Blocks) -> Exact:
        """The R² of E[y | blocks], of several targets their mean, likewise."""
        names = self._modalities(blocks)
        if self.target is None and not self._law.is_gaussian:
            return Exact(1.0 - self.residual_variance(names) / self.variance_y, 4e-15)
        if self.target is None:
            return Exact(-math.expm1(-2.0 * self._between(names, (TARGET,), ())))
        return self._view(names).r2_ceiling()

    @property
    def variance_y(self) -> float:
        """Var(y), of the Gaussian y Σ η_k²."""
        return self._law.target_variance

    def residual_variance(self, blocks: Blocks) -> float:
        """Var(y | blocks), blocks being modalities."""
        return self._law.posterior(self._modalities(blocks)).variance

    def decode(self, latents: Latents, blocks: Blocks) -> Float[Array, " n"]:
        """E[y | blocks] of every row, (n,): the optimal decoder, linear in the latents."""
        names = self._modalities(blocks)
        posterior = self._law.posterior(names)
        return np.concatenate([np.zeros(0), *(posterior.mean(values) for _, values in self._parts(latents, names))])

    def linear_decoder(self, blocks: Blocks, standardize: str = "whiten") -> Callable[[Mapping[str, Any]], Array]:
        """`decode` as a function of latents alone: {name: (n, *shape)} → E[y | blocks], (n,).

        `standardize` says how these are standardised, as in `sample`.
        """
        names, kind = self._modalities(blocks), check_kind(standardize)

        def decode(z: Mapping[str, Any]) -> Array:
            return self.decode(Latents(z, np.zeros(0), kind), names)

        return decode

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {shape}" for name, shape in list(self._law.shapes.items())[:4])
        more = ", …" if len(self._law.shapes) > 4 else ""
        return f"CausalModel({shapes}{more}; digest {self.digest[:12]})"

    def _remade(self, what: str, remake: Callable[[StructuredLaw], Law]) -> CausalModel:
        """The model with another law of whole rows, and the same absences."""
        whole = self._law.whole
        if not isinstance(whole, StructuredLaw):
            raise NotExactError(f"a {whole.kind} model has no {what}; take one of eta, weights and mixing")
        return self.of_law(remake(whole)).with_missing(self._law.missing or None)

    @property
    def _base(self) -> Law:
        """The law below the target."""
        return self._law.base if isinstance(self._law, TargetLaw) else self._law

    @property
    def _made_of(self) -> CausalStructure:
        if self._law.structure is None:
            raise AttributeError("a model made by from_matrix has no causes and templates; it has matrix")
        return self._law.structure

    @cached_property
    def _known(self) -> dict[str, None]:
        return dict.fromkeys(self.names)

    def _query(self, a: Blocks, b: Blocks, given: Blocks) -> Query:
        return read_query(a, b, given, self._known)

    def _modalities(self, blocks: Blocks) -> tuple[str, ...]:
        return read_blocks("blocks", blocks, self._law.shapes)

    def _view(self, blocks: tuple[str, ...]) -> View:
        if not isinstance(self._law, TargetLaw):
            raise NotExactError("y is a Gaussian number without classes; give the model a target such as classes")
        return self._law.view(blocks)

    def _information(self, query: Query) -> float:
        if query not in self._found:
            value = self._law.form(query).information()
            if not 0.0 <= value < float("inf"):
                raise ArithmeticError(f"{query} came out as {value!r}, which is impossible; please report this model")
            self._found[query] = value
        return self._found[query]

    @cached_property
    def _found(self) -> dict[Query, float]:
        """Values of queries that were asked, of which others are made up."""
        return {}

    def _between(self, a: tuple[str, ...], b: tuple[str, ...], given: tuple[str, ...]) -> float:
        return self._information(Query(a, b, given))

    def _draw(self, rows: Sequence[int], seed: int, kind: str, start: int | None) -> Latents:
        seed = read_natural("seed", seed)
        sampler, target = self._law.sampler(check_kind(kind)), (self._law.target_shape, self._law.target_type)
        return draw(sampler, self._law.shapes, rows, seed=seed, kind=kind, start=start, target=target)

    def _mapped(self, z: Any, name: str, function: Callable[[Array], Array]) -> Array:
        (name,) = self._modalities(name)
        values = np.asarray(z, dtype=np.float64)
        shape = self._law.shapes[name]
        if values.shape[1:] != shape:
            raise InvalidQueryError(
                f"latents of {name} have shape {values.shape}, expected (n, {', '.join(map(str, shape))})"
            )
        return function(flat(values)).reshape(values.shape)

    def _parts(self, latents: Latents, names: tuple[str, ...]) -> Iterator[tuple[slice, dict[str, Array]]]:
        """Rows and their latents in the units of the model, a cache's worth at a time."""
        count = check_latents(latents, {name: self._law.shapes[name] for name in names})
        maps = {name: self._law.standardizer(name, check_kind(latents.standardize)) for name in names}
        step = max(1, _CHUNK_NUMBERS // sum(math.prod(self._law.shapes[name]) for name in names))
        for begin in range(0, count, step):
            rows = slice(begin, begin + step)
            yield rows, {name: maps[name].undo(flat(latents.z[name][rows])) for name in names}
