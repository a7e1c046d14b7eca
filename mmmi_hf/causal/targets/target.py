"""The contract of a target: what y is made of, and what modalities tell of it.

Owns the abstract bases. A kind of target is a file in `kinds`, found by listing. Imports NumPy and this room only.

Everything about a function, or random function, of Gaussian numbers is an integral over their posterior given the
modalities, which a law knows. A view answers for one set of modalities; what it has no exact value of it refuses with
`NotExactError` and the reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import Law

TARGET_STREAM = 2**63
"""The stream of a row's numbers that belong to its target alone, as those of label noise."""


def causes_heard(law: Law, blocks: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which causes of the law have a weight in one of these modalities, (K,)."""
    if law.structure is None:
        raise ValueError("the law has no causes; a target that is made of causes checks it first")
    rows = [list(law.shapes).index(name) for name in blocks]
    return np.asarray(np.any(law.structure.weights[rows] != 0.0, axis=0))


class View(ABC):
    """What some modalities tell of the target. `values` are as in `Form.pointwise`."""

    @abstractmethod
    def information(self) -> Exact:
        """I(x_S; y) in nats."""

    @abstractmethod
    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln p(y | x_S) - ln p(y) of every row, (n,)."""

    def variance(self) -> Exact:
        """Variance of the pointwise information in nats²."""
        raise NotExactError("the variance of the pointwise information has no exact value for this target")

    def correlations(self) -> Array:
        """Where the pointwise information is that of jointly Gaussian blocks, their canonical correlations."""
        raise NotExactError("the pointwise information about this target is not that of Gaussian blocks")

    def pointwise_law(self) -> tuple[Array, Array]:
        """Weights and values, (n,) each, of a quadrature over the law of the pointwise information."""
        raise NotExactError("the law of the pointwise information about this target is not computed")

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(c | x_S) of every row and class, (n, classes)."""
        raise NotExactError("y has no classes, so that there is no posterior of them")

    def accuracy(self) -> Exact:
        """The share of rows that the best guess of the class gets right."""
        raise NotExactError("y has no classes, so that there is no Bayes accuracy; ask for r2_ceiling")

    def log_loss(self) -> Exact:
        """The least expected -ln p(c), in nats: H(c | x_S)."""
        raise NotExactError("y has no classes, so that there is no Bayes log loss; ask for r2_ceiling")

    def r2_ceiling(self) -> Exact:
        """The greatest R² of any predictor of y."""
        raise NotExactError("y is a class, no number, so that there is no R²; ask for bayes_accuracy")

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | x_S] of every row, (n,)."""
        raise NotExactError("y is no single number, so that it has no mean given modalities")

    def residual_variance(self) -> Exact:
        """E Var(y | x_S)."""
        raise NotExactError("y is no single number, so that it has no variance given modalities")


class Target(ABC):
    """What y is made of.

    Attributes:
        kind: its name in JSON and YAML. example: one in YAML.
        decomposes: whether the minimum-MI decomposition is exact for it.
        scale_free: whether it is the same function of the causes where one of them is scaled.
        shape, dtype: of y of one row. classes: how many there are; None where y is no class.
        names: of the classes, where they have names of their own. prior: p(class), (classes,).
    """

    kind: ClassVar[str]
    example: ClassVar[str]
    decomposes: bool = False
    scale_free: bool = False
    shape: Shape = ()
    dtype: DTypeLike = np.float64
    classes: int | None = None
    names: tuple[str, ...] | None = None
    prior: Array

    @property
    def made_of(self) -> tuple[int, ...] | None:
        """The causes that y is made of, from 0; None where it is made of the Gaussian y."""
        return None

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class, "class 0", … where none were given; empty where y is no class."""
        return self.names or tuple(f"class {label}" for label in range(self.classes or 0))

    @classmethod
    @abstractmethod
    def read(cls, fields: Mapping[str, Any]) -> Self:
        """The target of its arguments by name. Raises InvalidModelError where they describe none."""

    @abstractmethod
    def write(self) -> dict[str, Any]:
        """The arguments that `read` makes the same target of, as JSON has them."""

    @abstractmethod
    def equation(self, gaussian: str) -> str:
        """What y is, in one line; `gaussian` is the equation of the Gaussian y in the causes."""

    @abstractmethod
    def check(self, law: Law) -> None:
        """Whether a law has what the target is made of. Raises InvalidModelError and NotExactError."""

    @abstractmethod
    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """y of rows, (n, *shape), from the Gaussian y of the law, (n,), and from the normal numbers of the rows."""

    @abstractmethod
    def view(self, law: Law, blocks: tuple[str, ...]) -> View:
        """What modalities tell of y."""

    def class_prior(self, law: Law) -> Array:
        """p(class), (classes,)."""
        return self.prior

    def variance(self, law: Law) -> float:
        """Var(y)."""
        raise NotExactError("y is no single number, so that it has no variance")

    def mean(self) -> float:
        """E[y]."""
        raise NotExactError("y is no single number, so that it has no mean")

    def information_map(self, law: Law, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate c of a standardised latent of rows that lack nothing, (d,), in nats."""
        gaussian, places = np.unique(law.map_of_target(name, kind), return_inverse=True)
        return np.array([self.of_gaussian_information(float(value)) for value in gaussian])[places]

    def of_gaussian_information(self, value: float) -> float:
        """I(·; y) of something that is jointly Gaussian with the law's y and tells this much of it."""
        raise NotExactError(
            f"a target of kind {self.kind} depends on several causes, so that what one coordinate tells of it does not "
            "follow from what it tells of their sum; ask about whole modalities"
        )
