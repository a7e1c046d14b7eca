"""Inverse design: coefficients for a wanted information.

Owns the closed forms of one common cause. Imports the standard library and this room's errors only.
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


def _nats(mi: float) -> float:
    try:
        value = float(mi)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 <= value <= 170.0:
        raise InvalidModelError(f"mi is {mi!r}, expected a finite number of nats, 0 ≤ mi ≤ 170")
    return value
