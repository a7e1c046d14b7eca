"""Random models against dense algebra, and the identities that information obeys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmmi_hf.causal import (
    CausalModel,
    InfiniteInformationError,
    PartialInformation,
    common_cause,
    independent,
)
from tests.causal.causal_oracles import (
    SEEDS,
    condition_number,
    dense_correlations,
    dense_entropy,
    dense_information,
    dense_rows,
    random_model,
    random_query,
)

FEW = settings(max_examples=25, deadline=None)
MANY = settings(max_examples=80, deadline=None)


def same(value: float, expected: float, scale: float = 1.0) -> None:
    """Equal to 1e-9 relative; `scale` is the size of the terms that the expected value is a sum of."""
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-13 * max(scale, 1.0))


@MANY
@given(SEEDS)
def test_any_model_agrees_with_dense_log_determinants(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    assume(condition_number(model) < 1e6)
    query = random_query(rng, model.names)
    same(model.mutual_information(*query), dense_information(model, *query), 10.0)


@MANY
@given(SEEDS)
def test_any_model_agrees_with_its_matrix(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    assume(condition_number(model) < 1e12)
    matrix = CausalModel.from_matrix(dense_rows(model)[0], list(model.shapes.values()))
    query = random_query(rng, model.names)
    assert model.mutual_information(*query) == pytest.approx(matrix.mutual_information(*query), rel=1e-9, abs=1e-28)


@FEW
@given(SEEDS)
def test_canonical_correlations(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    assume(condition_number(model) < 1e6)
    a, b, _ = random_query(rng, model.names)
    expected = dense_correlations(model, a, b)
    found = model.canonical_correlations(a, b)
    padded = np.zeros(len(expected))
    padded[: len(found)] = found[: len(expected)]
    np.testing.assert_allclose(padded, expected, atol=1e-9)
    assert not np.any(found[len(expected) :])
    assert model.mutual_information(a, b) == pytest.approx(-0.5 * np.sum(np.log1p(-(expected**2))), rel=1e-8, abs=1e-12)
    assert model.pointwise_variance(a, b) == pytest.approx(np.sum(expected**2), rel=1e-8, abs=1e-12)


@FEW
@given(SEEDS)
def test_symmetry_and_chain_rule(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    a, b, given_names = random_query(rng, model.names)
    value = model.mutual_information(a, b, given_names)
    assert value >= 0.0
    same(model.mutual_information(b, a, given_names), value)
    if len(b) > 1:
        head, tail = b[:1], b[1:]
        parts = model.mutual_information(a, head, given_names) + model.mutual_information(a, tail, given_names + head)
        same(parts, value)


@FEW
@given(SEEDS)
def test_more_blocks_tell_more(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, least=2)
    a, b, rest = random_query(rng, model.names, conditional=True)
    assert model.mutual_information(a, b + rest) >= model.mutual_information(a, b) * (1 - 1e-12)


@FEW
@given(SEEDS)
def test_multivariate_quantities_against_entropies(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    assume(condition_number(model) < 1e6)
    names = list(model.names)
    joint = dense_entropy(model, names)
    single = sum(dense_entropy(model, [name]) for name in names)
    others = [dense_entropy(model, [other for other in names if other != name]) for name in names]
    total, dual = model.total_correlation(names), model.dual_total_correlation(names)
    same(total, single - joint, 10.0)
    same(dual, sum(others) - (len(names) - 1) * joint, 10.0)
    assert total >= 0.0
    assert dual >= 0.0
    assert model.o_information(names) == total - dual


@FEW
@given(SEEDS)
def test_order_of_names_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    names = [str(name) for name in rng.permutation(model.names)]
    same(model.total_correlation(names), model.total_correlation(model.names))
    same(model.dual_total_correlation(names), model.dual_total_correlation(model.names))


@FEW
@given(SEEDS)
def test_o_information_of_three_is_interaction_information(seed):
    model = random_model(np.random.default_rng(seed), least=3, most=3)
    names = ["x1", "x2", "x3"]
    interaction = model.interaction_information(*names)
    same(model.o_information(names), interaction, model.total_correlation(names))
    same(model.interaction_information("x3", "x1", "x2"), interaction, model.total_correlation(names))


@FEW
@given(SEEDS)
def test_partial_information_sums(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, least=2)
    a, b, _ = random_query(rng, model.modalities)
    parts = model.partial_information_decomposition(a, b)
    of_a, of_b = model.mutual_information(a, "y"), model.mutual_information(b, "y")
    same(parts.redundant + parts.unique_a, of_a)
    same(parts.redundant + parts.unique_b, of_b)
    same(parts.redundant + parts.unique_a + parts.unique_b + parts.synergistic, model.mutual_information(a + b, "y"))
    assert min(parts.redundant, parts.unique_a, parts.unique_b, parts.synergistic) >= 0.0
    assert parts.unique_a == 0.0 or parts.unique_b == 0.0
    swapped = model.partial_information_decomposition(b, a)
    assert swapped == PartialInformation(parts.redundant, parts.unique_b, parts.unique_a, swapped.synergistic)
    same(swapped.synergistic, parts.synergistic)


@FEW
@given(SEEDS, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_scaling_of_target_and_modalities_changes_nothing(seed, target, modality):
    rng = np.random.default_rng(seed)
    model = random_model(rng, uniform=True)
    query = random_query(rng, model.names)
    factors = np.geomspace(1.0, modality, len(model.modalities))[:, None]
    templates = [[model.template(i, k) for k in range(len(model.eta))] for i in range(len(model.modalities))]
    shape = next(iter(model.shapes.values()))
    scaled = CausalModel(
        -target * model.eta, factors * model.weights, factors * model.mixing, shape=shape, templates=templates
    )
    same(scaled.mutual_information(*query), model.mutual_information(*query))


@FEW
@given(SEEDS)
def test_orthogonal_maps_of_the_latents_change_nothing(seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, uniform=True)
    query = random_query(rng, model.names)
    shape = next(iter(model.shapes.values()))
    size = int(np.prod(shape))
    turn, _ = np.linalg.qr(np.random.default_rng(size).normal(size=(size, size)))
    templates = [
        [(turn @ model.template(i, k).ravel()).reshape(shape) for k in range(len(model.eta))]
        for i in range(len(model.modalities))
    ]
    turned = CausalModel(model.eta, model.weights, model.mixing, shape=shape, templates=templates)
    same(turned.mutual_information(*query), model.mutual_information(*query))


@FEW
@given(SEEDS)
def test_residual_variance_is_the_information_about_y(seed):
    model = random_model(np.random.default_rng(seed))
    blocks = list(model.modalities)
    ratio = model.variance_y / model.residual_variance(blocks)
    assert 0.5 * np.log(ratio) == pytest.approx(model.mutual_information(blocks, "y"), rel=1e-9, abs=1e-12)


def test_data_processing_along_the_chain():
    model = common_cause((8, 8), rho_tilde=[0.1, 0.2])
    assert model.mutual_information("x1", "x2") < model.mutual_information("x1", "y")
    assert model.mutual_information("x1", "x2", "y") == 0.0


def test_the_null_is_exactly_zero():
    model = independent((3, 8, 8), modalities=3, rho_hat=[1.0, 2.0, 0.3])
    for query in (("x1", "y"), ("x1", "x2"), (["x1", "x2"], "y"), ("x1", "x2", "y"), (["x1", "y"], ["x2", "x3"])):
        assert model.mutual_information(*query) == 0.0
    assert model.total_correlation(model.names) == 0.0
    assert model.dual_total_correlation(model.names) == 0.0
    assert model.partial_information_decomposition("x1", "x2") == PartialInformation(0.0, 0.0, 0.0, 0.0)


def test_separate_causes_are_exactly_independent():
    model = CausalModel([0.3, 0.0], [[0.7, 0.0], [0.0, 0.9]], [[1.1, 0.0], [0.0, 0.3]], shape=(3, 5))
    assert model.mutual_information("x1", "x2") == 0.0
    assert model.mutual_information("x2", "y") == 0.0
    assert model.mutual_information("x1", "x2", "y") == 0.0
    assert model.total_correlation(["x1"]) == 0.0


def test_dependent_sources_are_infinite_only_where_they_are_asked_for():
    model = CausalModel([1.0], [[1.0], [0.5], [0.2]], [[1.0, 0], [2.0, 0], [1.0, 1.0]], shape=(3,))
    for query in (("x1", "x2"), (["x1", "x2"], "y"), ("x1", "y", "x2"), ("x3", "y", ["x2", "x1"])):
        with pytest.raises(InfiniteInformationError, match=r"sources of x\d, x\d have a singular covariance") as caught:
            model.mutual_information(*query)
        assert "x3" not in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InfiniteInformationError):
        model.total_correlation(["x1", "x3", "x2"])
    assert model.mutual_information("x1", "x3") == pytest.approx(dense_information(model, "x1", "x3"), rel=1e-9)
    assert model.mutual_information("x2", "y") == pytest.approx(dense_information(model, "x2", "y"), rel=1e-9)


def test_a_sum_of_two_sources_fixes_a_third():
    model = CausalModel([1.0], [[1.0]] * 3, [[1.0, 0], [0, 1.0], [0.1, 0.3]], shape=(2,))
    assert model.mutual_information("x1", "x3") > 0
    with pytest.raises(InfiniteInformationError, match="x1, x2, x3"):
        model.mutual_information(["x1", "x2"], "x3")
