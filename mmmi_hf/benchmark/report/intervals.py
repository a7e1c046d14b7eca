"""Intervals over seeds, each of which has rows of its own. Owns the rule and how they are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from mmmi_hf.benchmark.protocol.summary import digits

_MOST_PLACES = 6  # beyond which a number is 0 to the last bits of what it was made of


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
    """0.230 (0.197 … 0.263); of a bound that would read as 0 as many digits more as show its sign."""
    return f"{digits(interval['value'])} ({_bound(interval['low'])} … {_bound(interval['high'])})"


def _bound(number: float) -> str:
    places = next((each for each in range(3, _MOST_PLACES + 1) if float(f"{number:.{each}f}")), 3)
    return digits(number) if places == 3 else f"{number:.{places}f}".replace("-", "−")
