"""Closed forms of one common cause: from a wanted information to a coefficient, and back.

Owns the formulae that stories and inverse design share. Imports the standard library
and this room only.
"""

from __future__ import annotations

import math

from mmmi_hf.causal.arguments import read_number, shown
from mmmi_hf.causal.errors import InvalidModelError

MOST_NATS = 170.0
"""The largest information of one cause: beyond it float64 holds no noise beside the cause."""
_EXPECTED = f"a finite number of nats, 0 ≤ mi ≤ {MOST_NATS:g}"


def weight_for_target_information(mi: float, noise: float, norm: float) -> float:
    """ρ̃ with I(x; y) = mi for one cause: ρ̃ = ρ̂ sqrt(e^{2 mi} - 1) / ‖T‖; unique up to sign.

    Args:
        mi: wanted information in nats, finite and ≥ 0.
        noise: ρ̂, the mixing coefficient of the modality's own source.
        norm: ‖T‖, the Euclidean norm of the template.

    Raises:
        InvalidModelError: mi is negative, not finite, or above `MOST_NATS`.
    """
    return abs(noise) * math.sqrt(math.expm1(2.0 * _nats(mi))) / norm


def signal_for_pair_information(mi: float) -> float:
    """s = ‖ρ̃ T‖² / ρ̂² of two alike modalities with I(x1; x2) = mi: (E - 1) + sqrt(E (E - 1)), E = e^{2 mi}.

    Raises:
        InvalidModelError: as in `weight_for_target_information`.
    """
    excess = math.expm1(2.0 * _nats(mi))
    return excess + math.sqrt(excess * (1.0 + excess))


def induced_pair_information(first: float, second: float) -> float:
    """I(x1; x2) = -½ ln[1 - (1 - e^{-2 I_1}) (1 - e^{-2 I_2})], what I_1 = I(x1; y) and I_2 = I(x2; y) induce.

    With one common cause it is the information that the modalities share; with more, the least that they can share.

    Raises:
        InvalidModelError: as in `weight_for_target_information`.
    """
    less, more = sorted((_nats(first), _nats(second)))
    product = math.expm1(-2.0 * less) * math.expm1(-2.0 * more)
    if product < 0.5:
        return -0.5 * math.log1p(-product)
    return less - 0.5 * math.log1p(-math.expm1(-2.0 * less) * math.exp(-2.0 * (more - less)))


def _nats(mi: float) -> float:
    value = read_number("mi", mi, _EXPECTED)
    if not 0.0 <= value <= MOST_NATS:
        raise InvalidModelError(f"mi is {shown(mi)}, expected {_EXPECTED}")
    return value
