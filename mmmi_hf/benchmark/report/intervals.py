"""Intervals over seeds, each of which has rows of its own. Owns the rule and how they are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from mmmi_hf.benchmark.protocol.summary import digits


def over_seeds(values: Sequence[float], error: float, within: Sequence[float] = ()) -> dict[str, float]:
    """The mean with Student's interval over seeds, never narrower than the test rows make it.

    Args:
        values: what was measured of every seed, at least two.
        error: chance that the interval misses.
        within: standard errors of the values over their test rows; none of differences on rows that may be the same.
    """
    count, mean = len(values), float(np.mean(values))
    spread = float(np.std(values, ddof=1)) / math.sqrt(count)
    deviation = max(spread, float(np.sqrt(np.sum(np.square(within)))) / count)
    reach = float(stdtrit(count - 1, 1.0 - error / 2)) * deviation
    return {"value": mean, "low": mean - reach, "high": mean + reach}


def written(interval: Mapping[str, float]) -> str:
    """0.230 (0.197 … 0.263)."""
    return f"{digits(interval['value'])} ({digits(interval['low'])} … {digits(interval['high'])})"
