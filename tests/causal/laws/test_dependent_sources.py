"""Models with more modalities than vector sources: which queries are infinite, and the values of those that are not."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InfiniteInformationError
from tests.causal.causal_oracles import dense_rows, names_of

THREE_OF_TWO = ([1.0], [[1.0], [0.5], [0.3]], [[0.5, 0.7], [0.4, 0.6], [0.7, 0.9]])
BESIDE = ([1.0, 0.0], [[1.0, 0.0], [1.0, 1.0]], [[1.0], [1.0]])
"""x2 - x1 tells the second cause, which is no part of y."""


def limit(model: CausalModel, a, b, given=()) -> float:
    """By log-determinants in extended precision, with a little noise added to every latent and taken away again."""
    mpmath = pytest.importorskip("mpmath")
    matrix, rows = dense_rows(model)
    values = []
    with mpmath.workdps(80):
        for tiny in (mpmath.mpf(10) ** -18, mpmath.mpf(10) ** -20):
            factor = mpmath.matrix(matrix.tolist())
            covariance = factor * factor.T
            for i in range(1, len(matrix)):
                covariance[i, i] += tiny

            def logdet(names, covariance=covariance):
                index = [int(i) for name in names for i in rows[name]]
                if not index:
                    return 0
                part = mpmath.matrix([[covariance[i, j] for j in index] for i in index])
                lower = mpmath.cholesky(part)
                return 2 * sum(mpmath.log(lower[i, i]) for i in range(len(index)))

            a, b, given = names_of(a), names_of(b), names_of(given)
            signed = logdet(a + given) + logdet(b + given) - logdet(given) - logdet(a + b + given)
            values.append(signed / 2)
        assert abs(values[0] - values[1]) < 1e-12
        return float(values[1])


@pytest.mark.parametrize("order", list(permutations(("x1", "x2", "x3"))))
def test_three_modalities_of_two_sources_are_infinite_however_the_question_is_put(order):
    a, b, c = order
    for model in (CausalModel(*THREE_OF_TWO, shape=(4,)), matrix_of(CausalModel(*THREE_OF_TWO, shape=(4,)))):
        for query in ((a, b, c), ((a, b), c), (a, (b, c)), ((a, b, c), "y"), (a, "y", (b, c)), (a, (b, c, "y"))):
            with pytest.raises(InfiniteInformationError):
                model.mutual_information(*query)
        assert 0.0 < model.mutual_information(a, b) < 20.0


def matrix_of(model: CausalModel) -> CausalModel:
    return CausalModel.from_matrix(dense_rows(model)[0], list(model.shapes.values()))


def test_random_models_with_too_few_sources_are_always_infinite():
    rng = np.random.default_rng(3)
    for _ in range(200):
        mixing = rng.normal(size=(4, 3)) * 10.0 ** rng.uniform(-3, 3, size=(4, 1))
        model = CausalModel([1.0], rng.normal(size=(4, 1)), mixing, shape=(3,))
        order = [f"x{i + 1}" for i in rng.permutation(4)]
        cut = int(rng.integers(1, 4))
        with pytest.raises(InfiniteInformationError):
            model.mutual_information(order[:cut], order[cut:])


@pytest.mark.parametrize(
    "query",
    [
        (("x1", "x2"), "y"),
        ("x1", "y", "x2"),
        ("x1", "y"),
        ("x2", "y"),
        (("x1", "x2"), ("x3", "y")),
        ("x3", "y", ("x1", "x2")),
        ("x3", ("x1", "x2")),
        (("x1", "x3"), "y", "x2"),
    ],
)
def test_what_is_free_of_noise_may_say_nothing_of_the_other_side(query):
    model = CausalModel(
        [1.0, 0.0], [[1.0, 0.0], [1.0, 1.0], [0.4, 0.0]], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], shape=(4,)
    )
    expected = limit(model, *query)
    for same in (model, matrix_of(model), CausalModel.from_json(model.to_json())):
        assert same.mutual_information(*query) == pytest.approx(expected, rel=1e-10)
        latents = model.sample(4000, seed=1)
        pointwise = same.pointwise_mutual_information(latents, *query)
        spread = np.sqrt(same.pointwise_variance(*query) / len(pointwise))
        assert abs(pointwise.mean() - expected) < 4.5 * spread, (pointwise.mean() - expected) / spread
        correlations = same.canonical_correlations(*query)
        assert -0.5 * np.log1p(-(correlations**2)).sum() == pytest.approx(expected, rel=1e-9)
    assert same.pointwise_variance(*query) == pytest.approx(np.sum(correlations**2), rel=1e-12)


def test_the_value_of_the_notes_and_the_posterior():
    model = CausalModel(*BESIDE, shape=(4,))
    assert model.mutual_information(("x1", "x2"), "y") == pytest.approx(0.5 * np.log(5.0), rel=1e-12)
    assert model.residual_variance(("x1", "x2")) == pytest.approx(0.2, rel=1e-12)
    latents = model.sample(3, seed=2, standardize="none")
    np.testing.assert_allclose(model.decode(latents, ("x1", "x2")), model.decode(latents, "x1"), rtol=1e-12)
    with pytest.raises(InfiniteInformationError):
        model.mutual_information("x1", "x2")
    told = CausalModel([0.0, 1.0], *BESIDE[1:], shape=(4,))
    with pytest.raises(InfiniteInformationError, match="x1, x2 have a singular covariance"):
        told.residual_variance(("x1", "x2"))


@pytest.mark.parametrize("template", [np.arange(1.0, 5.0), np.array([1.0, 0.0, 0.0, 0.0])])
def test_what_is_beside_the_templates_is_noise_of_both_modalities(template):
    model = CausalModel(
        [1.0, 0.5], [[1.0, 0.0], [0.0, 1.0], [0.5, 0.0]], [[1.0, 0.0], [0.5, 1.0], [0.5, 1.0]],
        shape=(4,), templates=template,
    )  # fmt: skip
    for query in ((("x2", "x3"), "x1"), ("x1", ("x2", "x3"))):
        with pytest.raises(InfiniteInformationError):
            model.mutual_information("x2", "x3")
        expected = limit(model, *query)
        assert model.mutual_information(*query) == pytest.approx(expected, rel=1e-10)
        pointwise = model.pointwise_mutual_information(model.sample(4000, seed=1), *query)
        spread = np.sqrt(model.pointwise_variance(*query) / len(pointwise))
        assert abs(pointwise.mean() - expected) < 4.5 * spread
