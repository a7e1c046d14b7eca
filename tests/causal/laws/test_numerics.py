"""Accuracy at both ends: 1e-30 nats, thousands of nats, nearly singular sources, causes far louder than the noise."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities
from mmmi_hf.causal.canonical import DependentRowsError, PrincipalAngles, information_of, orthonormal_rows
from tests.causal.causal_oracles import SEEDS, dense_rows, names_of, random_query

FEW = settings(max_examples=15, deadline=None)


def exact_information(model: CausalModel, a, b, given_names=()) -> mpmath.mpf:
    """I(a; b | given) by log-determinants with 80 digits."""
    with mpmath.workdps(80):
        matrix, rows = dense_rows(model)
        factor = mpmath.matrix(matrix.tolist())
        covariance = factor * factor.T

        def logdet(blocks: list[str]) -> mpmath.mpf:
            index = [int(row) for name in blocks for row in rows[name]]
            if not index:
                return mpmath.mpf(0)
            lower = mpmath.cholesky(mpmath.matrix([[covariance[i, j] for j in index] for i in index]))
            return 2 * sum(mpmath.log(lower[i, i]) for i in range(len(index)))

        a, b, given_names = names_of(a), names_of(b), names_of(given_names)
        terms = logdet(a + given_names) + logdet(b + given_names) - logdet(given_names) - logdet(a + b + given_names)
        return terms / 2


def wild_model(rng: np.random.Generator, spread: float) -> CausalModel:
    """Coefficients over many orders of magnitude."""

    def coefficients(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) * 10.0 ** rng.uniform(-spread, spread, size=shape)

    causes, count, size = rng.integers(1, 3), rng.integers(2, 4), rng.integers(1, 4)
    mixing = coefficients(count, count)
    mixing[np.diag_indices(count)] = 3.0 * np.abs(mixing).max(axis=1)
    templates = rng.normal(size=(count, causes, size, 1))
    weights = coefficients(count, causes)
    return CausalModel(coefficients(causes), weights, mixing, shape=(size, 1), templates=templates)


@FEW
@given(SEEDS)
def test_coefficients_over_many_orders_of_magnitude(seed):
    rng = np.random.default_rng(seed)
    model = wild_model(rng, 3.0)
    query = random_query(rng, model.names)
    exact = exact_information(model, *query)
    assert abs(model.mutual_information(*query) - exact) <= 1e-9 * abs(exact) + mpmath.mpf(10) ** -60


@pytest.mark.parametrize("mi", [0.0, 1e-30, 1e-12, 1e-10, 1e-8, 1e-3, 0.25, 2.5, 12.0, 40.0, 160.0])
def test_the_wanted_information_comes_out(mi):
    model = common_cause((1, 32, 32), mi=mi, rho_hat=0.3, eta=7.0)
    assert model.mutual_information("x1", "y") == pytest.approx(mi, rel=1e-12, abs=0)
    assert model.mutual_information("y", "x2") == pytest.approx(mi, rel=1e-12, abs=0)


@pytest.mark.parametrize("s", [1e-18, 1e-9, 1.0, 1e9, 1e18, 1e60])
def test_pairs_of_modalities_from_faint_to_loud(s):
    size = 64
    model = common_cause((8, 8), rho_tilde=math.sqrt(s / size))
    with mpmath.workdps(60):
        exact = mpmath.log1p(mpmath.mpf(s) ** 2 / (1 + 2 * mpmath.mpf(s))) / 2
    assert model.mutual_information("x1", "x2") == pytest.approx(float(exact), rel=1e-12, abs=0)


@pytest.mark.parametrize("excess", [1e-1, 1e-3, 1e-6, 1e-9])
def test_nearly_shared_sources(excess):
    """Two modalities whose sources are almost the same: ρ² = 1 - 2e-18 in the hardest case."""
    size = 3072
    model = CausalModel([1.0], [[0.0], [0.0]], [[1.0, 0.0], [1.0, excess]], shape=(size,))
    exact = 0.5 * size * math.log1p(1.0 / excess**2)
    assert model.mutual_information("x1", "x2") == pytest.approx(exact, rel=1e-9)


def test_thousands_of_nats_and_a_faint_cause_in_one_model():
    model = decaying_modalities((3, 32, 32), modalities=4, alpha=1.001, beta=1.5, rho_tilde=1e-9)
    assert model.mutual_information("x1", "x2") > 20_000
    noise = model.mixing @ model.mixing.T
    exact = 0.5 * math.log1p(3072 * 1e-18 / noise[0, 0])
    assert model.mutual_information("x1", "y") == pytest.approx(exact, rel=1e-9, abs=0)


def test_faintly_shared_sources():
    model = CausalModel([1.0], [[0.0], [0.0]], [[1.0, 1e-9], [0.0, 1.0]], shape=(3, 32, 32))
    assert model.mutual_information("x1", "x2") == pytest.approx(3072 * 0.5e-18, rel=1e-9, abs=0)


def test_a_cause_beyond_float64_is_refused_with_the_reason():
    model = CausalModel([1.0, 1.0], [[1e60, 1e60], [1.0, 2.0]], np.eye(2), shape=(4,), templates="ones")
    with pytest.raises(ArithmeticError, match="beyond float64"):
        model.mutual_information("x2", "y", given="x1")


def test_a_modality_much_louder_than_its_noise_beside_the_target():
    model = common_cause((4,), rho_tilde=1e60)
    query = (["y", "x1"], "x2")
    assert model.mutual_information("x1", "y") == pytest.approx(math.log(2e60), rel=1e-14)
    assert model.mutual_information(*query) == pytest.approx(math.log(2e60), rel=1e-14)
    for ask in (model.canonical_correlations, model.pointwise_variance):
        with pytest.raises(ArithmeticError, match="noise of x1, x2 is below rounding"):
            ask(*query)
    with pytest.raises(ArithmeticError, match="noise of x1, x2 is below rounding"):
        model.pointwise_mutual_information(model.sample(1, seed=0), *query)


@pytest.mark.parametrize("loud", [1e2, 1e4, 1e6])
@pytest.mark.parametrize(
    "query", [("y", "x1"), (["y", "x3"], ["x1", "x2"], ()), ("x1", ["x2", "y"], "x3"), ("x1", "x2")]
)
def test_tens_of_nats_in_few_coordinates(loud, query):
    """Causes that no coordinate axis follows, far louder than nearly shared noise: angles down to 1e-16."""
    rng = np.random.default_rng(5)
    weights = loud * rng.normal(size=(3, 2)) * [[1.0, 1e-3], [1e-3, 1.0], [0.0, 1.0]]
    mixing = [[1.0, 0.0, 1e-4], [1.0, 1e-5, 0.0], [0.5, 0.2, 1.0]]
    model = CausalModel([1.0, 3.0], weights, mixing, shape=(4,), templates=rng.normal(size=(3, 2, 4)))
    exact = exact_information(model, *query)
    assert abs(model.mutual_information(*query) - exact) <= 1e-9 * exact


def test_causes_whose_square_leaves_float64_are_refused():
    model = CausalModel([1.0], [[1e100]], [[1.0]], shape=(4,), templates=np.full(4, 1e30))
    with pytest.raises(ArithmeticError, match="causes of x1 are more than 1e"):
        model.mutual_information("x1", "y")


def test_coefficients_that_underflow_are_nothing():
    alone = CausalModel([1.0], [[1.0], [1.0]], np.eye(2), shape=(4,))
    faint = CausalModel([1.0], [[1.0], [1.0]], [[1.0, 1e-300], [5e-324, 1.0]], shape=(4,))
    assert faint.mutual_information("x1", "x2") == pytest.approx(alone.mutual_information("x1", "x2"), rel=1e-14)
    assert np.isfinite(faint.sample(3, seed=0).z["x1"]).all()


def test_impossible_sines_raise_with_the_numbers():
    with pytest.raises(ArithmeticError, match=r"1\.0 with sines down to 0\.0"):
        information_of(np.array([1.0]), np.array([0.0]))
    with pytest.raises(ArithmeticError, match="nan"):
        information_of(np.array([np.nan]), np.array([1.0]))


@pytest.mark.parametrize("count", [1, 5, 48, 49, 120])
def test_orthonormal_rows(count):
    rng = np.random.default_rng(count)
    rows, carried = rng.normal(size=(count, 150)), rng.normal(size=(count, 3))
    basis, solved = orthonormal_rows(rows, carried)
    lower = rows @ basis.T
    np.testing.assert_allclose(basis @ basis.T, np.eye(count), atol=1e-12)
    np.testing.assert_allclose(np.triu(lower, 1), 0.0, atol=1e-11)
    np.testing.assert_allclose(lower @ solved, carried, atol=1e-9)


@pytest.mark.parametrize("count", [3, 60])
def test_dependent_rows_are_found(count):
    rows = np.random.default_rng(count).normal(size=(count, 80))
    rows[2] = rows[0] - 2 * rows[1]
    with pytest.raises(DependentRowsError) as caught:
        orthonormal_rows(rows, np.eye(count))
    assert caught.value.row == 2
    with pytest.raises(DependentRowsError):
        orthonormal_rows(np.ones((count, count - 1)) + np.eye(count, count - 1), np.eye(count))


def test_principal_angles_of_many_rows():
    rng = np.random.default_rng(3)
    angles = np.array([1e-9, 1e-3, 0.7, 1.5])
    frame, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    first, beside = frame[:4], frame[4:8]
    second = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * beside
    found = PrincipalAngles.between(first, second)
    np.testing.assert_allclose(found.sines, np.sin(angles), rtol=1e-6)
    np.testing.assert_allclose(np.sum(found.information_terms()), -np.sum(np.log(np.sin(angles))), rtol=1e-8)
