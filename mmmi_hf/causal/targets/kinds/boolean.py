"""A label that is any function of the signs of several causes, with or without noise of the label.

Owns the integrals over products of groups of causes. Imports NumPy and this room only.

p(label | x_S) = Σ over patterns of signs, a product over groups that are independent given the modalities. Information
is a quadrature over the posterior means of up to three groups that modalities tell of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import Array, read_whole, shown
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.integrals.divergence import divergence, entropy, of_posterior, second_moment
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.targets.best_guess import MOST_CAUSES as MOST_GUESSED
from mmmi_hf.causal.targets.best_guess import best_guess
from mmmi_hf.causal.targets.fields import arguments_of
from mmmi_hf.causal.targets.label_noise import draw_labels, labels_of, noise_in_words, read_names, read_noise
from mmmi_hf.causal.targets.signs import Group, Signs, check_causes, fine_rules, read_causes, signs_of_rows
from mmmi_hf.causal.targets.target import TARGET_STREAM, Target, View

MOST_CAUSES = 8
_FINENESS = {1: (9.0, 12.0), 2: (9.0, 12.0), 3: (5.0, 7.0)}
"""Of rules, coarse and fine, by how many groups there are."""


class Boolean(Target):
    """y = table[pattern]: the label of a pattern of signs.

    Args:
        causes: their numbers, from 0.
        table: 2^n labels from 0; the place of a pattern is the binary number of which causes are positive, the first
            cause counting most.
        flip: the probability that the label is one of the others, all alike. noise: p(label | label of the table).
        names: of the labels, in their order.

    Raises:
        InvalidModelError: arguments that define no label, or labels that never occur.
    """

    kind = "boolean"
    example = "boolean: {causes: [0, 1], table: [0, 1, 1, 2]}"
    dtype = np.int64
    scale_free = True

    def __init__(self, *, causes: Any, table: Any, flip: Any = None, noise: Any = None, names: Any = None) -> None:
        self.causes = read_causes(causes, MOST_CAUSES)
        count = 2 ** len(self.causes)
        if not isinstance(table, (list, tuple)) or len(table) != count:
            raise InvalidModelError(f"table is {shown(table)}, expected {count} labels, one for each pattern of signs")
        self.table = tuple(read_whole(f"table[{place}]", label, 0, count - 1) for place, label in enumerate(table))
        labels = max(self.table) + 1
        if labels < 2 or set(self.table) != set(range(labels)):
            raise InvalidModelError(f"table is {shown(table)}, expected two labels or more, none of 0 … left out")
        self.noise = read_noise(labels, flip, noise)
        chances = np.eye(labels)[list(self.table)]
        self.chances = chances if self.noise is None else chances @ self.noise
        """p(label | pattern), (2^n, labels)."""
        self.prior = self.chances.mean(axis=0)
        self.classes = len(self.prior)
        self.names = read_names(names, self.classes)

    @property
    def made_of(self) -> tuple[int, ...]:
        """The causes whose signs it takes."""
        return self.causes

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Boolean:
        """The target of its arguments."""
        known = ("causes", "table", "flip", "noise", "names")
        return cls(**arguments_of("boolean", fields, known, ("causes", "table"), example=cls.example))

    def write(self) -> dict[str, Any]:
        """Causes, table, noise and names."""
        noise = {} if self.noise is None else {"noise": self.noise.tolist()}
        names = {"names": list(self.names)} if self.names else {}
        return {"causes": list(self.causes), "table": list(self.table), **noise, **names}

    def equation(self, gaussian: str) -> str:
        """The table, and the noise of the label."""
        names = ", ".join(f"ũ{cause + 1}" for cause in self.causes)
        table = " ".join(map(str, self.table)) if len(self.table) <= 8 else f"{' '.join(map(str, self.table[:8]))} …"
        return f"[{table}] at the signs of {names} (- - … to + + …){noise_in_words(self.noise)}"

    def check(self, law: Law) -> None:
        """Whether the law has these causes."""
        check_causes(law, self.causes)

    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """The label of every row."""
        places = signs_of_rows(law, self.causes, normals, rows) @ (2 ** np.arange(len(self.causes))[::-1])
        labels = np.array(self.table)[places]
        if self.noise is None:
            return np.asarray(labels)
        own = np.empty((len(rows), 1))
        normals.fill(TARGET_STREAM, rows, own)
        return draw_labels(self.noise, labels, own[:, 0])

    def view(self, law: Law, blocks: tuple[str, ...]) -> BooleanView:
        """What modalities tell of y."""
        return BooleanView(self, Signs.of(law, blocks, self.causes))


class BooleanView(View):
    """What modalities tell of a label of signs."""

    def __init__(self, target: Boolean, signs: Signs) -> None:
        self._target, self._signs = target, signs
        order = [place for group in signs.groups for place in group.places]
        chances = target.chances.reshape((2,) * len(target.causes) + (-1,)).transpose(*order, len(order))
        chances = chances.reshape(*(2 ** len(group.places) for group in signs.groups), len(target.prior))
        self._tell: list[bool] = []
        """Whether modalities tell of a group on which the label depends, for every group."""
        for axis in reversed(range(len(signs.groups))):
            depends = bool(np.any(chances != chances.take([0], axis=axis)))
            self._tell.insert(0, depends and signs.groups[axis].heard)
            if not self._tell[0]:
                chances = chances.mean(axis=axis)
        self._groups = [group for group, tells in zip(signs.groups, self._tell, strict=True) if tells]
        self._chances = chances
        """p(label | patterns of those groups)."""

    def information(self) -> Exact:
        """E Σ p ln(p/P)."""
        return self._information

    def variance(self) -> Exact:
        """E Σ p ln²(p/P) - I²."""
        found = self._information
        return self._over(lambda p: second_moment(p, self._target.prior)) + Exact(
            -(found.value**2), 2.0 * found.value * found.error
        )

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln p(y | x_S) - ln p(y)."""
        labels = labels_of(target, len(self._target.prior))
        posterior = self.posterior(values)
        return np.asarray(np.log(posterior[np.arange(len(labels)), labels] / self._target.prior[labels]))

    def pointwise_law(self) -> tuple[Array, Array]:
        """Over the groups' posterior means and labels."""
        mass, chances = np.ones(1), self._chances[None]
        for other, patterns in fine_rules(self._groups):
            mass = np.multiply.outer(mass, other).ravel()
            chances = np.einsum("mp,np...->nm...", patterns, chances).reshape(len(mass), *chances.shape[2:])
        return of_posterior(mass, chances, self._target.prior)

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(label | x_S), (n, labels)."""
        patterns = self._signs.patterns(values)
        heard = [found for tells, found in zip(self._tell, patterns, strict=True) if tells]
        out = np.broadcast_to(self._chances, (len(patterns[0]), *self._chances.shape))
        for found in heard:
            out = np.einsum("np,np...->n...", found, out)
        return np.array(out)

    def accuracy(self) -> Exact:
        """E max p(label | x_S): exact over one cause, by quadrature over the others where there are two or three."""
        if not self._groups:
            return Exact(float(self._target.prior.max()))
        if len(self._groups) > MOST_GUESSED or any(len(group.places) > 1 for group in self._groups):
            raise NotExactError(
                "the Bayes accuracy of a label of signs is exact where modalities tell of at most three of its causes, "
                "each by itself; ask for bayes_log_loss"
            )
        return best_guess(self._groups, self._chances)

    def log_loss(self) -> Exact:
        """H(y) - I(x_S; y)."""
        return Exact(entropy(self._target.prior)) + self._information.times(-1.0)

    @cached_property
    def _information(self) -> Exact:
        return self._over(lambda p: divergence(p, self._target.prior))

    def _over(self, function: Callable[[Array], Array]) -> Exact:
        if len(self._groups) > max(_FINENESS):
            raise NotExactError(
                f"modalities tell of {len(self._groups)} groups of causes of this label, and quadrature reaches "
                "1e-6 up to three; a parity has no such limit"
            )
        if not self._groups:
            return Exact(0.0)
        coarse, fine = (
            _tensor(self._groups, self._chances, function, fineness) for fineness in _FINENESS[len(self._groups)]
        )
        return Exact(fine, abs(fine - coarse) + 1e-15)


def _tensor(groups: list[Group], chances: Array, function: Callable[[Array], Array], fineness: float) -> float:
    """E function(p) over the product of the groups' rules; chances as in `BooleanView`."""
    (mass, patterns), *others = [_kept(*group.rule(fineness)) for group in groups]
    total = []
    step = max(1, (1 << 18) // math.prod(len(weights) for weights, _ in others))
    for begin in range(0, len(mass), step):
        part = slice(begin, begin + step)
        weights, posterior = mass[part], np.tensordot(patterns[part], chances, 1)
        for other, seen in others:
            posterior = np.einsum("mp,np...->nm...", seen, posterior).reshape(-1, *posterior.shape[2:])
            weights = np.multiply.outer(weights, other).ravel()
        total.append(float(weights @ function(posterior)))
    return math.fsum(total)


def _kept(mass: Array, patterns: Array) -> tuple[Array, Array]:
    """A rule without the points that have no mass beside its error."""
    kept = mass > 1e-22
    return mass[kept], patterns[kept]


KIND = Boolean
