"""The category of a categorical cause, with or without noise of the label.

Owns the labels. Imports NumPy and this room only. Modalities tell of the label what they tell of the category, through
p(label | x_S) = Σ_c p(c | x_S) p(label | c). Where every modality tells the category for certain, all of I(x_S; y) =
H(y) - H(y | c) is redundant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import Array, read_whole
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.integrals.divergence import divergence, entropy, of_posterior, second_moment
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import CategoryView, Law
from mmmi_hf.causal.targets.fields import arguments_of
from mmmi_hf.causal.targets.label_noise import draw_labels, labels_of, noise_in_words, read_names, read_noise
from mmmi_hf.causal.targets.target import TARGET_STREAM, Target, View

_MOST = 50
_ALIKE = 1e-15


class Category(Target):
    """y is the label of the category.

    Args:
        categories: how many the cause has.
        flip: the probability that a label is one of the others, all alike. noise: p(label | category).
        names: of the labels, in their order.

    Raises:
        InvalidModelError: a number, noise or names that are none.
    """

    kind = "category"
    example = "category: {categories: 3}"
    dtype = np.int64

    def __init__(self, *, categories: Any, flip: Any = None, noise: Any = None, names: Any = None) -> None:
        self.categories = read_whole("categories", categories, 2, _MOST)
        self.noise = read_noise(self.categories, flip, noise)
        self.chances = np.eye(self.categories) if self.noise is None else self.noise
        """p(label | category)."""
        self.classes = self.chances.shape[1]
        self.names = read_names(names, self.classes)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Category:
        """The target of its arguments."""
        return cls(
            **arguments_of(
                "category", fields, ("categories", "flip", "noise", "names"), ("categories",), example=cls.example
            )
        )

    def write(self) -> dict[str, Any]:
        """How many categories, noise and names."""
        noise = {} if self.noise is None else {"noise": self.noise.tolist()}
        return {"categories": self.categories, **noise, **({"names": list(self.names)} if self.names else {})}

    def equation(self, gaussian: str) -> str:
        """The category, and the noise of the label."""
        return f"the category c, 0 … {self.categories - 1}{noise_in_words(self.noise)}"

    def check(self, law: Law) -> None:
        """Whether the law has a cause of so many categories."""
        found = len(law.category(tuple(law.shapes)).probabilities)
        if found != self.categories:
            raise InvalidModelError(f"categories is {self.categories}, but the cause has {found}; give {found}")

    def class_prior(self, law: Law) -> Array:
        """p(label)."""
        return np.asarray(law.category(tuple(law.shapes)).probabilities @ self.chances)

    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """The label of every row, from the law's y, which is the category's number less its mean."""
        probabilities = law.category(tuple(law.shapes)).probabilities
        numbers: Any = np.rint(target + float(probabilities @ np.arange(len(probabilities)))).astype(np.int64)
        if self.noise is None:
            return np.asarray(numbers)
        own = np.empty((len(rows), 1))
        normals.fill(TARGET_STREAM, rows, own)
        return draw_labels(self.noise, numbers, own[:, 0])

    def information_map(self, law: Law, name: str, kind: str) -> Array:
        """What single coordinates tell of the label."""
        return law.map_of_labels(name, kind, self.chances)

    def view(self, law: Law, blocks: tuple[str, ...]) -> LabelView:
        """What modalities tell of the label."""
        return LabelView(self, law.category(blocks))


class LabelView(View):
    """What modalities tell of the label of a category."""

    def __init__(self, target: Category, category: CategoryView) -> None:
        self._target, self._category = target, category
        self._prior = category.probabilities @ target.chances

    def information(self) -> Exact:
        """E Σ q ln(q/Q)."""
        return self._information

    def variance(self) -> Exact:
        """E Σ q ln²(q/Q) - I²."""
        found = self._information
        squares = self._category.expected(lambda p: second_moment(p @ self._target.chances, self._prior))
        return squares + Exact(-(found.value**2), 2.0 * found.value * found.error)

    def pointwise_law(self) -> tuple[Array, Array]:
        """Over the numbers along the templates and the labels."""
        mass, posterior = self._category.listed()
        return of_posterior(mass, posterior @ self._target.chances, self._prior)

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln p(y | x_S) - ln p(y)."""
        labels = labels_of(target, len(self._prior))
        return np.asarray(np.log(self.posterior(values)[np.arange(len(labels)), labels] / self._prior[labels]))

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(label | x_S), (n, labels)."""
        return np.asarray(self._category.posterior(values) @ self._target.chances)

    def accuracy(self) -> Exact:
        """E max q: exact without noise, and where the label is the category's with one probability, the others alike.

        Raises:
            NotExactError: other noise.
        """
        chances = self._target.chances
        kept, others = float(chances[0, 0]), float(chances[0, -1])
        alike = np.full(chances.shape, others)
        np.fill_diagonal(alike, kept)
        if chances.shape[0] != chances.shape[1] or kept < others or np.abs(chances - alike).max() > _ALIKE:
            raise NotExactError("the Bayes accuracy of a category is exact where all wrong labels are alike; give flip")
        return self._category.accuracy().times(kept - others) + Exact(others)

    def log_loss(self) -> Exact:
        """H(y) - I(x_S; y)."""
        return Exact(entropy(self._prior)) + self._information.times(-1.0)

    @cached_property
    def _information(self) -> Exact:
        return self._category.expected(lambda p: divergence(p @ self._target.chances, self._prior))


KIND = Category
