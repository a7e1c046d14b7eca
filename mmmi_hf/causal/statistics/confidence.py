"""One-sided confidence limits for means of skewed numbers.

Owns `upper_limit` and the jackknife. NumPy and SciPy only; knows nothing of information.

The limit is that of Hall (1992), "On the removal of skewness by transformation": the studentised mean of n numbers with
skewness γ becomes nearly normal under g(t) = t + γ t²/(3√n) + γ² t³/(27n) + γ/(6√n), whose inverse is explicit. It is
made more cautious than the original in three ways, each for what a small sample does not show: quantiles are Student's,
a positive sample skewness is taken 1.3 times (it is biased low) and a negative one as zero, and half of the error
probability is kept in reserve. `tests/causal/statistics/test_bounds.py` simulates what that yields.

No such limit sees what the sample does not contain: see `unseen_share`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidQueryError

SKEWNESS_FACTOR = 1.3
RESERVE = 0.5
FEWEST = 8


def upper_limit(values: Any, error: float) -> Array:
    """A number that the mean of the law of `values` exceeds with probability of about `error` at most.

    Args:
        values: (…, n) independent draws, n ≥ 8; every leading index is a sample of its own.
        error: one-sided error probability, in (0, 0.5).

    Returns:
        (…,) limits; the common value of a sample whose values are all equal.

    Raises:
        InvalidQueryError: fewer than 8 values, values that are not finite, or another error probability.
    """
    x = np.asarray(values, dtype=np.float64)
    if not 0.0 < error < 0.5:
        raise InvalidQueryError(f"error is {error!r}, expected a probability between 0 and 0.5")
    if x.ndim == 0 or x.shape[-1] < FEWEST:
        raise InvalidQueryError(f"values have shape {x.shape}, expected at least {FEWEST} along the last axis")
    if not np.isfinite(x).all():
        raise InvalidQueryError("values must be finite, got NaN or infinity; count a failed row as a failure instead")
    n = x.shape[-1]
    mean = x.mean(axis=-1)
    deviation = x - mean[..., None]
    variance = np.square(deviation).mean(axis=-1)
    third = (deviation**3).mean(axis=-1)
    spread = np.where(variance > 0.0, variance, 1.0)
    skewness = SKEWNESS_FACTOR * np.maximum(third, 0.0) / spread**1.5
    quantile = float(scipy.stats.t.isf(RESERVE * error, n - 1))
    studentised = _hall_inverse(skewness, quantile, n)
    return np.asarray(mean + studentised * np.sqrt(variance / (n - 1)))


def _hall_inverse(skewness: Array, quantile: float, n: int) -> Array:
    """The t > 0 with g(-t) = -quantile."""
    root = np.sqrt(n)
    skewed = skewness > 1e-6
    gamma = np.where(skewed, skewness, 1.0)
    solved = 3.0 * root / gamma * (1.0 - np.cbrt(1.0 - gamma * (quantile / root + gamma / (6.0 * n))))
    return np.where(skewed, solved, quantile)


def pseudo_values(whole: Array, without: Array) -> Array:
    """Jackknife pseudo-values n T - (n - 1) T₋ᵣ of a statistic: their mean is T without its bias of order 1/n.

    Args:
        whole: (…,), T of all n rows.
        without: (…, n), T without row r.
    """
    n = without.shape[-1]
    return np.asarray(n * np.asarray(whole)[..., None] - (n - 1) * without)


def unseen_share(n: int, error: float) -> float:
    """The largest share of bad rows of which a sample of n shows none with probability `error` or more.

    1 - error^(1/n): 6.9 % for 64 rows and 1 %.
    """
    return float(-np.expm1(np.log(error) / n))
