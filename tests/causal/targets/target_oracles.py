"""Independent routes to what modalities tell of targets: adaptive quadrature in mpmath, dense conditioning, rows."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import norm

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


def legendre(edges: np.ndarray, nodes: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of E f(t), t ~ N(0, 1), by Gauss-Legendre between ascending edges."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = 0.5 * np.diff(edges)
    t = (0.5 * (edges[1:] + edges[:-1])[:, None] + half[:, None] * x).ravel()
    return t, (half[:, None] * w).ravel() * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)


def panels_about(points: np.ndarray, width: float, reach: float = 11.0) -> np.ndarray:
    """Edges in [-reach, reach], denser about some points, on a scale."""
    near = np.add.outer(points, width * np.array([-12, -8, -5, -3, -1.5, 0, 1.5, 3, 5, 8, 12])).ravel()
    edges = np.unique(np.concatenate([near[np.abs(near) < reach], np.linspace(-reach, reach, 45)]))
    return edges[np.concatenate([[True], np.diff(edges) > 1e-9])]


def information_of_classes(gaussian: float, edges: np.ndarray, noise: np.ndarray | None) -> float:
    """I(T; c) as it is written, with tails by `scipy.stats`."""
    rho, sine = math.sqrt(-math.expm1(-2.0 * gaussian)), math.exp(-gaussian)
    t, mass = legendre(panels_about(edges / rho, sine / rho))
    prior, p = (_bins(edges, means, width) for means, width in ((np.zeros(1), 1.0), (rho * t, sine)))
    if noise is not None:
        prior, p = prior @ noise, p @ noise
    return math.fsum(mass * (p * np.log(np.where(p > 0.0, p, 1.0) / prior)).sum(axis=1))


def accuracy_of_classes(gaussian: float, edges: np.ndarray) -> float:
    """E max_k p(k | T), panels ending where a root finder says that the guess changes."""
    rho, sine = math.sqrt(-math.expm1(-2.0 * gaussian)), math.exp(-gaussian)

    def lead(t: float, one: int, other: int) -> float:
        chances = _bins(edges, np.array([rho * t]), sine)[0]
        return float(chances[one] - chances[other])

    t = np.linspace(-10.0, 10.0, 100_001)
    guess = np.concatenate([_bins(edges, rho * part, sine).argmax(axis=1) for part in np.array_split(t, 20)])
    turns = [
        brentq(lead, t[at], t[at + 1], args=(guess[at], guess[at + 1]), xtol=1e-15)
        for at in np.flatnonzero(guess[1:] != guess[:-1])
    ]
    t, mass = legendre(np.unique([*turns, *panels_about(edges / rho, sine / rho, 10.0)]))
    return float(mass @ _bins(edges, rho * t, sine).max(axis=1))


def _bins(edges: np.ndarray, means: np.ndarray, width: float) -> np.ndarray:
    ends = np.concatenate([[-np.inf], edges, [np.inf]])
    low, high = ((part - means[:, None]) / width for part in (ends[:-1], ends[1:]))
    return np.where(low > 0.0, norm.sf(low) - norm.sf(high), norm.cdf(high) - norm.cdf(low))


def product_of_parity(levels: list[float], flip: float = 0.0) -> float:
    """I of a parity of two or three causes by a product of rules over positive T; 1 - A is carried, not A."""
    mass, rest = np.ones(1), np.zeros(1)
    for level in levels:
        scale = math.sqrt(math.expm1(2.0 * level))
        series = np.array([0.0, 0.3, 0.7, 1.2, 2.0, 3.0, 4.5, 6.0, 8.0])
        edges = np.unique(np.concatenate([series, series[series / scale < 8.0] / scale]))
        t, weight = legendre(edges, 14)
        kept = weight > 1e-20
        beyond = 2.0 * norm.sf(scale * t[kept])
        rest = (rest[:, None] + (1.0 - rest[:, None]) * beyond).ravel()
        mass = np.multiply.outer(mass, 2.0 * weight[kept]).ravel()
    rest = 2.0 * flip + (1.0 - 2.0 * flip) * rest
    product = 1.0 - rest
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = 0.5 * (1.0 + product) * np.log1p(product) + np.where(rest > 0.0, 0.5 * rest * np.log(rest), 0.0)
    small = np.abs(product) < 1e-2
    terms = np.where(small, product**2 / 2 + product**4 / 12 + product**6 / 30, terms)
    return math.fsum(mass * terms)


def information_of_category(means: np.ndarray, probabilities: np.ndarray, chances: np.ndarray, step: float) -> float:
    """I of the label of one or two numbers, as a mean over categories of rules about each; means (S, C)."""
    prior, total = probabilities @ chances, []
    t, mass = legendre(np.arange(-10.0, 10.0 + step, step), 12)
    for place, chance in enumerate(probabilities):
        grids = np.meshgrid(*(row[place] + t for row in means), indexing="ij")
        weight = mass if len(means) == 1 else np.multiply.outer(mass, mass)
        points = np.stack([grid.ravel() for grid in grids], axis=1)
        logs = np.log(probabilities) - 0.5 * np.square(points[:, :, None] - means[None]).sum(axis=1)
        posterior = np.exp(logs - logsumexp(logs, axis=1)[:, None]) @ chances
        inside = np.where(posterior > 0.0, np.log(np.where(posterior > 0.0, posterior, 1.0) / prior), 0.0)
        total.append(chance * float(weight.ravel() @ (inside @ chances[place])))
    return math.fsum(total)


def information_of_table(levels: list[float], chances: np.ndarray) -> float:
    """I of a label of two or three signs by a product of rules; chances (2, …, labels), each cause in a modality."""
    mass, posterior = np.ones(1), chances[None]
    for level in levels:
        scale = math.sqrt(math.expm1(2.0 * level))
        t, weight = legendre(panels_about(np.zeros(1), 1.0 / scale, 8.5), 5 if len(levels) > 2 else 10)
        kept = weight > 1e-18
        signs = np.stack([norm.sf(scale * t[kept]), norm.cdf(scale * t[kept])], axis=1)
        posterior = np.einsum("mp,np...->nm...", signs, posterior).reshape(-1, *posterior.shape[2:])
        mass = np.multiply.outer(mass, weight[kept]).ravel()
    prior = chances.reshape(-1, chances.shape[-1]).mean(axis=0)
    terms = posterior * np.log(np.where(posterior > 0.0, posterior, 1.0) / prior)
    return math.fsum(mass * terms.sum(axis=1))


def information_of_fold(gaussian: float, frequency: float | None) -> float:
    """I(T; |u|), or of sin(frequency u), over (T, ε) as it is written: panels about where two branches meet."""
    rho, sine = math.sqrt(-math.expm1(-2.0 * gaussian)), math.exp(-gaussian)
    if frequency is None:
        meets, images = np.zeros(1), [lambda u: u, lambda u: -u]
    else:
        turns = np.arange(-2 - int(14 * frequency / 6), 3 + int(14 * frequency / 6))
        meets = (math.pi / 2 + math.pi * turns) / frequency
        images = [lambda u, k=k: u + 2 * math.pi * k / frequency for k in turns]
        images += [lambda u, k=k: (math.pi + 2 * math.pi * k) / frequency - u for k in turns]
    t, mass = legendre(panels_about(meets / rho, sine / rho, 9.0), 8)
    e, weight = legendre(np.linspace(-9.0, 9.0, 19), 10)
    u = rho * t[:, None] + sine * e
    known = logsumexp([-0.5 * ((image(u) - rho * t[:, None]) / sine) ** 2 for image in images], axis=0) - math.log(sine)
    unknown = logsumexp([-0.5 * image(u) ** 2 for image in images], axis=0)
    return float(mass @ (known - unknown) @ weight)
