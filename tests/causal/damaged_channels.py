"""Rows of which some are damaged by a rule, with the true information of the mixture by quadrature.

One canonical pair of unit normals (a, b) with correlation ρ: the target and its decoder, or two modalities. A rule says
with what probability a row is damaged, given both; a damage says what becomes of it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mmmi_hf.causal.statistics.tails import correlation, upper_quantile

GRID = np.linspace(-7.5, 7.5, 1001)
STEP = GRID[1] - GRID[0]
NORMAL = stats.norm.pdf(GRID)


def pointwise(a, b, information):
    rho = correlation(information)
    return information + (rho * a * b - 0.5 * rho**2 * (a * a + b * b)) / (1.0 - rho**2)


RULES = {
    "anywhere": lambda a, b, information, share: np.full(np.broadcast(a, b).shape, share),
    "largest a": lambda a, b, information, share: (a > stats.norm.isf(share)) + 0.0 * b,
    "extremes of b": lambda a, b, information, share: (np.abs(b) > stats.norm.isf(share / 2)) + 0.0 * a,
    "largest information": lambda a, b, information, share: (
        pointwise(a, b, information) > information + correlation(information) * upper_quantile(share)
    ).astype(float),
}
"""Name → probability of damage given (a, b); the mean is `share`."""


@dataclass(frozen=True)
class Damage:
    """What a rule does.

    what: "noise": b becomes a fresh normal; "flip": b becomes -b; "erase": b is marked as missing; "noise in both";
        "swap": the damaged rows exchange their b.
    """

    rule: str
    what: str

    def probability(self, a, b, information, share):
        return RULES[self.rule](a, b, information, share)

    def information(self, information, share):
        """True information of what is stored, nats."""
        a, b = GRID[:, None], GRID[None, :]
        joint = np.exp(pointwise(a, b, information)) * NORMAL[:, None] * NORMAL * STEP * STEP
        joint /= joint.sum()
        bad = joint * self.probability(a, b, information, share)
        stored = joint - bad
        if self.what == "noise":
            stored = stored + np.multiply.outer(bad.sum(axis=1), NORMAL * STEP)
        elif self.what == "flip":
            stored = stored + bad[:, ::-1]
        elif self.what == "erase":
            stored = np.concatenate([stored, bad.sum(axis=1, keepdims=True)], axis=1)
        elif self.what == "noise in both":
            stored = stored + bad.sum() * np.multiply.outer(NORMAL, NORMAL) * STEP * STEP
        elif self.what == "swap":
            stored = stored + np.multiply.outer(bad.sum(axis=1), bad.sum(axis=0)) / bad.sum()
        return _information(stored)

    def apply(self, a, b, information, share, generator):
        """(stored a, stored b, which rows are damaged); missing is NaN, and rows are exchanged along the last axis."""
        bad = generator.random(a.shape) < self.probability(a, b, information, share)
        first = np.where(bad, generator.standard_normal(a.shape), a) if self.what == "noise in both" else a
        if self.what.startswith("noise"):
            second = np.where(bad, generator.standard_normal(b.shape), b)
        elif self.what == "flip":
            second = np.where(bad, -b, b)
        elif self.what == "erase":
            second = np.where(bad, np.nan, b)
        else:
            second = b.copy()
            for place in np.ndindex(b.shape[:-1]):
                rows = np.flatnonzero(bad[place])
                second[place][rows] = b[place][generator.permutation(rows)]
        return first, second, bad


@dataclass(frozen=True)
class HeavyTails:
    """b becomes b + n in every row, n = ± scale e^(σ g), g a standard normal."""

    scale: float
    sigma: float

    def share_beyond(self, deviation):
        return float(stats.norm.sf(np.log(deviation / self.scale) / self.sigma))

    def information(self, information):
        """h(b + n) - h(b + n | a): both are normals plus n, whose law is taken at 4,000 quantiles."""
        rho = correlation(information)
        quantiles = self.scale * np.exp(self.sigma * stats.norm.ppf((np.arange(2000) + 0.5) / 2000))
        grid = np.linspace(-60.0, 60.0, 24_001)
        return _entropy(grid, quantiles, 1.0) - _entropy(grid, quantiles, np.sqrt(1.0 - rho**2))

    def apply(self, b, generator):
        size = self.scale * np.exp(self.sigma * generator.standard_normal(b.shape))
        return b + size * np.where(generator.random(b.shape) < 0.5, -1.0, 1.0)


def _entropy(grid, quantiles, deviation):
    small = quantiles < 1e-3 * deviation
    density = np.mean(small) * stats.norm.pdf(grid, scale=deviation)
    for size in quantiles[~small]:
        for sign in (-1.0, 1.0):
            start, stop = np.searchsorted(grid, [sign * size - 9 * deviation, sign * size + 9 * deviation])
            density[start:stop] += stats.norm.pdf(grid[start:stop] - sign * size, scale=deviation) / (
                2 * len(quantiles)
            )
    density /= density.sum() * (grid[1] - grid[0])
    return -np.sum(np.where(density > 0, density * np.log(np.where(density > 0, density, 1.0)), 0.0)) * (
        grid[1] - grid[0]
    )


def _information(joint):
    joint = joint / joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    known = (joint > 0.0) & (product > 0.0)
    return float(np.sum(joint[known] * np.log(joint[known] / product[known])))
