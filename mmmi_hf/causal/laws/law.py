"""The contract of a law: what a causal model asks of the joint distribution of its blocks, whatever kind it is.

Owns the abstract base and the records that its methods return. Nothing outside this folder asks of which kind a law is:
what not every law has (causes to draw, a matrix, one number per cause that is sufficient) is empty in the base. A new
law is a folder here, named once in `serialization.LAWS`; `mmmi_hf.testing.laws` has its contract tests. What else y may
be made of is in `causal/targets`, which needs `posterior`, `posterior_of_causes` and `form` only. Imports NumPy and
this room only.

Blocks are called x1 … xM and y. Latents "in the units of the model" are (n, d_i), before any standardisation; a law
makes each modality standardised by "whiten" exactly N(0, I), which is what the bijections expect. All information is in
nats.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.errors import InvalidQueryError, NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Sampler
from mmmi_hf.causal.laws.moments import Moments
from mmmi_hf.causal.queries import Query
from mmmi_hf.causal.template_bank import TemplateBank


class Form(Protocol):
    """One query I(a; b | given), brought to the form in which it is computed."""

    def information(self) -> float:
        """Mutual information in nats."""

    def variance(self) -> float:
        """Variance of the pointwise mutual information, in nats²."""

    def correlations(self) -> Array:
        """Canonical correlations in descending order, each as often as it occurs: I = Σ -½ ln(1 - ρ²).

        Raises InvalidQueryError where the law has none, because it is not Gaussian.
        """

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row, (n,); values: name → (n, d_i) in the units of the model."""


class Standardizer(Protocol):
    """The invertible map of one modality's latent to its standardised form, and back, on (n, d_i) arrays."""

    def apply(self, latent: Array) -> Array:
        """z to z'."""

    def undo(self, latent: Array) -> Array:
        """z' to z."""


class Posterior(Protocol):
    """The law of the target given some modalities: what is known of it, and of every function of it."""

    @property
    def variance(self) -> float:
        """E Var(y | z)."""

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z] of every row, (n,); values as in `Form.pointwise`."""


class CausesPosterior(Protocol):
    """The law of all causes given some modalities: ũ | z ~ N(mean, factor factorᵀ)."""

    @property
    def factor(self) -> Array:
        """(K, K)."""

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[ũ | z] of every row, (n, K); values as in `Form.pointwise`."""


class CategoryView(Protocol):
    """What some modalities tell of a category: posteriors of rows, and integrals over their law."""

    probabilities: Array

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(category | z) of every row, (n, C); values as in `Form.pointwise`."""

    def expected(self, function: Callable[[Array], Array]) -> Exact:
        """E function(p(· | z)), (n, C) → (n,), of a smooth function."""

    def accuracy(self) -> Exact:
        """E max p(category | z)."""

    def listed(self) -> tuple[Array, Array]:
        """Mass and posterior, (n,) and (n, C), of points of a quadrature."""


@dataclass(frozen=True, eq=False)
class CausalStructure:
    """Causes and vector sources with their coefficients: y = Σ η_k ũ_k, z_i = Σ w_ik T_ik ũ_k + Σ G_ij û_j.

    eta (K,), weights (M, K), mixing (M, J), read-only; bank: the templates T_ik.
    """

    eta: Array
    weights: Array
    mixing: Array
    bank: TemplateBank

    def template(self, i: int, k: int) -> Array | None:
        """T_ik, read-only, counted from 0; None where none was given."""
        template = self.bank.template(i, k)
        return None if template is None else template.values.reshape(template.shape)


class Law(ABC):
    """The joint law of the target and of the latents of every modality.

    Attributes:
        kind: its name in JSON. summary: one line of equations, for cards of laws without a structure.
        shapes: modality → shape, x1 first.
        structure: the causes and sources that it is made of, where it is made of such.
        matrix: A of (y, z) = A u, where it was given so, read-only.
        target_shape, target_type: of y of one row.
        decomposes: whether the minimum-MI decomposition of what two modalities tell of y is exact.
        is_gaussian: whether y and all modalities are jointly Gaussian.
        remark: what the equations of its structure leave out, in one line.
        is_standard: whether modalities standardised by "whiten" are N(0, I); not so under an intervention that is
            standardised by the law without it. own: the law that is, the same otherwise.
        missing: modality → the probability that a row lacks it, of those that may lack it. whole: the law of rows that
            lack nothing, the same otherwise.
    """

    kind: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    """Its own fields in JSON, besides kind and shapes."""
    summary: ClassVar[str]
    shapes: Mapping[str, Shape]
    structure: CausalStructure | None = None
    matrix: Array | None = None
    target_shape: Shape = ()
    target_type: DTypeLike = np.float64
    decomposes: bool = True
    is_gaussian: bool = True
    remark: str = ""
    is_standard: bool = True
    missing: Mapping[str, float] = MappingProxyType({})

    def chance_of(self, names: Iterable[str]) -> float:
        """P(a row has all of these modalities)."""
        return math.prod(1.0 - self.missing.get(name, 0.0) for name in names)

    @property
    def whole(self) -> Law:
        """The same law, of rows that lack no modality."""
        return self

    @property
    def own(self) -> Law:
        """The same law, whitened by itself."""
        return self

    @property
    def observed(self) -> Law:
        """The law without the intervention; the same where there is none."""
        return self

    def shift_divergence(self, blocks: tuple[str, ...]) -> float:
        """KL(do ‖ observed) of modalities in nats. Raises NotExactError where the law is of no intervention."""
        raise NotExactError("the model is of no intervention, so that there is nothing that it moved away from")

    @classmethod
    @abstractmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> Self:
        """The law that `write` wrote. Raises InvalidModelError where the fields describe none."""

    @abstractmethod
    def write(self) -> dict[str, Any]:
        """The values of `fields`, as JSON has them, every float exactly."""

    @abstractmethod
    def content(self) -> Iterable[bytes]:
        """What makes it the law that it is, besides its shapes: bytes for the digest, the same for equal laws."""

    @abstractmethod
    def sampler(self, kind: str) -> Sampler:
        """The map from the normal numbers of rows to their latents, standardised as `kind` says."""

    @abstractmethod
    def standardizer(self, name: str, kind: str) -> Standardizer:
        """The standardiser of one modality; kind is none, rms or whiten."""

    @abstractmethod
    def form(self, query: Query) -> Form:
        """The query in the form in which it is computed. Raises InfiniteInformationError where it is infinite."""

    @abstractmethod
    def posterior(self, blocks: tuple[str, ...]) -> Posterior:
        """The law of the target given modalities."""

    def posterior_of_causes(self, blocks: tuple[str, ...]) -> CausesPosterior:
        """The law of the causes given modalities. Raises NotExactError where the law has no causes."""
        raise NotExactError(
            "a model of a matrix has no causes that a target could be made of; give eta, weights, mixing"
        )

    def sharpness(self, query: Query) -> float:
        """How fast the pointwise information changes at most with an error of a canonical variate of one block.

        The largest ρ/√(1 - ρ²), per standard deviation of the other block given it.
        """
        correlation = float(np.max(self.form(query).correlations(), initial=0.0))
        return correlation / math.sqrt(max(1.0 - correlation**2, float(np.finfo(np.float64).tiny)))

    def category(self, blocks: tuple[str, ...]) -> CategoryView:
        """What modalities tell of the category. Raises NotExactError where the law has none."""
        raise NotExactError("the model has no categorical cause that y could be made of; take another kind of target")

    def information_error(self, query: Query) -> float:
        """A bound of the numerical error of the query's information in nats, beyond rounding."""
        return 0.0

    @property
    @abstractmethod
    def target_variance(self) -> float:
        """Var(y)."""

    @abstractmethod
    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate c of a standardised latent, (d,), in nats."""

    def map_of_labels(self, name: str, kind: str, chances: Array) -> Array:
        """I(z_a[c]; label) likewise, of labels of the category with these probabilities given it, (C, L)."""
        raise NotExactError("the model has no categorical cause that y could be made of; take another kind of target")

    @abstractmethod
    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate c of two latents of one size, (d,), in nats."""

    @property
    @abstractmethod
    def moments(self) -> Moments:
        """Second moments that it declares, for tests of latents that were recovered from images."""

    @abstractmethod
    def check_rows(self) -> None:
        """Whether float64 rows carry what the law says of them.

        Raises:
            BeyondFloat64Error: the noise of a latent is below rounding beside its causes.
        """

    def of_shared_causes(self, first: str, second: str) -> tuple[Law, ...]:
        """Laws with a cause that two modalities share in the place of y, one for each such cause.

        The means of these targets given either modality are sufficient statistics of it for the other.

        Raises:
            InvalidQueryError: this law has no such finite set of numbers.
        """
        raise InvalidQueryError(
            f"the oracle of {first} and {second} needs a model of causes and templates, not one of a matrix; "
            "leave the oracles out or ask for pairs with y"
        )
