"""Inverse design where no closed form exists: one parameter of a story for one wanted quantity.

Owns the search: the quantity is evaluated over the whole range of the parameter, local extrema are refined, and every
root between neighbouring points is bracketed and found by Brent's method. A quantity that is not monotone has several
roots; all are reported, and which one was taken. Imports SciPy and this room only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal import stories
from mmmi_hf.causal.arguments import read_finite, shown
from mmmi_hf.causal.canonical import EPSILON
from mmmi_hf.causal.design.results import TOLERANCE, Design, checked
from mmmi_hf.causal.errors import InfeasibleError, InfiniteInformationError, InvalidModelError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities import read
from mmmi_hf.causal.quantities.quantity import Quantity
from mmmi_hf.common.numbers import is_whole

DECAYS = ("alpha", "beta")
COEFFICIENTS = (
    *DECAYS, "rho_tilde", "rho_hat", "rho_tilde_1", "rho_tilde_2", "rho_hat_1", "rho_hat_2", "eta_1", "eta_2"
)  # fmt: skip
_LARGEST = 1e72  # a coefficient this large beside noise of size 1 is 170 nats


def solve(
    story: str,
    shape: Any,
    wanted: Mapping[str, float],
    *,
    parameter: str,
    within: tuple[float, float] | None = None,
    root: int = 0,
    **fixed: Any,
) -> Design:
    """A story with one parameter chosen so that one quantity has the wanted value.

    Args:
        story: common_cause, two_telescopes, decaying_modalities or template_ablation.
        shape: as the story takes it.
        wanted: one quantity → value; any that `Quantity` reads: I(x1,x3;y), I(x1;x2|x3), TC(x1,x2,y), …
        parameter: alpha, beta, rho_tilde, rho_hat, rho_tilde_1, … of that story.
        within: the range of the parameter; by default decays of at least 1 (infinity included: nothing is left after
            the first step), other coefficients of at least 0.
        root: which solution where there are several, counted from 0 in ascending order of the parameter.
        fixed: the story's other arguments.

    Raises:
        InfeasibleError: no value of the parameter has it, with the nearest that one has.
        InvalidModelError: something that is no such request.

    >>> found = solve("decaying_modalities", (1, 8, 8), {"I(x5;y)": 0.5}, parameter="beta", alpha=1.4)
    >>> round(found.model.mutual_information("x5", "y"), 9)
    0.5
    """
    search = _Search.read(story, shape, wanted, parameter, within, fixed)
    points = search.points()
    roots = search.roots(points)
    if not roots:
        raise search.refusal(points)
    if not is_whole(root, 0) or root >= len(roots):
        raise InvalidModelError(
            f"root is {shown(root)}, expected 0 … {len(roots) - 1}: {len(roots)} solution(s) were found"
        )
    values = [{parameter: value} for value in roots]
    arguments = {**fixed, parameter: roots[root]}
    plain = isinstance(shape, (list, tuple)) and all(isinstance(v, (bool, int, float, str)) for v in fixed.values())
    return checked(
        search.model(roots[root]),
        f"{story} with {parameter} solved for",
        search.wanted,
        choices=search.choices(roots, root, points),
        parameters=values[root],
        others=[value for i, value in enumerate(values) if i != root],
        spec={"story": story, "shape": _listed(shape), **arguments} if plain else None,
    )


@dataclass(frozen=True)
class _Point:
    """One evaluation: the search coordinate, and the quantity (infinite, or NaN where it cannot be computed)."""

    at: float
    value: float


@dataclass(frozen=True)
class _Search:
    """The search along a coordinate: t = 1 / parameter for decays, so that infinity is a point, else the parameter."""

    build: Callable[[float], CausalModel]
    quantity: Quantity
    parameter: str
    name: str
    value: float
    low: float
    high: float

    @classmethod
    def read(
        cls, story: str, shape: Any, wanted: Mapping[str, float], parameter: str, within: Any, fixed: dict[str, Any]
    ) -> _Search:
        if story not in stories.__all__:
            raise InvalidModelError(f"story is {shown(story)}, expected one of {', '.join(stories.__all__)}")
        function = getattr(stories, story)
        known = inspect.signature(function).parameters
        free = [name for name in COEFFICIENTS if name in known]
        if parameter not in free:
            raise InvalidModelError(f"parameter is {shown(parameter)}, expected one of {', '.join(free)} for {story}")
        if len(wanted) != 1:
            raise InvalidModelError(f"wanted has {len(wanted)} quantities, expected one for one parameter")
        for name in fixed:
            if name not in known or name in (parameter, "shape"):
                raise InvalidModelError(f"{name} is no further argument of {story}; it takes {', '.join(known)}")
        ((name, value),) = wanted.items()
        number = read_finite(f"the wanted {name}", value)
        low, high = _range(parameter, within)
        return cls(
            lambda at: function(shape, **fixed, **{parameter: at}),
            read(name),
            parameter,
            name,
            number,
            low,
            high,
        )

    @property
    def wanted(self) -> dict[str, float]:
        return {self.name: self.value}

    def parameter_at(self, at: float) -> float:
        """The parameter of a search coordinate."""
        if self.parameter not in DECAYS:
            return at
        return math.inf if at == 0.0 else 1.0 / at

    def model(self, parameter: float) -> CausalModel:
        return self.build(parameter)

    def evaluate(self, at: float) -> float:
        """The quantity at a search coordinate. Raises InvalidModelError where the story has no model."""
        try:
            return self.quantity.of(self.build(self.parameter_at(at)))
        except InfiniteInformationError:
            return math.inf
        except ArithmeticError:
            return math.nan

    def points(self) -> list[_Point]:
        """The quantity over the range, local extrema included, in ascending order of the coordinate."""
        points, refused = [], None
        for at in self._grid():
            try:
                value = self.evaluate(at)
            except InvalidModelError as error:
                refused = error
                continue
            if not math.isnan(value):
                points.append(_Point(at, value))
        if not points:
            raise refused or ArithmeticError(f"{self.name} cannot be computed for any {self.parameter} in its range")
        return sorted([*points, *self._extrema(points)], key=lambda point: point.at)

    def _grid(self) -> list[float]:
        if self.parameter in DECAYS:
            low = 0.0 if self.high == math.inf else 1.0 / self.high
            high = 1.0 / self.low if self.low > 0.0 else 1e6
            near = np.logspace(-8, -2, 25)
            grid = [np.logspace(-12, -2, 41), np.linspace(0.01, 0.99, 197), 1.0 - near, np.ones(1), 1.0 + near]
            grid.append(np.logspace(math.log10(1.01), 6, 121))
        else:
            low, high = self.low, self.high if self.high < math.inf else _LARGEST
            grid = [np.logspace(-8, 8, 257), np.logspace(8, math.log10(_LARGEST), 65)]
        inside = {float(at) for part in grid for at in part if low < at < high}
        return sorted(inside | {low, high})

    def _extrema(self, points: list[_Point]) -> list[_Point]:
        found = []
        for left, middle, right in zip(points, points[1:], points[2:], strict=False):
            if not (math.isfinite(left.value) and math.isfinite(middle.value) and math.isfinite(right.value)):
                continue
            rise, fall = middle.value - left.value, middle.value - right.value
            noise = 64.0 * EPSILON * max(1.0, abs(middle.value))
            if rise * fall <= 0.0 or min(abs(rise), abs(fall)) <= noise:
                continue
            sign = 1.0 if rise > 0.0 else -1.0
            point = self._turning_point(sign, left.at, right.at)
            if sign * (point.value - middle.value) > 0.0:
                found.append(point)
        return found

    def _turning_point(self, sign: float, low: float, high: float) -> _Point:
        best = scipy.optimize.minimize_scalar(
            lambda at: -sign * self.evaluate(at), bounds=(low, high), method="bounded", options={"xatol": 1e-12 * high}
        )
        return _Point(float(best.x), self.evaluate(float(best.x)))

    def roots(self, points: Sequence[_Point]) -> list[float]:
        """Parameters at which the quantity has the wanted value, ascending."""
        exact = [point for point in points if point.value == self.value]
        if len(exact) == len(points) or self._constant(points):
            return [self.parameter_at(points[-1].at)] if self._near(points[-1].value) else []
        coordinates = [point.at for point in exact]
        for left, right in pairwise(points):
            if (left.value < self.value < right.value) or (right.value < self.value < left.value):
                at = self._root_between(left.at, right.at)
                if abs(self.evaluate(at) - self.value) <= TOLERANCE * max(1.0, abs(self.value)):  # else it jumps
                    coordinates.append(at)
        if not coordinates:
            best = min(points, key=lambda point: abs(point.value - self.value))
            coordinates = [best.at] if self._near(best.value) else []
        ascending = sorted(coordinates)
        apart = (
            [ascending[0], *(at for before, at in pairwise(ascending) if not self._flat(before, at))]
            if ascending
            else []
        )
        return sorted(self.parameter_at(at) for at in apart)

    def _root_between(self, low: float, high: float) -> float:
        def bounded(at: float) -> float:
            excess = self.evaluate(at) - self.value
            return 1.0 if excess == math.inf else excess / (1.0 + abs(excess))

        return float(scipy.optimize.brentq(bounded, low, high, xtol=1e-300, rtol=4.0 * EPSILON, maxiter=500))

    def _flat(self, low: float, high: float) -> bool:
        """Whether two roots belong to one level stretch, along which only rounding moves the quantity."""
        between = self.evaluate(0.5 * (low + high))
        return low == high or abs(between - self.value) <= 1e-12 * max(1.0, abs(self.value))

    def _constant(self, points: Sequence[_Point]) -> bool:
        values = [point.value for point in points]
        return max(values) - min(values) <= TOLERANCE / 4

    def _near(self, value: float) -> bool:
        return abs(value - self.value) <= TOLERANCE / 4 * max(1.0, abs(self.value))

    def refusal(self, points: Sequence[_Point]) -> InfeasibleError:
        """Why there is no root, with the nearest value of the range."""
        finite = [point for point in points if math.isfinite(point.value)]
        if not finite:
            raise InvalidModelError(f"{self.name} is infinite for every {self.parameter} in its range; change the rest")
        least = min(abs(point.value - self.value) for point in finite)
        level = [
            point for point in finite if abs(point.value - self.value) <= least + 1e-12 * max(1.0, abs(point.value))
        ]
        best = level[-1] if self._constant(points) else level[0]
        grows = best.value < self.value and any(point.value == math.inf for point in points)
        reason = (
            f"it does not depend on {self.parameter}"
            if self._constant(points)
            else "it leaves float64 before it is that large"
            if grows
            else f"with {self.parameter} between {self.low:g} and {self.high:g} it lies "
            f"{'above' if best.value > self.value else 'below'} that"
        )
        return InfeasibleError(
            f"{self.name} cannot be {self.value:g}: {reason}; the nearest value of this story is {best.value!r}, "
            f"with {self.parameter} = {self.parameter_at(best.at)!r}",
            self.wanted,
            {self.name: best.value},
        )

    def choices(self, roots: Sequence[float], root: int, points: Sequence[_Point]) -> list[str]:
        """Which root was taken, and where it was looked for."""
        looked = f"{self.parameter} was looked for between {self.low:g} and {self.high:g}"
        if self._constant(points):
            return [f"{self.name} does not depend on {self.parameter}: one of its range was taken", looked]
        if len(roots) == 1:
            return [f"{self.parameter} = {roots[0]:.12g} is the only solution found", looked]
        listed = ", ".join(f"{value:.12g}" for value in roots)
        return [f"{self.name} is not monotone in {self.parameter}: root {root} of {len(roots)} ({listed})", looked]


def _range(parameter: str, within: Any) -> tuple[float, float]:
    least = 1.0 if parameter in DECAYS else 0.0
    if within is None:
        return least, math.inf
    try:
        low, high = (float(end) for end in within)
    except (TypeError, ValueError):
        low = high = math.nan
    if not 0.0 <= low < high:
        raise InvalidModelError(f"within is {shown(within)}, expected two numbers, 0 ≤ low < high")
    return low, high


def _listed(shape: Any) -> list[Any]:
    return [list(each) if isinstance(each, (list, tuple)) else each for each in shape]
