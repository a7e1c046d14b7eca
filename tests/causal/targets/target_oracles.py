"""Independent routes to what modalities tell of targets: adaptive quadrature in mpmath, dense conditioning, rows."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np

from mmmi_hf.causal import CausalModel
from tests.causal.causal_oracles import dense_rows

mp = mpmath.mp


def separate_causes(levels: list[float], target: dict, size: int = 4) -> CausalModel:
    """A model whose modality i sees cause i alone, and tells that many nats of it."""
    count = len(levels)
    weights = np.diag([math.sqrt(math.expm1(2.0 * level) / size) for level in levels])
    return CausalModel(np.ones(count), weights, np.eye(count), shape=(size,), target=target)


def mixing_model(seed: int, causes: int, target: dict | None = None, modalities: int = 2, size: int = 4) -> CausalModel:
    """A model whose modalities all see all causes, through oblique templates."""
    rng = np.random.default_rng(seed)
    templates = [list(rng.normal(size=(causes, size))) for _ in range(modalities)]
    weights = rng.uniform(0.2, 0.8, size=(modalities, causes))
    mixing = np.eye(modalities) + 0.3 * rng.normal(size=(modalities, modalities))
    return CausalModel(rng.normal(size=causes), weights, mixing, shape=(size,), templates=templates, target=target)


def dense_posterior(model: CausalModel, blocks: list[str], latents) -> tuple[np.ndarray, np.ndarray]:
    """E[ũ | x] of rows of a plain sample that is not standardised, and Cov[ũ | x], by dense algebra."""
    matrix, rows = dense_rows(model)
    part = matrix[np.concatenate([rows[name] for name in blocks])]
    causes = np.eye(len(model.eta), part.shape[1])
    gain = np.linalg.solve(part @ part.T, part @ causes.T).T
    values = np.concatenate([latents.z[name].reshape(len(latents), -1) for name in blocks], axis=1)
    return values @ gain.T, np.eye(len(model.eta)) - gain @ part @ causes.T


def _panels(*points: float, reach: float = 9.0) -> list[float]:
    return sorted({-reach, -3.0, 0.0, 3.0, reach, *(p for p in points if -reach < p < reach)})


def quadrature_of_classes(gaussian: float, edges, noise=None) -> float:
    """I by the integral as it is written, H(c) - E H(c | T), with 20 digits."""
    with mp.workdps(20):
        sine, rho = mp.exp(-gaussian), mp.sqrt(1 - mp.exp(-2 * gaussian))
        bounds = [-mp.inf, *edges, mp.inf]
        table = None if noise is None else [[mp.mpf(float(v)) for v in row] for row in noise]

        def probabilities(mean, deviation):
            below = [mp.ncdf((b - mean) / deviation) if mp.isfinite(b) else mp.mpf(b > 0) for b in bounds]
            bins = [high - low for low, high in itertools.pairwise(below)]
            if table is None:
                return bins
            return [mp.fsum(p * row[j] for p, row in zip(bins, table, strict=True)) for j in range(len(table[0]))]

        def entropy(values):
            return -mp.fsum(v * mp.log(v) for v in values if v > 0)

        near = [float(b / rho + k * sine / rho) for b in edges for k in (-6, 0, 6)]
        left = mp.quad(lambda t: mp.npdf(t) * entropy(probabilities(rho * t, sine)), _panels(*near))
        return float(entropy(probabilities(0, 1)) - left)


def quadrature_of_parity(levels: list[float], flip: float = 0.0) -> float:
    """I of two causes by a two-dimensional integral over the positive quadrant."""
    with mp.workdps(15):
        scales = [mp.sqrt(mp.expm1(2 * level) / 2) for level in levels]

        def inner(first, second):
            odd = (1 - (1 - 2 * flip) * mp.erf(scales[0] * first) * mp.erf(scales[1] * second)) / 2
            terms = [p * mp.log(2 * p) for p in (odd, 1 - odd) if p > 0]
            return 4 * mp.npdf(first) * mp.npdf(second) * mp.fsum(terms)

        points = [[0, min(2.5, float(1.5 / scale)), 8] for scale in scales]
        return float(mp.quad(inner, *points, maxdegree=5))


def series_of_parity(levels: list[float], flip: float = 0.0, terms: int = 400) -> float:
    """I = Σ_k (1-2 flip)^{2k} Π_i E a_i^{2k} / (2k (2k-1)); for little information, where the tail is short."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(180)
    weights = weights / weights.sum()
    squares = [np.vectorize(math.erf)(nodes * math.sqrt(math.expm1(2.0 * level) / 2.0)) ** 2 for level in levels]
    total = 0.0
    for k in range(1, terms):
        moments = math.prod(float(weights @ square**k) for square in squares)
        total += (1.0 - 2.0 * flip) ** (2 * k) * moments / (2 * k * (2 * k - 1))
    return total


def quadrature_of_absolute(gaussian: float) -> float:
    """I(T; |u|) by a two-dimensional integral of the folded density."""
    with mp.workdps(15):
        sine, rho = mp.exp(-gaussian), mp.sqrt(1 - mp.exp(-2 * gaussian))

        def inner(t, e):
            a = abs(rho * t + sine * e)
            known = (mp.npdf(a, rho * t, sine) + mp.npdf(a, -rho * t, sine)) / (2 * mp.npdf(a))
            return 2 * mp.npdf(t) * mp.npdf(e) * mp.log(known)

        return float(mp.quad(inner, [0, 1.5, 8], [-8, 0, 8], maxdegree=5))


def grid_of_absolute(gaussian: float) -> float:
    """The same by the trapezoid rule in (T, ε)."""
    sine, rho = math.exp(-gaussian), math.sqrt(-math.expm1(-2.0 * gaussian))
    grid = np.linspace(-8.5, 8.5, 601)
    mass = np.exp(-0.5 * grid**2)
    mass /= mass.sum()
    means = rho * grid[:, None]
    u = means + sine * grid
    logs = [-0.5 * ((sign * u - means) / sine) ** 2 for sign in (1.0, -1.0)]
    return float(mass @ (np.logaddexp(*logs) - math.log(2.0 * sine) + 0.5 * u * u) @ mass)


def quadrature_of_sine(gaussian: float, frequency: float) -> float:
    """I(T; sin ωu) by sums over all u with one sine, on a grid in (T, ε): the trapezoid rule by definition."""
    sine, rho = math.exp(-gaussian), math.sqrt(-math.expm1(-2.0 * gaussian))
    grid = np.linspace(-8.5, 8.5, 501)
    mass = np.exp(-0.5 * grid**2)
    mass /= mass.sum()
    u = rho * grid[:, None] + sine * grid
    most = 2 + int(13.0 * frequency / (2.0 * math.pi))
    turns = 2.0 * math.pi / frequency * np.arange(-most, most + 1)
    known, unknown = np.zeros_like(u), np.zeros_like(u)
    for turn in turns:
        for other in (u + turn, math.pi / frequency - u + turn):
            known += np.exp(-0.5 * ((other - rho * grid[:, None]) / sine) ** 2) / sine
            unknown += np.exp(-0.5 * other**2)
    return float(mass @ np.log(known / unknown) @ mass)
