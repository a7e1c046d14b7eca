"""Pointwise information: its values by dense densities, its mean and its variance, and how latents are read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from mmmi_hf.causal import (
    BeyondFloat64Error,
    CausalModel,
    InvalidQueryError,
    Latents,
    common_cause,
    decaying_modalities,
    two_telescopes,
)
from tests.causal.causal_oracles import SEEDS, dense_rows, random_model, random_query

FEW = settings(max_examples=25, deadline=None)


def dense_pointwise(model: CausalModel, latents: Latents, a, b, c) -> np.ndarray:
    """ln p(a, b, c) p(c) / p(a, c) p(b, c) by dense normal densities of unstandardised latents."""
    matrix, rows = dense_rows(model)
    values = np.zeros((len(latents.y), len(matrix)))
    values[:, 0] = latents.y
    for name in model.modalities:
        values[:, rows[name]] = latents.z[name].reshape(len(latents.y), -1)

    def log_density(names: list[str]) -> np.ndarray:
        index = np.concatenate([rows[name] for name in names]) if names else np.zeros(0, dtype=int)
        if not len(index):
            return np.zeros(len(values))
        lower = np.linalg.cholesky(matrix[index] @ matrix[index].T)
        scores = np.linalg.solve(lower, values[:, index].T)
        return -0.5 * np.sum(scores**2, axis=0) - np.sum(np.log(np.diagonal(lower)))

    return log_density(a + b + c) + log_density(c) - log_density(a + c) - log_density(b + c)


@FEW
@given(SEEDS)
def test_any_model_agrees_with_dense_densities(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    query = random_query(rng, model.names)
    latents = model.sample(7, seed=seed, standardize="none")
    expected = dense_pointwise(model, latents, *query)
    scale = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(model.pointwise_mutual_information(latents, *query), expected, atol=1e-8 * scale)


@FEW
@given(SEEDS)
def test_a_matrix_gives_the_same_values(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    dense = CausalModel.from_matrix(dense_rows(model)[0], list(model.shapes.values()))
    query = random_query(rng, model.names)
    latents = model.sample(5, seed=seed, standardize="none")
    expected = model.pointwise_mutual_information(latents, *query)
    scale = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(dense.pointwise_mutual_information(latents, *query), expected, atol=1e-8 * scale)


@pytest.mark.parametrize("kind", ["whiten", "rms"])
def test_standardisation_changes_no_value(kind):
    model = two_telescopes((6, 6), eta_2=0.3)
    raw, mapped = (model.sample(9, seed=4, standardize=each) for each in ("none", kind))
    for query in (("x1", "y"), ("x1", "x2"), ("x1", "x2", "y"), (["x1", "x2"], "y")):
        np.testing.assert_allclose(
            model.pointwise_mutual_information(mapped, *query),
            model.pointwise_mutual_information(raw, *query),
            atol=1e-10,
        )


def test_a_row_does_not_depend_on_the_others():
    model = decaying_modalities((3, 5), modalities=3, alpha=1.5, beta=1.1)
    latents = model.sample(40, seed=1)
    together = model.pointwise_mutual_information(latents, "x1", ["x2", "y"], "x3")
    for row in (0, 17, 39):
        alone = Latents({name: z[row : row + 1] for name, z in latents.z.items()}, latents.y[row : row + 1])
        assert model.pointwise_mutual_information(alone, "x1", ["x2", "y"], "x3")[0] == together[row]


def test_float32_latents_and_long_inputs_are_read_in_parts():
    model = common_cause((1, 32, 32), mi=1.0)
    latents = model.sample(1300, seed=2)
    single = Latents({name: z.astype(np.float32) for name, z in latents.z.items()}, latents.y)
    exact = model.pointwise_mutual_information(latents, "x1", "y")
    assert len(exact) == 1300
    np.testing.assert_allclose(model.pointwise_mutual_information(single, "x1", "y"), exact, atol=1e-4)


def test_latents_without_a_target_answer_about_modalities():
    model = common_cause((2, 2), mi=0.5)
    latents = model.sample(3, seed=2)
    bare = Latents(latents.z, np.zeros(0))
    np.testing.assert_array_equal(
        model.pointwise_mutual_information(bare, "x1", "x2"), model.pointwise_mutual_information(latents, "x1", "x2")
    )
    with pytest.raises(InvalidQueryError, match=r"latents.y has shape \(0,\)"):
        model.pointwise_mutual_information(bare, "x1", "y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": {}}, "latents lack x1"),
        (
            {"z": {"x1": np.zeros((3, 4)), "x2": np.zeros((3, 2, 2))}},
            r"latents of x1 have shape \(3, 4\), expected \(n, 2, 2\)",
        ),
        ({"z": {"x1": np.zeros((3, 2, 2)), "x2": np.zeros((2, 2, 2))}}, "different numbers of rows"),
        ({"standardize": "minmax"}, "standardize is 'minmax', expected one of whiten, rms, none"),
    ],
)
def test_latents_that_do_not_fit_are_refused(change, message):
    model = common_cause((2, 2))
    latents = model.sample(3, seed=0)
    fields = {"z": latents.z, "y": latents.y, "standardize": latents.standardize, **change}
    with pytest.raises(InvalidQueryError, match=message):
        model.pointwise_mutual_information(Latents(**fields), "x1", "x2")


QUERIES = [("x1", "y"), ("x1", "x2"), (["x1", "x2"], "y"), ("x1", "y", "x2"), ("x1", "x2", "y")]


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["whiten", "rms", "none"])
def test_mean_is_the_information_and_variance_the_sum_of_squared_correlations(kind):
    count = 8000
    for model in (
        two_telescopes((6, 6), eta_2=0.4),
        decaying_modalities((3, 3), modalities=3, alpha=2.0, beta=1.3, rho_tilde=0.7),
    ):
        latents = model.sample(count, seed=11, standardize=kind)
        for query in QUERIES:
            values = model.pointwise_mutual_information(latents, *query)
            expected, variance = model.mutual_information(*query), model.pointwise_variance(*query)
            if expected == 0.0:
                assert not values.any()
                continue
            error = np.sqrt(variance / count)
            score = (values.mean() - expected) / error
            # The variance of a variance from the sample's own fourth moment.
            centred = (values - expected) ** 2
            spread = (centred.mean() - variance) / (centred.std() / np.sqrt(count))
            print(f"{query}: z = {score:.2f} for the mean, {spread:.2f} for the variance")
            assert abs(score) < 4.5
            assert abs(spread) < 5.0


@pytest.mark.parametrize("kind", ["whiten", "none"])
def test_rows_that_float64_cannot_hold_are_refused(kind):
    """At 30 nats latents still hold the noise to a thousandth; above 32 they do not, and no number is made up."""
    model = common_cause((1, 4, 4), mi=30.0)
    values = model.pointwise_mutual_information(model.sample(4000, seed=1, standardize=kind), "x1", "y")
    assert values.mean() == pytest.approx(30.0, abs=4.0 / math.sqrt(4000))
    loud = common_cause((1, 4, 4), mi=33.0)
    drawn = loud.sample(2, seed=1, standardize=kind)
    for query in (("x1", "y"), ("x1", "x2"), ("x1", "x2", "y")):
        with pytest.raises(BeyondFloat64Error, match="below rounding"):
            loud.pointwise_mutual_information(drawn, *query)
