"""Lossy channels of scalar Gaussians whose true information is known by quadrature: uniform quantisers on [-3, 3]."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from mmmi_hf.causal.statistics.bounds import (
    correlation_bound,
    paired_bound,
    product_bound,
    residual_bound,
    submodular_bound,
)

GRID = np.linspace(-9.0, 9.0, 20_001)
STEP = GRID[1] - GRID[0]


def pointwise(a, b, rho):
    """ln p(a, b) / p(a) p(b) of unit normals with correlation rho, by the densities themselves."""
    s = 1.0 - rho * rho
    return -0.5 * np.log(s) - (a * a - 2.0 * rho * a * b + b * b) / (2.0 * s) + 0.5 * (a * a + b * b)


@dataclass
class Quantiser:
    """`levels` equal cells on [-3, 3], the outer ones open; a value is recovered as the middle of its cell."""

    levels: int

    @cached_property
    def edges(self):
        return np.concatenate([[-np.inf], np.linspace(-3.0, 3.0, self.levels + 1)[1:-1], [np.inf]])

    def __call__(self, z):
        width = 6.0 / self.levels
        return np.clip(np.floor((z + 3.0) / width), 0, self.levels - 1) * width - 3.0 + width / 2

    def _cells_given(self, rho):
        """(grid, levels): P(cell of b | a) for correlation rho."""
        return np.diff(stats.norm.cdf((self.edges - rho * GRID[:, None]) / np.sqrt(1.0 - rho * rho)), axis=1)

    def information_with_source(self, rho):
        """I(a; q(b)) in nats."""
        given, alone = self._cells_given(rho), np.diff(stats.norm.cdf(self.edges))
        ratio = np.where(given > 0, given / alone, 1.0)
        return float((given * np.log(ratio)).sum(axis=1) @ stats.norm.pdf(GRID) * STEP)

    def information_of_both(self, rho):
        """I(q(a); q(b)) in nats; the cells of `a` are integrated from edge to edge."""
        joint = np.zeros((self.levels, self.levels))
        bounds = np.clip(self.edges, -9.0, 9.0)
        for cell in range(self.levels):
            nodes, weights = np.polynomial.legendre.leggauss(200)
            half = (bounds[cell + 1] - bounds[cell]) / 2
            a = bounds[cell] + half * (nodes + 1)
            given = np.diff(stats.norm.cdf((self.edges - rho * a[:, None]) / np.sqrt(1.0 - rho * rho)), axis=1)
            joint[cell] = half * (weights * stats.norm.pdf(a)) @ given
        joint /= joint.sum()
        independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        return float(np.where(joint > 0, joint * np.log(np.where(joint > 0, joint / independent, 1.0)), 0.0).sum())


def bounds_of_target(information, quantiser, error, repetitions, generator, rows=64):
    """Name → (repetitions,) lower bounds on I(y; q(z)), the published maxima among them."""
    rho = np.sqrt(-np.expm1(-2.0 * information))
    z = generator.standard_normal((repetitions, rows))
    y = rho * z + np.sqrt(1.0 - rho * rho) * generator.standard_normal(z.shape)
    back = quantiser(z)
    loss = pointwise(z, y, rho) - pointwise(back, y, rho)

    def paired(p):
        return paired_bound(information, loss, 1, p)

    def correlation(p):
        return correlation_bound(y, rho * back, p)

    def residual(p):
        return residual_bound(information, pointwise(back, y, rho), y, p)

    return {
        "paired": paired(error),
        "correlation": correlation(error),
        "residual": residual(error),
        "published": np.maximum(paired(error / 2), correlation(error / 2)),
        "published without a seed": np.maximum(residual(error / 2), correlation(error / 2)),
    }


def bounds_of_pair(information, quantiser, error, repetitions, generator, rows=64):
    """Name → (repetitions,) lower bounds on I(q(a); q(b)), the published maximum among them."""
    rho = np.sqrt(-np.expm1(-2.0 * information))
    parts = {}
    for start in range(0, repetitions, 500):
        a = generator.standard_normal((min(500, repetitions - start), rows))
        b = rho * a + np.sqrt(1.0 - rho * rho) * generator.standard_normal(a.shape)
        qa, qb = quantiser(a), quantiser(b)
        true, joint = pointwise(a, b, rho), pointwise(qa, qb, rho)
        losses = true - pointwise(a, qb, rho), true - pointwise(qa, b, rho)
        product = pointwise(qa[..., None], qb[..., None, :], rho)
        true_product = pointwise(a[..., None], b[..., None, :], rho)
        half = submodular_bound(information, *losses, 1, error / 2)
        known = {"true_joint": true, "true_product": true_product}
        found = {
            "submodular": submodular_bound(information, *losses, 1, error),
            "product": product_bound(information, joint, product, error, **known),
            "product without a seed": product_bound(information, joint, product, error),
            "published": np.maximum(half, product_bound(information, joint, product, error / 2, **known)),
        }
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}
