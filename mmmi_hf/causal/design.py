"""Inverse design: causal models with a wanted information.

Owns the functions that users call to get coefficients, templates and models from wanted values in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.closed_forms import (
    induced_pair_information,
    signal_for_pair_information,
    weight_for_target_information,
)
from mmmi_hf.causal.errors import InvalidModelError

__all__ = [
    "induced_pair_information",
    "orthonormal_templates",
    "signal_for_pair_information",
    "weight_for_target_information",
]

_DEPENDENT = 1e-8


def orthonormal_templates(patterns: Sequence[Array]) -> list[Array]:
    """The patterns made orthonormal in their order, by Gram-Schmidt done twice: the first keeps its form.

    Args:
        patterns: arrays of one shape.

    Raises:
        InvalidModelError: a pattern is a combination of those before it, or they differ in shape.
    """
    basis: list[Array] = []
    for place, pattern in enumerate(patterns):
        rest = np.array(pattern, dtype=np.float64)
        if basis and rest.shape != basis[0].shape:
            raise InvalidModelError(f"patterns[{place}] has shape {rest.shape}, expected {basis[0].shape} as the first")
        length = math.sqrt(float(np.sum(rest * rest)))
        for _ in range(2):
            for other in basis:
                rest = rest - float(np.sum(rest * other)) * other
        left = math.sqrt(float(np.sum(rest * rest)))
        if not left > _DEPENDENT * length:
            raise InvalidModelError(f"patterns[{place}] is a combination of those before it; leave it out")
        basis.append(rest / left)
    return basis
