"""Inverse design of two modalities by a second cause of opposite sign: synergy on demand.

Owns the closed forms of z_1 = (a_1 ũ_1 + b_1 ũ_2) 1 + û_1, z_2 = (a_2 ũ_1 - b_2 ũ_2) 1 + û_2 with y = ũ_1, where the
second cause is equally loud in both, t = b_i √d_i. Imports this room only.

With k_i = e^{2 I(x_i;y)} - 1, g = √(k_1 k_2), h = √((1 + k_1)(1 + k_2)) and u = 1 + t² ≥ 1:

    a_i² d_i = k_i u,    ρ(x_1, x_2) = (g - τ) / h with τ = 1 - 1/u < 1,    e^{2 I(x_1,x_2;y)} - 1 =
    u [u (k_1 + k_2) + 2 (u - 1) g] / (2 u - 1).

So the modalities share less than y induces (down to ρ = (g - 1) / h, not reached; nothing at all where g < 1), and
know more of y together than by themselves, without end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mmmi_hf.causal.arguments import Shape
from mmmi_hf.causal.closed_forms import induced_pair_information
from mmmi_hf.causal.design.requests import Wanted
from mmmi_hf.causal.design.results import TOLERANCE, Design, checked
from mmmi_hf.causal.model import CausalModel

OPPOSED = "a second cause of opposite sign"
_PAIR = (0, 1)
_LEAST_LEFT = 1e-12
"""Of 1 - τ: nearer to the end of the family the second cause drowns the rest in float64."""


def opposed(shapes: Sequence[Shape], request: Wanted) -> Design | None:
    """The design of two modalities, of which I(x1;y), I(x2;y) and either I(x1;x2) or I(x1,x2;y) are wanted.

    None where something else is wanted, or where this family has no such values either.
    """
    alone = [request.target.get((i,)) for i in _PAIR]
    joint, pair = request.target.get(_PAIR), request.pairs.get(_PAIR)
    if request.modalities != 2 or request.given_target or (joint is None) == (pair is None):
        return None
    if alone[0] is None or alone[1] is None:
        return None
    informations = (alone[0], alone[1])
    loudness = _from_pair(informations, pair) if pair is not None else _from_joint(informations, joint or 0.0)
    if loudness is None:
        return None
    weights = np.array(
        [
            [math.sqrt(math.expm1(2.0 * nats) * loudness / size), sign * math.sqrt((loudness - 1.0) / size)]
            for nats, size, sign in zip(informations, map(math.prod, shapes), (1.0, -1.0), strict=True)
        ]
    )
    spec = {
        "eta": [1.0, 0.0],
        "weights": weights.tolist(),
        "mixing": np.eye(2).tolist(),
        "shape": list(shapes[0]) if shapes[0] == shapes[1] else [list(shape) for shape in shapes],
    }
    model = CausalModel(spec["eta"], weights, np.eye(2), shape=list(shapes))
    choices = [
        "a second cause, which y does not know, is equally loud in both modalities with opposite sign: they share less "
        "than y induces and know more of y together",
        "the first cause is homogeneous with positive sign, and the noise of every modality is independent with "
        "variance 1",
    ]
    parameters = {"u": loudness}
    try:
        return checked(model, OPPOSED, request.wanted, choices=choices, parameters=parameters, spec=spec)
    except ArithmeticError:  # nearer to the end of the family than float64 reaches
        return None


def _from_pair(informations: tuple[float, float], value: float) -> float | None:
    """u with I(x1;x2) = value, less than y induces."""
    first, second = (math.expm1(2.0 * nats) for nats in informations)
    if value >= induced_pair_information(*informations):
        return None
    correlation = math.sqrt(-math.expm1(-2.0 * value))
    left = 1.0 - (math.sqrt(first * second) - correlation * math.sqrt((1.0 + first) * (1.0 + second)))
    return 1.0 / left if _LEAST_LEFT < left <= 1.0 else None


def _from_joint(informations: tuple[float, float], value: float) -> float | None:
    """u with I(x1,x2;y) = value, more than without the second cause: the larger root of a quadratic equation."""
    first, second = (math.expm1(2.0 * nats) for nats in informations)
    wanted, product = math.expm1(2.0 * value), math.sqrt(first * second)
    most = first + second + 2.0 * product
    if wanted <= (first + second) * (1.0 + TOLERANCE) or most == 0.0:
        return None
    half = (product + wanted) / most
    return half + math.sqrt(half * half - wanted / most)
