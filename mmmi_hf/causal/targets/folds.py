"""Functions that fold the line: several u give one y, and what of u they keep.

Owns the quadratures of |u| and of sin(ω u), and pointwise information through sums over all u that give one y. Imports
NumPy, SciPy and this room only. u ~ N(0, 1), and u ~ N(m, s²) given the modalities, m ~ N(0, ρ²), ρ² + s² = 1.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import k0e, logsumexp

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact, integral

_REACH = 9.0
_FINEST = 1 << 16
_POINTS_AT_ONCE = 1 << 18
_FEW_WRAPS = 1.5
"""Above this standard deviation a wrapped normal density is a short Fourier sum."""


def normal_pointwise(means: Array, sine: float, u: Array) -> Array:
    """ln N(u; m, s²) - ln N(u; 0, 1) of every row."""
    scaled = (u - means) / sine
    return np.asarray(0.5 * (u * u - scaled * scaled) - math.log(sine))


def absolute_pointwise(means: Array, sine: float, size: Array) -> Array:
    """ln p(|u| | m) - ln p(|u|) of every row."""
    both = np.logaddexp(normal_pointwise(means, sine, size), normal_pointwise(means, sine, -size))
    return np.asarray(both - math.log(2.0))


def absolute_information(gaussian: float) -> Exact:
    """I(m; |u|) = I(m; u) - E ln(1 + tanh(ρ w)) with w = u m / (ρ s²), whose density is (s/π) e^{ρ w} K₀(|w|).

    The two signs of w together leave (2s/π) ∫ K₀(w) [cosh(ρw) ln cosh(ρw) - ρw sinh(ρw)] dw over w > 0.
    """
    if gaussian == 0.0:
        return Exact(0.0)
    rho, sine = math.sqrt(-math.expm1(-2.0 * gaussian)), math.exp(-gaussian)
    rest = sine * sine / (1.0 + rho)  # 1 - ρ

    def folded(x: Array) -> Array:
        """e^{-x} [cosh x ln cosh x - x sinh x]."""
        twice = np.exp(-2.0 * x)
        return np.asarray(0.5 * (1.0 + twice) * (np.log1p(twice) - math.log(2.0)) + x * twice)

    def integrand(log: Array) -> Array:
        w = np.exp(log)
        return np.asarray(2.0 * sine / math.pi * w * k0e(w) * np.exp(-rest * w) * folded(rho * w))

    last = math.log(750.0 / rest)
    return Exact(gaussian) + integral(integrand, np.linspace(-45.0, last, 8 + int(last)))


def sine_pointwise(means: Array, sine: float, y: Array, frequency: float) -> Array:
    """ln p(sin(ωu) = y | m) - ln p(y) of every row: sums over all u with this sine."""
    angle = np.arcsin(y)[:, None]
    wraps = 2.0 * math.pi * np.arange(-_wraps(frequency), _wraps(frequency) + 1)
    u = np.concatenate([angle + wraps, math.pi - angle + wraps], axis=1) / frequency
    scaled = (u - means[:, None]) / sine
    above = logsumexp(-0.5 * scaled * scaled, axis=1) - math.log(sine)
    return np.asarray(above - logsumexp(-0.5 * u * u, axis=1))


def sine_information(gaussian: float, frequency: float) -> Exact:
    """I(m; sin(ωu)) by the trapezoid rule in m and in (u - m)/s, at two resolutions.

    With the wrapped normal density W of standard deviation ωs, and W₁ with ω, the angle α = ωu has the folded densities
    W(ωsε) + W(π - 2ωm - ωsε) given m, and W₁(α) + W₁(π - α).

    Raises:
        NotExactError: u is known so well that more than 65,536 points in m would be needed.
    """
    if gaussian == 0.0:
        return Exact(0.0)
    rho, sine = math.sqrt(-math.expm1(-2.0 * gaussian)), math.exp(-gaussian)
    coarse, fine = (_sine_information(rho, sine, frequency, points) for points in (9.0, 13.0))
    return Exact(fine, abs(fine - coarse) + 2e-15)


def _sine_information(rho: float, sine: float, frequency: float, points: float) -> float:
    scale = min(1.0, 1.0 / (frequency * sine)) / points
    inner, inner_mass = _normal_grid(scale)
    outer, outer_mass = _normal_grid(min(1.0 / points, sine / rho * scale))
    narrow, wide = frequency * sine, frequency
    near = _wrapped(narrow * inner, narrow)
    known = []
    step = max(1, _POINTS_AT_ONCE // len(inner))
    for begin in range(0, len(outer), step):
        rows = slice(begin, begin + step)
        far = math.pi - 2.0 * frequency * rho * outer[rows, None] - narrow * inner
        known.append(float(outer_mass[rows] @ (np.log(near + _wrapped(far, narrow)) @ inner_mass)))
    plain, plain_mass = _normal_grid(min(1.0, 1.0 / frequency) / points)
    angle = frequency * plain
    unknown = float(np.log(_wrapped(angle, wide) + _wrapped(math.pi - angle, wide)) @ plain_mass)
    return math.fsum(known) - unknown


def _normal_grid(step: float) -> tuple[Array, Array]:
    """Points and weights of E f(t), t ~ N(0, 1)."""
    count = int(_REACH / step) + 1
    if count > _FINEST:
        raise NotExactError(f"quadrature over {2 * count} points is refused: the modalities tell too much; lower it")
    t = np.asarray(step * np.arange(-count, count + 1), dtype=np.float64)
    return t, step * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)


def _wrapped(angles: Array, deviation: float) -> Array:
    """The density of a normal angle, up to the constant 1/√(2π)."""
    if deviation > _FEW_WRAPS:
        total = np.ones_like(angles)
        for n in range(1, int(_REACH / deviation) + 1):
            total += 2.0 * math.exp(-0.5 * (n * deviation) ** 2) * np.cos(n * angles)
        return np.asarray(total / math.sqrt(2.0 * math.pi))
    inside = angles - 2.0 * math.pi * np.round(angles / (2.0 * math.pi))
    total = np.zeros_like(inside)
    most = 0 if deviation < 0.3 else 1 if deviation < 1.0 else 2
    for k in range(-most, most + 1):
        scaled = (inside + 2.0 * math.pi * k) / deviation
        total += np.exp(-0.5 * scaled * scaled)
    return np.asarray(total / deviation)


def _wraps(frequency: float) -> int:
    """So many turns either way hold every u that is not absurd."""
    return 2 + int(40.0 * frequency / (2.0 * math.pi))
