"""A function of the Gaussian target: another margin, its square, its absolute value, its sine.

Owns the target; the functions are in `functions`. Imports NumPy, SciPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import Array, shown
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.latents import Normals
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.targets.fields import arguments_of
from mmmi_hf.causal.targets.functions import FUNCTIONS, ScalarFunction
from mmmi_hf.causal.targets.line import Line, LineTarget
from mmmi_hf.causal.targets.target import View


class Function(LineTarget):
    """y = g(u), u = the Gaussian target over its standard deviation.

    Args:
        name: of g. parameter: of g, where it has one.

    Raises:
        InvalidModelError: an unknown function or a parameter outside its range.
    """

    kind = "function"
    example = "function: {name: square}"

    def __init__(self, *, name: Any, **parameters: Any) -> None:
        if not isinstance(name, str) or name not in FUNCTIONS:
            raise InvalidModelError(f"name is {shown(name)}, expected a function: {', '.join(FUNCTIONS)}")
        known = FUNCTIONS[name].parameters
        self.function: ScalarFunction = FUNCTIONS[name](**arguments_of(f"function {name}", parameters, known))
        self.decomposes = self.function.monotone

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Function:
        """The target of its arguments."""
        if "name" not in fields:
            raise InvalidModelError(f"target function lacks name, one of {', '.join(FUNCTIONS)}")
        return cls(**{str(key): value for key, value in fields.items()})

    def write(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"name": self.function.name, **{name: getattr(self.function, name) for name in self.function.parameters}}

    def equation(self, gaussian: str) -> str:
        """g of u."""
        own = ", ".join(f"{name} {getattr(self.function, name):g}" for name in self.function.parameters)
        return f"{self.function.name}{f' ({own})' if own else ''} of ({gaussian})/σ"

    def make(self, law: Law, normals: Normals, rows: Sequence[int], target: Array) -> Array:
        """g of every row."""
        return self.function.of(target / np.sqrt(law.target_variance))

    def seen(self, line: Line) -> FunctionView:
        """What is known of y through a line."""
        return FunctionView(self.function, line)

    def variance(self, law: Law) -> float:
        """Var(g)."""
        return self.function.variance

    def mean(self) -> float:
        """E[g]."""
        return float(self.function.mean(np.zeros(1), 1.0)[0])


class FunctionView(View):
    """What modalities tell of a function."""

    def __init__(self, function: ScalarFunction, line: Line) -> None:
        self._function, self._line = function, line

    def information(self) -> Exact:
        """I(x_S; g(u))."""
        return self._function.information(self._line.gaussian)

    def variance(self) -> Exact:
        """Of a monotone function that of the Gaussian number, ρ²."""
        return Exact(self._line.rho**2) if self._function.monotone else super().variance()

    def correlations(self) -> Array:
        """Of a monotone function those of the Gaussian number."""
        return np.array([self._line.rho]) if self._function.monotone else super().correlations()

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln p(y | x_S) - ln p(y)."""
        return self._function.pointwise(self._line.mean(values), self._line.sine, target)

    def r2_ceiling(self) -> Exact:
        """Var(E[g | x_S]) / Var(g)."""
        return self._function.r2_ceiling(self._line.rho)

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[g | x_S] of every row."""
        return self._function.mean(self._line.mean(values), self._line.sine)

    def residual_variance(self) -> Exact:
        """E Var(g | x_S)."""
        return (Exact(1.0) + self.r2_ceiling().times(-1.0)).times(self._function.variance)


KIND = Function
