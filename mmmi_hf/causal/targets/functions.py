"""Functions of a standard normal number u of which everything about them is known given u ~ N(m, s²).

Owns the functions and their closed forms; quadratures of those that fold the line are in `folds`. Imports NumPy, SciPy
and this room only.

Monotone functions change no information: only the margin of y. R² ceilings are Cov(g(u), g(u')) / Var(g) of two
numbers with correlation ρ².
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp, stdtr, stdtrit

from mmmi_hf.causal.arguments import Array, read_positive
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.integrals.quadrature import REACH, Exact, expectation
from mmmi_hf.causal.targets import folds

_FARTHEST = 30.0
_STEP = 0.2
_FEWEST_WITH_MEANS = 3.0
"""Degrees of freedom of a Student number."""


class ScalarFunction(ABC):
    """g(u), u ~ N(0, 1).

    Attributes:
        name: in JSON and YAML. parameters: names of its parameters, which are attributes.
        monotone: whether u follows from g(u). variance: Var(g).
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = ()
    monotone: ClassVar[bool] = True
    variance: float

    @abstractmethod
    def of(self, u: Array) -> Array:
        """g(u), (n,)."""

    @abstractmethod
    def information(self, gaussian: float) -> Exact:
        """I(·; g(u)) of something jointly Gaussian with u that tells `gaussian` nats of u."""

    @abstractmethod
    def pointwise(self, means: Array, sine: float, target: Array) -> Array:
        """ln p(y | u ~ N(m, s²)) - ln p(y) of every row, (n,)."""

    @abstractmethod
    def mean(self, means: Array, sine: float) -> Array:
        """E[g(u) | u ~ N(m, s²)] of every row, (n,)."""

    @abstractmethod
    def r2_ceiling(self, rho: float) -> Exact:
        """Var(E[g | T]) / Var(g)."""


class Monotone(ScalarFunction):
    """A margin that y is given; information stays what it is."""

    @abstractmethod
    def inverse(self, y: Array) -> Array:
        """u, (n,)."""

    def information(self, gaussian: float) -> Exact:
        """Unchanged."""
        return Exact(gaussian)

    def pointwise(self, means: Array, sine: float, target: Array) -> Array:
        """Of u."""
        return folds.normal_pointwise(means, sine, self.inverse(target))


class Uniform(Monotone):
    """Φ(u), uniform on (0, 1)."""

    name, variance = "uniform", 1.0 / 12.0

    def of(self, u: Array) -> Array:
        """Φ(u)."""
        return np.asarray(ndtr(u))

    def inverse(self, y: Array) -> Array:
        """Φ⁻¹(y)."""
        return np.asarray(ndtri(y))

    def mean(self, means: Array, sine: float) -> Array:
        """Φ(m / √(1 + s²))."""
        return np.asarray(ndtr(means / math.hypot(1.0, sine)))

    def r2_ceiling(self, rho: float) -> Exact:
        """(6/π) arcsin(ρ²/2)."""
        return Exact(6.0 / math.pi * math.asin(0.5 * rho * rho))


class LogNormal(Monotone):
    """exp(sigma · u)."""

    name, parameters = "log_normal", ("sigma",)

    def __init__(self, sigma: Any = 1.0) -> None:
        self.sigma = read_positive("sigma", sigma)
        if self.sigma > 10.0:
            raise InvalidModelError(f"sigma is {self.sigma}, expected at most 10")
        self.variance = math.expm1(self.sigma**2) * math.exp(self.sigma**2)

    def of(self, u: Array) -> Array:
        """exp(sigma u)."""
        return np.asarray(np.exp(self.sigma * u))

    def inverse(self, y: Array) -> Array:
        """ln(y) / sigma."""
        return np.asarray(np.log(y) / self.sigma)

    def mean(self, means: Array, sine: float) -> Array:
        """exp(sigma m + sigma² s² / 2)."""
        return np.asarray(np.exp(self.sigma * means + 0.5 * (self.sigma * sine) ** 2))

    def r2_ceiling(self, rho: float) -> Exact:
        """(e^{σ²ρ²} - 1) / (e^{σ²} - 1)."""
        return Exact(math.expm1((self.sigma * rho) ** 2) / math.expm1(self.sigma**2))


class Tabled(Monotone):
    """A margin whose conditional means are sums over a fine grid, exact to rounding for these smooth functions."""

    center: float

    def mean(self, means: Array, sine: float) -> Array:
        """E g(m + s ε) by the trapezoid rule."""
        grid = _STEP * np.arange(-int(REACH / _STEP), int(REACH / _STEP) + 1)
        weights = _STEP * np.exp(-0.5 * grid * grid) / math.sqrt(2.0 * math.pi)
        out = np.empty(len(means))
        for begin in range(0, len(means), 256):
            rows = slice(begin, begin + 256)
            points = np.clip(means[rows, None] + sine * grid, -_FARTHEST, _FARTHEST)
            out[rows] = (self.of(points) * weights).sum(axis=1)
        return out

    def r2_ceiling(self, rho: float) -> Exact:
        """E (E[g | T] - E g)² / Var(g)."""
        if rho == 0.0:
            return Exact(0.0)
        sine = math.sqrt((1.0 - rho) * (1.0 + rho))
        found = expectation(lambda t: (self.mean(rho * t, sine) - self.center) ** 2)
        return found.times(1.0 / self.variance) + Exact(0.0, self.tail(rho))

    def tail(self, rho: float) -> float:
        """A bound of what lies beyond the reach of the quadrature."""
        return 0.0


class Exponential(Tabled):
    """-ln Φ(-u), exponential with mean 1."""

    name, variance, center = "exponential", 1.0, 1.0

    def of(self, u: Array) -> Array:
        """-ln Φ(-u)."""
        return np.asarray(-log_ndtr(-u))

    def inverse(self, y: Array) -> Array:
        """-Φ⁻¹(e^{-y})."""
        return np.asarray(-ndtri_exp(-y))


class Student(Tabled):
    """Student's t with dof degrees of freedom, 2.1 … 1000.

    Below 3 its information is known and its conditional means are not: too much of them lies beyond any quadrature.
    """

    name, parameters, center = "student", ("dof",), 0.0

    def __init__(self, dof: Any = 5.0) -> None:
        self.dof = read_positive("dof", dof)
        if not 2.1 <= self.dof <= 1e3:
            raise InvalidModelError(f"dof is {self.dof}, expected 2.1 … 1000")
        self.variance = self.dof / (self.dof - 2.0)

    def of(self, u: Array) -> Array:
        """F⁻¹(Φ(u)), by the smaller tail."""
        return np.asarray(np.copysign(stdtrit(self.dof, ndtr(-np.abs(u))), u))

    def inverse(self, y: Array) -> Array:
        """Φ⁻¹(F(y)), by the smaller tail."""
        return np.asarray(np.copysign(ndtri(stdtr(self.dof, -np.abs(y))), y))

    def mean(self, means: Array, sine: float) -> Array:
        """E g(m + s ε). Raises NotExactError below 3 degrees of freedom."""
        if self.dof < _FEWEST_WITH_MEANS:
            raise NotExactError(
                f"means and R² of Student numbers are computed from {_FEWEST_WITH_MEANS:g} degrees of freedom on, this "
                f"target has {self.dof:g}; ask for information"
            )
        return super().mean(means, sine)

    def tail(self, rho: float) -> float:
        """exp(t²(1/dof - 1/2)) at the reach."""
        return math.exp(-(REACH**2) * (0.5 - 1.0 / self.dof))


class Square(ScalarFunction):
    """u²."""

    name, monotone, variance = "square", False, 2.0

    def of(self, u: Array) -> Array:
        """u²."""
        return u * u

    def information(self, gaussian: float) -> Exact:
        """Of |u|."""
        return folds.absolute_information(gaussian)

    def pointwise(self, means: Array, sine: float, target: Array) -> Array:
        """Of |u|."""
        return folds.absolute_pointwise(means, sine, np.sqrt(target))

    def mean(self, means: Array, sine: float) -> Array:
        """m² + s²."""
        return means * means + sine * sine

    def r2_ceiling(self, rho: float) -> Exact:
        """ρ⁴."""
        return Exact(rho**4)


class Absolute(ScalarFunction):
    """|u|."""

    name, monotone, variance = "absolute", False, 1.0 - 2.0 / math.pi

    def of(self, u: Array) -> Array:
        """|u|."""
        return np.abs(u)

    def information(self, gaussian: float) -> Exact:
        """One-dimensional quadrature."""
        return folds.absolute_information(gaussian)

    def pointwise(self, means: Array, sine: float, target: Array) -> Array:
        """Of |u|."""
        return folds.absolute_pointwise(means, sine, target)

    def mean(self, means: Array, sine: float) -> Array:
        """Of the folded normal law."""
        score = means / sine
        return np.asarray(
            sine * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * score * score) + means * (ndtr(score) - ndtr(-score))
        )

    def r2_ceiling(self, rho: float) -> Exact:
        """(√(1 - r²) + r arcsin r - 1) / (π/2 - 1), r = ρ²."""
        r = rho * rho
        # √(1 - r²) - 1 without cancellation
        return Exact((r * math.asin(r) - r * r / (1.0 + math.sqrt((1.0 - r) * (1.0 + r)))) / (0.5 * math.pi - 1.0))


class Sine(ScalarFunction):
    """sin(frequency · u)."""

    name, parameters, monotone = "sine", ("frequency",), False

    def __init__(self, frequency: Any = 1.0) -> None:
        self.frequency = read_positive("frequency", frequency)
        if not 0.1 <= self.frequency <= 10.0:
            raise InvalidModelError(f"frequency is {self.frequency}, expected 0.1 … 10")
        self.variance = -0.5 * math.expm1(-2.0 * self.frequency**2)

    def of(self, u: Array) -> Array:
        """sin(frequency u)."""
        return np.asarray(np.sin(self.frequency * u))

    def information(self, gaussian: float) -> Exact:
        """Two-dimensional quadrature."""
        return folds.sine_information(gaussian, self.frequency)

    def pointwise(self, means: Array, sine: float, target: Array) -> Array:
        """Sums over all u with this sine."""
        return folds.sine_pointwise(means, sine, target, self.frequency)

    def mean(self, means: Array, sine: float) -> Array:
        """e^{-ω²s²/2} sin(ω m)."""
        return np.asarray(math.exp(-0.5 * (self.frequency * sine) ** 2) * np.sin(self.frequency * means))

    def r2_ceiling(self, rho: float) -> Exact:
        """sinh(ω²ρ²) / sinh(ω²)."""
        whole = self.frequency**2
        part = whole * rho * rho
        return Exact(math.exp(part - whole) * math.expm1(-2.0 * part) / math.expm1(-2.0 * whole))


FUNCTIONS: dict[str, type[ScalarFunction]] = {
    function.name: function for function in (Uniform, LogNormal, Exponential, Student, Square, Absolute, Sine)
}
"""Name to function: a new one is a class here."""
