"""Parity: whether an odd number of causes is positive, the XOR of their signs.

Owns the law of the product of the groups' expectations. Imports NumPy, SciPy and this room only.

With A = E[Π_i s_i | x_S], s_i = ±1, p(y | x_S) = ½ (1 ± A) and I = E g(A), g(A) = ½ [(1+A) ln(1+A) + (1-A) ln(1-A)]. A
is a product over independent groups. Its law is followed one group at a time: E g as a function of what the groups
before have left of A, on Chebyshev nodes in v = -ln(1 - A²), where it is smooth up to |A| = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.divergence import of_posterior
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.targets.fields import arguments_of
from mmmi_hf.causal.targets.label_noise import draw_labels, labels_of, noise_in_words, read_noise
from mmmi_hf.causal.targets.signs import Group, Signs, check_causes, fine_rules, read_causes, signs_of_rows
from mmmi_hf.causal.targets.target import TARGET_STREAM, Target, View

MOST_CAUSES = 16
_PANELS = (0.0, 0.3, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)
_ODD = {1: np.array([0.0, 1.0]), 2: np.array([0.0, 1.0, 1.0, 0.0])}

State = tuple[Array, Array]
"""A² and 1 - A², each to full precision where it is small."""


class Parity(Target):
    """y is 1 where an odd number of the causes is positive, else 0.

    Args:
        causes: their numbers, from 0. flip: the probability that y is the other.

    Raises:
        InvalidModelError: causes that are none, or no probability.
    """

    kind = "parity"
    example = "parity: {causes: [0, 1]}"
    dtype = np.int64
    scale_free = True
    classes = 2
    prior = np.array([0.5, 0.5])
    names = ("even", "odd")

    def __init__(self, *, causes: Any, flip: Any = None) -> None:
        self.causes = read_causes(causes, MOST_CAUSES)
        self.noise = read_noise(2, flip, None)
        self.gain = 1.0 if self.noise is None else float(self.noise[0, 0] - self.noise[0, 1])
        """How much of the product's expectation the noise of the label leaves."""

    @property
    def made_of(self) -> tuple[int, ...]:
        """The causes whose signs it takes."""
        return self.causes

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Parity:
        """The target of its arguments."""
        return cls(**arguments_of("parity", fields, ("causes", "flip"), ("causes",), example=cls.example))

    def write(self) -> dict[str, Any]:
        """Causes and noise."""
        flip = {} if self.noise is None else {"flip": float(self.noise[0, 1])}
        return {"causes": list(self.causes), **flip}

    def equation(self, gaussian: str) -> str:
        """The signs, and the noise of the label."""
        names = ", ".join(f"ũ{cause + 1}" for cause in self.causes)
        return f"1 where an odd number of {names} is positive, else 0{noise_in_words(self.noise)}"

    def check(self, law: Law) -> None:
        """Whether the law has these causes."""
        check_causes(law, self.causes)

    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """y of every row."""
        classes = np.asarray(signs_of_rows(law, self.causes, normals, rows).sum(axis=1) % 2)
        if self.noise is None:
            return classes
        own = np.empty((len(rows), 1))
        normals.fill(TARGET_STREAM, rows, own)
        return draw_labels(self.noise, classes, own[:, 0])

    def view(self, law: Law, blocks: tuple[str, ...]) -> ParityView:
        """What modalities tell of y."""
        return ParityView(self, Signs.of(law, blocks, self.causes))


class ParityView(View):
    """What modalities tell of a parity."""

    def __init__(self, target: Parity, signs: Signs) -> None:
        self._target, self._signs = target, signs

    def information(self) -> Exact:
        """E g(A)."""
        return self._information

    def variance(self) -> Exact:
        """E Σ_± ½ (1 ± A) ln²(1 ± A) - I²."""
        found = self._information
        return self._expected(_squares) + Exact(-(found.value**2), 2.0 * found.value * found.error)

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln 2 p(y | x_S)."""
        labels = labels_of(target, 2)
        chances = self.posterior(values)[np.arange(len(labels)), labels]
        return np.asarray(np.log(2.0 * np.maximum(chances, np.finfo(np.float64).tiny)))

    def pointwise_law(self) -> tuple[Array, Array]:
        """Over the groups' posterior means and y; it is that of A and of -A."""
        groups, gain = self._signs.groups, self._target.gain
        if gain == 0.0 or not all(group.heard for group in groups):
            return np.ones(1), np.zeros(1)
        mass, product = np.ones(1), np.full(1, gain)
        for group_mass, patterns in fine_rules(groups, folded=True):
            odd = patterns @ _ODD[int(math.log2(patterns.shape[1]))]
            product = np.multiply.outer(product, 1.0 - 2.0 * odd).ravel()
            mass = np.multiply.outer(mass, group_mass).ravel()
        chances = 0.5 * np.stack([1.0 + product, 1.0 - product], axis=1)
        return of_posterior(mass, np.maximum(chances, 0.0), self._target.prior)

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(y | x_S), (n, 2), also where one of them is tiny: sums of products, no differences."""
        patterns = self._signs.patterns(values)
        found = np.full((len(patterns[0]), 2), 0.5)
        if all(group.heard for group in self._signs.groups):
            found[:] = 1.0, 0.0
            for group, seen in zip(self._signs.groups, patterns, strict=True):
                odd = _ODD[len(group.places)]
                same, other = (seen @ which for which in (1.0 - odd, odd))
                even = found[:, 0] * same + found[:, 1] * other
                found = np.stack([even, found[:, 0] * other + found[:, 1] * same], axis=1)
        return found if self._target.noise is None else np.asarray(found @ self._target.noise)

    def accuracy(self) -> Exact:
        """½ + ½ E|A|, E|A| = Π (2/π) arcsin ρ_i."""
        product = 1.0
        for group in self._signs.groups:
            if len(group.places) > 1 and group.heard:
                raise NotExactError("modalities mix two causes of the parity, of which the Bayes accuracy is not exact")
            product *= 2.0 / math.pi * math.atan2(group.rho, float(group.sines[0])) if group.heard else 0.0
        return Exact(0.5 + 0.5 * abs(self._target.gain) * product)

    def log_loss(self) -> Exact:
        """ln 2 - I(x_S; y)."""
        return Exact(math.log(2.0)) + self._information.times(-1.0)

    @cached_property
    def _information(self) -> Exact:
        return self._expected(_information)

    def _expected(self, final: Callable[[State], Array]) -> Exact:
        """E of a function of A, with the difference of two resolutions as its error."""
        if self._target.gain == 0.0 or not all(group.heard for group in self._signs.groups):
            return Exact(0.0)
        coarse, fine = (
            _follow(self._signs.groups, self._target.gain, final, *sizes) for sizes in ((9.0, 18), (12.0, 24))
        )
        return Exact(fine, abs(fine - coarse) + 1e-15)


def _follow(
    groups: tuple[Group, ...], gain: float, final: Callable[[State], Array], fineness: float, degree: int
) -> float:
    rules = [_squared(group, fineness) for group in groups]
    left: State = (np.array([gain**2]), np.array([(1.0 - gain) * (1.0 + gain)]))
    function = final
    for mass, state in rules[:-1]:
        function = _averaged(function, mass, state, degree)
    mass, state = rules[-1]
    return math.fsum(mass * function(_product(state, left)))


def _squared(group: Group, fineness: float) -> tuple[Array, State]:
    """The law of A² of one group: weights and values."""
    mass, patterns = group.rule(fineness)
    odd = patterns @ _ODD[len(group.places)]
    even = patterns @ (1.0 - _ODD[len(group.places)])
    kept = mass > 0.0
    return mass[kept], (np.square(odd - even)[kept], (4.0 * odd * even)[kept])


def _product(one: State, other: State) -> State:
    return one[0] * other[0], one[1] + one[0] * other[1]


def _averaged(function: Callable[[State], Array], mass: Array, state: State, degree: int) -> Callable[[State], Array]:
    """State → E function(state · group), as a piecewise polynomial times A²."""
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    pieces = []
    for low, high in pairwise(_PANELS):
        v = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        values = [
            math.fsum(mass * function(_product(state, (np.array([-math.expm1(-x)]), np.array([math.exp(-x)])))))
            / -math.expm1(-x)
            for x in v
        ]
        pieces.append(chebyshev.chebfit(nodes, values, degree))

    def averaged(left: State) -> Array:
        square, rest = np.broadcast_arrays(*left)
        with np.errstate(divide="ignore"):
            v = np.where(square < 0.5, -np.log1p(-np.minimum(square, 0.5)), -np.log(rest))
        v = np.minimum(v, _PANELS[-1])
        out = np.empty_like(v)
        which = np.clip(np.searchsorted(_PANELS, v, side="right") - 1, 0, len(pieces) - 1)
        for place, piece in enumerate(pieces):
            here = which == place
            low, high = _PANELS[place], _PANELS[place + 1]
            out[here] = chebyshev.chebval((2.0 * v[here] - low - high) / (high - low), piece)
        return np.asarray(out * square)

    return averaged


def _information(state: State) -> Array:
    """g(A) of A² and 1 - A², also where either is tiny."""
    square, rest = state
    a = np.sqrt(square)
    small = square < 1e-3
    s = np.where(small, square, 0.0)
    series = s * (1 / 2 + s * (1 / 12 + s * (1 / 30 + s * (1 / 56 + s * (1 / 90 + s / 132)))))
    below = np.maximum(rest / (1.0 + a), np.finfo(np.float64).tiny)
    return np.where(small, series, 0.5 * ((1.0 + a) * np.log1p(a) + below * np.log(below)))


def _squares(state: State) -> Array:
    """½ Σ_± (1 ± A) ln²(1 ± A) of A² and 1 - A²."""
    square, rest = state
    a = np.sqrt(square)
    below = np.maximum(rest / (1.0 + a), np.finfo(np.float64).tiny)
    logs = np.where(a < 0.5, np.log1p(-np.minimum(a, 0.5)), np.log(below))
    return np.asarray(0.5 * ((1.0 + a) * np.log1p(a) ** 2 + below * logs**2))


KIND = Parity
