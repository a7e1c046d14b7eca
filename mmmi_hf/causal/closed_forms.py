"""Closed forms of one common cause: from a wanted information to a coefficient, and back.

Owns the formulae that stories and inverse design share. Imports the standard library and this room's errors only.
"""

from __future__ import annotations

import math

from mmmi_hf.causal.errors import InvalidModelError


def weight_for_target_information(mi: float, noise: float, norm: float) -> float:
    """ρ̃ with I(x; y) = mi for one cause: ρ̃ = ρ̂ sqrt(e^{2 mi} - 1) / ‖T‖; unique up to sign.

    Args:
        mi: wanted information in nats, finite and ≥ 0.
        noise: ρ̂, the mixing coefficient of the modality's own source.
        norm: ‖T‖, the Euclidean norm of the template.

    Raises:
        InvalidModelError: mi is negative, not finite, or above 170 nats, where float64 holds no noise beside the cause.
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
    return -0.5 * math.log1p(-math.expm1(-2.0 * _nats(first)) * math.expm1(-2.0 * _nats(second)))


def _nats(mi: float) -> float:
    try:
        value = float(mi)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 <= value <= 170.0:
        raise InvalidModelError(f"mi is {mi!r}, expected a finite number of nats, 0 ≤ mi ≤ 170")
    return value
