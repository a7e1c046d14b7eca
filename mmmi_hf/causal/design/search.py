"""What y induces, where wanted quantities leave I(x_i; y) open and no closed form settles it.

Owns the search for I(x_i; y) ≥ 0 with wanted I(x_S; y), and with what y must or may induce in pairs. Imports SciPy
inside the search, and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import product

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.closed_forms import induced_pair_information

Pair = tuple[int, int]
_ENOUGH = 1e-13
_MOST_STARTS = 32


def search_target(
    fixed: Mapping[int, float],
    joint: Mapping[tuple[int, ...], float],
    exactly: Mapping[Pair, float],
    at_most: Mapping[Pair, float],
    largest: float,
) -> dict[int, float]:
    """I(x_i; y), i in any key, that miss the wanted values least, in the sense of least squares of nats.

    Args:
        fixed: i → I(x_i; y).
        joint: S → I(x_S; y) = ½ ln[1 + Σ_S (e^{2 I_i} - 1)].
        exactly: (i, j) → what y induces in the pair. at_most: (i, j) → the most that it may.
        largest: what no other I(x_i; y) exceeds.
    """
    blocks = [set(key) for key in (*joint, *exactly, *at_most)]
    free = sorted(set().union(*blocks) - set(fixed))

    def known(point: Array) -> dict[int, float]:
        return {**fixed, **dict(zip(free, map(float, point), strict=True))}

    def misses(point: Array) -> Array:
        at = known(point)
        return np.array(
            [joint_information([at[i] for i in key]) - value for key, value in joint.items()]
            + [induced_pair_information(at[i], at[j]) - value for (i, j), value in exactly.items()]
            + [max(induced_pair_information(at[i], at[j]) - value, 0.0) for (i, j), value in at_most.items()]
        )

    best, least = np.zeros(len(free)), math.inf
    search = partial(scipy.optimize.least_squares, misses, bounds=(0.0, largest), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    for start in _starts(free, joint, exactly, largest):
        # "dogbox" reaches zeros exactly where they are the answer, "trf" is not held by those that are not
        for method in ("dogbox", "trf"):
            point = search(start, method=method).x
            miss = float(np.abs(misses(point)).max())
            if miss < least:
                best, least = point, miss
            if least <= _ENOUGH:
                return known(best)
    return known(best)


def joint_information(parts: list[float]) -> float:
    """I(x_S; y) = ½ ln[1 + Σ_S (e^{2 I_i} - 1)] of independent noise, in nats."""
    return 0.5 * math.log1p(sum(math.expm1(2.0 * part) for part in parts))


def _starts(
    free: list[int], joint: Mapping[tuple[int, ...], float], exactly: Mapping[Pair, float], largest: float
) -> list[Array]:
    """Every block alike, then some louder than the others."""
    sizes = [value for value in (*joint.values(), *exactly.values()) if value > 0.0] or [1.0]
    high, low = min(max(sizes), 0.9 * largest), 0.1 * min(*sizes, largest)
    mixed = list(product((low, high), repeat=min(len(free), 6)))[1:_MOST_STARTS]
    padded = [np.array([*choice, *[low] * (len(free) - len(choice))]) for choice in mixed]
    return [np.full(len(free), math.sqrt(low * high)), *padded]
