"""Classes: c is the bin that the Gaussian target falls into, with or without noise of the label.

Owns their posterior p(k | t) = Φ((b_k - ρt)/√(1-ρ²)) - Φ((b_{k-1} - ρt)/√(1-ρ²)) and the integrals of it. Imports
NumPy, SciPy and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri

from mmmi_hf.causal.arguments import Array, read_numbers, read_whole, shown
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.integrals.divergence import divergence, entropy, of_posterior, second_moment
from mmmi_hf.causal.integrals.quadrature import Exact, breaks_around, expectation, integral, rule
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.targets.fields import arguments_of
from mmmi_hf.causal.targets.label_noise import draw_labels, labels_of, noise_in_words, read_names, read_noise
from mmmi_hf.causal.targets.line import Line, LineTarget
from mmmi_hf.causal.targets.target import TARGET_STREAM, View
from mmmi_hf.common.numbers import is_whole

MOST_CLASSES = 1000
RAREST = 1e-12
"""The least probability of a class."""
_HALVINGS, _TURNS = 60, 8
"""Of an interval in which the best guess changes, and changes that one may hold."""
_PARTS = 8
"""Of a panel, where the law of the pointwise information is listed."""


class Classes(LineTarget):
    """y is the number, from 0, of the bin of u = y / σ_y between ascending edges.

    Args:
        quantiles: a number of equally likely classes, or the ascending probabilities below the edges.
        edges: the edges, in standard deviations of the Gaussian target; give these or quantiles.
        flip: the probability that a label is one of the others, all alike.
        noise: (classes, labels), p(label | class); give this or flip.
        names: of the labels, in their order.

    Raises:
        InvalidModelError: arguments that define no classes of probability 1e-12 or more.
    """

    kind = "classes"
    example = "classes: {quantiles: 10}"
    dtype = np.int64

    def __init__(
        self, *, quantiles: Any = None, edges: Any = None, flip: Any = None, noise: Any = None, names: Any = None
    ) -> None:
        if (quantiles is None) == (edges is None):
            raise InvalidModelError("classes take quantiles or edges: give exactly one of them")
        self.edges = _from_quantiles(quantiles) if edges is None else _ascending("edges", edges)
        if len(self.edges) >= MOST_CLASSES:
            raise InvalidModelError(f"classes have {len(self.edges)} edges, expected at most {MOST_CLASSES - 1}")
        self.edges.flags.writeable = False
        self.noise = read_noise(len(self.edges) + 1, flip, noise)
        bins = _between(self.edges[None, :])[0]
        if bins.min() < RAREST:
            k = int(bins.argmin())
            raise InvalidModelError(f"class {k} has probability {bins[k]:.1e}, expected at least {RAREST}: move edges")
        self.prior = bins if self.noise is None else bins @ self.noise
        self.classes = len(self.prior)
        self.names = read_names(names, self.classes)

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Classes:
        """The target of its arguments."""
        return cls(
            **arguments_of("classes", fields, ("quantiles", "edges", "flip", "noise", "names"), example=cls.example)
        )

    def write(self) -> dict[str, Any]:
        """Edges, noise and names."""
        noise = {} if self.noise is None else {"noise": self.noise.tolist()}
        return {"edges": self.edges.tolist(), **noise, **({"names": list(self.names)} if self.names else {})}

    def equation(self, gaussian: str) -> str:
        """The bins, and the noise of the label."""
        few = [f"{edge:.4g}" for edge in self.edges[:3]] + (["…"] if len(self.edges) > 3 else [])
        return f"class of ({gaussian})/σ, edges {', '.join(few)}{noise_in_words(self.noise)}"

    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """The class of every row."""
        classes = np.searchsorted(self.edges, target / np.sqrt(law.target_variance), side="right")
        if self.noise is None:
            return np.asarray(classes)
        own = np.empty((len(rows), 1))
        normals.fill(TARGET_STREAM, rows, own)
        return draw_labels(self.noise, classes, own[:, 0])

    def seen(self, line: Line) -> ClassesView:
        """What is known of the class through a line."""
        return ClassesView(self, line)

    def probabilities(self, means: Array, sine: float) -> Array:
        """p(label | E[u | x_S], Sd[u | x_S]) of every row, (n, labels)."""
        bins = _between((self.edges - means[:, None]) / sine)
        return bins if self.noise is None else bins @ self.noise

    def log_probabilities(self, means: Array, sine: float) -> Array:
        """ln of these, also far below the smallest float."""
        bins = _log_between((self.edges - means[:, None]) / sine)
        if self.noise is None:
            return bins
        return np.asarray(logsumexp(bins[:, :, None], axis=1, b=self.noise))


class ClassesView(View):
    """What modalities tell of a class."""

    def __init__(self, target: Classes, line: Line) -> None:
        self._target, self._line = target, line

    def information(self) -> Exact:
        """I(x_S; c) = E Σ_k p(k | T) ln(p(k | T) / P(k))."""
        return self._information

    def variance(self) -> Exact:
        """E Σ_k p ln²(p/P) - I²."""
        second = self._over(lambda p: second_moment(p, self._target.prior))
        return second + Exact(-(self._information.value**2), 2.0 * self._information.value * self._information.error)

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln p(c | x_S) - ln P(c)."""
        classes = labels_of(target, len(self._target.prior))
        logs = self._target.log_probabilities(self._line.mean(values), self._line.sine)
        return np.asarray(logs[np.arange(len(classes)), classes] - np.log(self._target.prior)[classes])

    def pointwise_law(self) -> tuple[Array, Array]:
        """Over T and the classes."""
        rho, sine = self._line.rho, self._line.sine
        t, mass = rule(self._target.edges / rho if rho > 0.1 else (), min(1.0, sine / max(rho, sine)), _PARTS)
        return of_posterior(mass, self._target.probabilities(rho * t, sine), self._target.prior)

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(c | x_S), (n, classes)."""
        return self._target.probabilities(self._line.mean(values), self._line.sine)

    def accuracy(self) -> Exact:
        """E max_k p(k | T)."""
        if self._line.gaussian == 0.0:
            return Exact(float(self._target.prior.max()))
        rho, sine = self._line.rho, self._line.sine

        def best(t: Array) -> Array:
            chances = self._target.probabilities(rho * t, sine).max(axis=1)
            return np.asarray(chances * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi))

        points = self._target.edges / rho if rho > 0.1 else ()
        return integral(best, [*breaks_around(points, sine / rho), *self._kinks()])

    def log_loss(self) -> Exact:
        """H(c) - I(x_S; c)."""
        return Exact(entropy(self._target.prior)) + self._information.times(-1.0)

    def _kinks(self) -> Array:
        """Where in T another class becomes the best guess, ascending.

        Panels must end there: a kink between the end of a panel and its last node is seen by no rule.
        """
        rho, sine = self._line.rho, self._line.sine
        points = self._target.edges / rho if rho > 0.1 else ()
        t, _ = rule(points, min(1.0, sine / max(rho, sine)), 2)
        guess = self._guess(t)
        turns = np.flatnonzero(guess[1:] != guess[:-1])
        low, high, last = t[turns], t[turns + 1], guess[turns + 1]
        found = [np.zeros(0)]
        for _ in range(_TURNS):
            if not len(low):
                break
            end, first = high, self._guess(low)
            for _ in range(_HALVINGS):
                middle = 0.5 * (low + high)
                same = self._guess(middle) == first
                low, high = np.where(same, middle, low), np.where(same, high, middle)
            found.append(high)
            more = self._guess(high) != last
            low, high, last = high[more], end[more], last[more]
        return np.sort(np.concatenate(found))

    def _guess(self, t: Array) -> Any:
        """The class that is likeliest at each of (n,) points."""
        return self._target.probabilities(self._line.rho * t, self._line.sine).argmax(axis=1)

    @cached_property
    def _information(self) -> Exact:
        if self._line.gaussian == 0.0:
            return Exact(0.0)
        return self._over(lambda p: divergence(p, self._target.prior))

    def _over(self, function: Any) -> Exact:
        if self._line.gaussian == 0.0:
            return Exact(float(function(self._target.prior[None])[0]))
        rho, sine = self._line.rho, self._line.sine
        return expectation(
            lambda t: function(self._target.probabilities(rho * t, sine)),
            self._target.edges / rho if rho > 0.1 else (),
            sine / rho,
        )


def _from_quantiles(quantiles: Any) -> Array:
    if is_whole(quantiles):
        count = read_whole("quantiles", quantiles, 2, MOST_CLASSES)
        places = np.arange(1, count) / count
        edges = ndtri(places)
        edges[places == 0.5] = 0.0
        return np.asarray(edges)
    places = _ascending("quantiles", quantiles, "a number of classes, or ascending probabilities between 0 and 1")
    if places[0] <= 0.0 or places[-1] >= 1.0:
        raise InvalidModelError(f"quantiles is {shown(quantiles)}, expected probabilities between 0 and 1")
    return np.asarray(ndtri(places))


def _ascending(name: str, values: Any, expected: str = "ascending numbers, one less than classes") -> Array:
    array = read_numbers(name, values, expected)
    if array.ndim != 1 or not len(array) or not np.all(np.isfinite(array)) or np.any(np.diff(array) <= 0.0):
        raise InvalidModelError(f"{name} is {shown(values)}, expected {expected}")
    return array


def _between(edges: Array) -> Array:
    """Φ(b_k) - Φ(b_{k-1}) over (n, K - 1) edges, (n, K), of the smaller tails."""
    outside = np.full((len(edges), 1), np.inf)
    low, high = np.concatenate([-outside, edges], axis=1), np.concatenate([edges, outside], axis=1)
    turned = low > 0.0
    return np.asarray(ndtr(np.where(turned, -low, high)) - ndtr(np.where(turned, -high, low)))


def _log_between(edges: Array) -> Array:
    outside = np.full((len(edges), 1), np.inf)
    low, high = np.concatenate([-outside, edges], axis=1), np.concatenate([edges, outside], axis=1)
    turned = low > 0.0
    more, less = log_ndtr(np.where(turned, -low, high)), log_ndtr(np.where(turned, -high, low))
    return np.asarray(more + np.log(-np.expm1(less - more)))


KIND = Classes
