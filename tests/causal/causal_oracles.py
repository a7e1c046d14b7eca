"""Independent routes to the same quantities: dense matrices, log-determinants, canonical correlations, closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from mmmi_hf.causal import CausalModel


def dense_rows(model: CausalModel) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A with (y, z) = A u written out, and the rows of every block."""
    causes, sources = len(model.eta), model.mixing.shape[1]
    sizes = [math.prod(shape) for shape in model.shapes.values()]
    widths = [max([sizes[i] for i in range(len(sizes)) if model.mixing[i, j] != 0], default=0) for j in range(sources)]
    begins = causes + np.concatenate([[0], np.cumsum(widths)])
    matrix = np.zeros((1 + sum(sizes), begins[-1]))
    matrix[0, :causes] = model.eta
    rows, at = {"y": np.array([0])}, 1
    for i, (name, size) in enumerate(zip(model.modalities, sizes, strict=True)):
        rows[name] = np.arange(at, at + size)
        for k in range(causes):
            template = model.template(i, k)
            if template is not None:
                matrix[at : at + size, k] = model.weights[i, k] * template.ravel()
        for j in range(sources):
            if model.mixing[i, j] != 0:
                matrix[at : at + size, begins[j] : begins[j] + size] += model.mixing[i, j] * np.eye(size)
        at += size
    return matrix, rows


def names_of(blocks: str | list[str] | tuple[str, ...]) -> list[str]:
    """A name or names as a list."""
    return [blocks] if isinstance(blocks, str) else list(blocks)


def dense_information(model: CausalModel, a, b, given=()) -> float:
    """I(a; b | given) by four log-determinants of the dense covariance."""
    matrix, rows = dense_rows(model)
    covariance = matrix @ matrix.T

    def logdet(blocks: list[str]) -> float:
        index = np.concatenate([rows[name] for name in blocks]) if blocks else np.zeros(0, dtype=int)
        sign, value = np.linalg.slogdet(covariance[np.ix_(index, index)])
        assert sign > 0
        return float(value)

    a, b, given = names_of(a), names_of(b), names_of(given)
    return 0.5 * (logdet(a + given) + logdet(b + given) - logdet(given) - logdet(a + b + given))


def dense_entropy(model: CausalModel, blocks: list[str]) -> float:
    """Differential entropy up to the constant ½ ln 2πe per dimension."""
    matrix, rows = dense_rows(model)
    part = matrix[np.concatenate([rows[name] for name in blocks])]
    return 0.5 * float(np.linalg.slogdet(part @ part.T)[1])


def dense_correlations(model: CausalModel, a, b) -> np.ndarray:
    """Canonical correlations by Cholesky factors of the blocks' covariances and an SVD."""
    matrix, rows = dense_rows(model)
    first = matrix[np.concatenate([rows[name] for name in names_of(a)])]
    second = matrix[np.concatenate([rows[name] for name in names_of(b)])]
    left = np.linalg.cholesky(first @ first.T)
    right = np.linalg.cholesky(second @ second.T)
    whitened = np.linalg.solve(left, np.linalg.solve(right, (first @ second.T).T).T)
    return np.linalg.svd(whitened, compute_uv=False)


def condition_number(model: CausalModel) -> float:
    """Of the dense covariance of all blocks with unit diagonal."""
    matrix, _ = dense_rows(model)
    matrix = matrix / np.linalg.norm(matrix, axis=1)[:, None]
    return float(np.linalg.cond(matrix @ matrix.T))


def appendix_b(model: CausalModel, size: int) -> dict[str, float]:
    """The closed forms of two modalities with homogeneous templates (the paper's Appendix B), in rational numbers."""
    eta, w1, w2, g1, g2 = (
        np.array([Fraction(float(value)) for value in row]) for row in (model.eta, *model.weights, *model.mixing)
    )
    a, r1, r2 = eta @ eta, eta @ w1, eta @ w2
    o, q, p = w1 @ w1, w2 @ w2, w1 @ w2
    b, c, f = o + g1 @ g1, q + g2 @ g2, p + g1 @ g2
    big_b, big_c, big_f = b + (size - 1) * o, c + (size - 1) * q, f + (size - 1) * p
    minor = big_b * big_c - big_f**2
    determinant = a * minor - size * (r1**2 * big_c + r2**2 * big_b - 2 * r1 * r2 * big_f)
    noise = (b - o) * (c - q)
    shared = (size - 1) * log_of_ratio(noise, noise - (f - p) ** 2)
    cross = (a * big_b - size * r1**2) * (a * big_c - size * r2**2)
    return {
        "I(x1;y)": 0.5 * log_of_ratio(a * big_b, a * big_b - size * r1**2),
        "I(x2;y)": 0.5 * log_of_ratio(a * big_c, a * big_c - size * r2**2),
        "I(x1;x2)": 0.5 * (shared + log_of_ratio(big_b * big_c, minor)),
        "I(x1,x2;y)": 0.5 * log_of_ratio(a * minor, determinant),
        "I(x1;x2|y)": 0.5 * (shared + log_of_ratio(cross, a * determinant)),
    }


def log_of_ratio(above: Fraction, below: Fraction) -> float:
    """ln(above / below), accurate also where the ratio is close to 1."""
    return math.log1p(float((above - below) / below))


SHAPES = [(1,), (2,), (3,), (5,), (2, 2), (1, 2, 3), (7,)]
SEEDS = st.integers(0, 2**32 - 1)


def random_model(rng: np.random.Generator, least: int = 1, most: int = 4, uniform: bool | None = None) -> CausalModel:
    """Any number of causes, modalities and sources, sparse or full, one shape or several, any relation of templates."""
    causes, count, extra = rng.integers(1, 5), rng.integers(least, most + 1), rng.integers(0, 3)
    uniform = bool(rng.integers(2)) if uniform is None else uniform
    density = rng.choice([0.4, 0.8, 1.0])
    weights = rng.normal(size=(count, causes)) * (rng.random((count, causes)) < density)
    mixing = np.diag(rng.uniform(0.5, 2.0, size=count) * rng.choice([-1, 1], size=count))
    mixing = np.concatenate([mixing, np.zeros((count, extra))], axis=1)
    shapes = [SHAPES[rng.integers(len(SHAPES))] for _ in range(count)]
    if uniform:
        shapes = shapes[:1] * count
        mixing = mixing + rng.normal(size=mixing.shape) * (rng.random(mixing.shape) < density / 2)
    style = rng.choice(["own", "own", "shared", "ones", "collinear"])
    if style == "ones":
        templates = "ones"
    elif style == "shared" and uniform:
        templates = rng.normal(size=shapes[0])
    elif style == "collinear":
        base = [rng.normal(size=shape) for shape in shapes]
        templates = [[base[i] * (k + 1) for k in range(causes)] for i in range(count)]
    else:
        templates = [[rng.normal(size=shape) for _ in range(causes)] for shape in shapes]
    shape = shapes[0] if uniform else shapes
    return CausalModel(rng.normal(size=causes), weights, mixing, shape=shape, templates=templates)


def random_query(
    rng: np.random.Generator, names: tuple[str, ...], conditional: bool = False
) -> tuple[list[str], list[str], list[str]]:
    """Disjoint blocks a, b (not empty) and given (with `conditional` not empty)."""
    order = [str(name) for name in rng.permutation(list(names))]
    count = len(order) - conditional
    first = int(rng.integers(1, count))
    second = int(rng.integers(first + 1, count + 1))
    third = int(rng.integers(second + conditional, len(order) + 1))
    return order[:first], order[first:second], order[second:third]
