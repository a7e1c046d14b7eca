"""Values of targets against the notes, against adaptive quadrature in mpmath, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mmmi_hf.causal import CausalModel, common_cause
from mmmi_hf.causal.targets.kinds.classes import Classes
from mmmi_hf.causal.targets.kinds.function import Function
from mmmi_hf.causal.targets.line import Line
from tests.causal.causal_oracles import dense_rows
from tests.causal.targets import target_oracles as oracles

NOISE = [[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.05, 0.15, 0.8]]


@pytest.mark.parametrize(("classes", "value"), [(2, 0.429367903747), (10, 0.908868918775)])
def test_reference_values_of_classes(classes, value):
    model = common_cause((4, 4), mi=1.0).with_target({"classes": {"quantiles": classes}})
    assert model.mutual_information("x1", "y") == pytest.approx(value, abs=1e-12)
    assert model.information_error("x1", "y") < 1e-13


@pytest.mark.parametrize("gaussian", [1e-4, 0.01, 0.3, 1.0, 2.5, 5.0])
def test_two_equal_classes_have_a_closed_accuracy(gaussian):
    line = Line(gaussian)
    found = Classes(quantiles=2).seen(line)
    expected = 0.5 + math.asin(line.rho) / math.pi
    assert found.accuracy().value == pytest.approx(expected, abs=1e-14)
    noisy = Classes(quantiles=2, flip=0.1).seen(line)
    assert noisy.accuracy().value == pytest.approx(0.8 * expected + 0.1, abs=1e-14)


@pytest.mark.parametrize(
    ("gaussian", "target"),
    [
        (0.01, Classes(quantiles=2)),
        (0.4, Classes(edges=[-2.0, 0.1, 0.2])),
        (1.7, Classes(quantiles=[0.05, 0.7], noise=NOISE)),
        (5.0, Classes(edges=[-0.5, 1.5], flip=0.02)),
        pytest.param(1.0, Classes(quantiles=10), marks=pytest.mark.slow),
    ],
)
def test_classes_by_adaptive_quadrature(gaussian, target):
    found = target.seen(Line(gaussian))
    information = oracles.quadrature_of_classes(gaussian, target.edges, target.noise)
    assert found.information().value == pytest.approx(information, abs=1e-12)
    entropy = -(target.prior @ np.log(target.prior))
    assert found.log_loss().value == pytest.approx(entropy - information, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("gaussian", [0.01, 0.7, 5.0])
def test_fifty_classes_by_adaptive_quadrature(gaussian):
    target = Classes(quantiles=50)
    expected = oracles.quadrature_of_classes(gaussian, target.edges)
    assert target.seen(Line(gaussian)).information().value == pytest.approx(expected, abs=1e-10)


def test_many_classes_tell_what_the_number_tells():
    assert Classes(quantiles=200).seen(Line(0.5)).information().value == pytest.approx(0.5, abs=2e-3)


@pytest.mark.parametrize("seed", range(8))
def test_random_bins_by_a_fine_grid(seed):
    """The trapezoid rule, which is exponentially exact for information, and sums over classes as they are written."""
    rng = np.random.default_rng(seed)
    gaussian, count = 10.0 ** rng.uniform(-2, math.log10(5)), int(rng.integers(2, 51))
    edges = np.sort(rng.normal(size=count - 1))
    edges += 1e-3 * np.arange(count - 1)
    target = Classes(edges=edges, flip=float(rng.choice([0.0, 0.1])))
    line = Line(gaussian)
    t = np.linspace(-10.0, 10.0, int(4000 * math.exp(min(gaussian, 3.0)) / 3) | 1)
    total = 0.0
    for part in np.array_split(t, 40):
        p = target.probabilities(line.rho * part, line.sine)
        logs = np.log(np.maximum(p, 1e-300) / target.prior)
        total += float(np.exp(-0.5 * part**2) @ (p * logs).sum(axis=1)) * (t[1] - t[0]) / math.sqrt(2 * math.pi)
    assert target.seen(line).information().value == pytest.approx(total, abs=1e-10)


def test_reference_value_of_parity():
    model = oracles.separate_causes([1.0, 1.0], {"parity": {"causes": [0, 1]}})
    both = ["x1", "x2"]
    assert model.mutual_information(both, "y") == pytest.approx(0.2710921337, abs=1e-10)
    assert model.mutual_information("x1", "y") == model.mutual_information("x2", "y") == 0.0
    rho = Line(1.0).rho
    assert model.bayes_accuracy(both).value == pytest.approx(0.5 + 0.5 * (2 / math.pi * math.asin(rho)) ** 2, abs=1e-14)
    found = model.partial_information_decomposition("x1", "x2")
    assert (found.redundant, found.unique_a, found.unique_b) == (0.0, 0.0, 0.0)
    assert found.synergistic == pytest.approx(0.2710921337, abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("levels", "flip"), [([0.3, 1.2], 0.0), ([2.0, 0.7], 0.2)])
def test_parity_by_adaptive_quadrature(levels, flip):
    model = oracles.separate_causes(levels, {"parity": {"causes": [0, 1], "flip": flip}})
    expected = oracles.quadrature_of_parity(levels, flip)
    assert model.mutual_information(["x1", "x2"], "y") == pytest.approx(expected, abs=1e-9)
    table = model.with_target({"boolean": {"causes": [0, 1], "table": [0, 1, 1, 0], "flip": flip}})
    assert table.mutual_information(["x1", "x2"], "y") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("levels", [[0.05, 0.3], [0.1, 0.3, 0.2], [0.4, 0.1, 0.3, 0.35], [0.01] * 6])
def test_parity_of_any_number_by_its_series(levels):
    names = [f"x{i + 1}" for i in range(len(levels))]
    model = oracles.separate_causes(levels, {"parity": {"causes": list(range(len(levels)))}})
    expected = oracles.series_of_parity(levels)
    assert model.mutual_information(names, "y") == pytest.approx(expected, rel=1e-8)
    assert model.mutual_information(names[1:], "y") == 0.0
    assert model.mutual_information("x1", names[1], given="y") == (0.0 if len(levels) > 2 else pytest.approx(expected))


@pytest.mark.parametrize("level", [0.01, 1.0, 2.5, 5.0])
def test_three_causes_in_a_table_and_as_a_parity(level):
    causes = {"causes": [0, 1, 2]}
    model = oracles.separate_causes([level, 1.0, 0.5], {"parity": causes})
    names = ["x1", "x2", "x3"]
    table = model.with_target({"boolean": {**causes, "table": [0, 1, 1, 0, 1, 0, 0, 1]}})
    assert table.mutual_information(names, "y") == pytest.approx(model.mutual_information(names, "y"), abs=1e-8)
    assert table.information_error(names, "y") < 1e-6


def test_a_label_of_one_cause_is_a_class():
    """The copy of one sign is two equal classes of it; a cause on which the label does not depend changes nothing."""
    model = oracles.separate_causes([0.7, 1.3], {"boolean": {"causes": [0, 1], "table": [0, 0, 1, 1]}})
    expected = Classes(quantiles=2).seen(Line(0.7))
    assert model.mutual_information(["x1", "x2"], "y") == pytest.approx(expected.information().value, abs=1e-12)
    assert model.bayes_accuracy("x1").value == pytest.approx(expected.accuracy().value, abs=1e-12)
    assert model.pointwise_variance("x1", "y") == pytest.approx(expected.variance().value, abs=1e-11)
    parity = model.with_target({"parity": {"causes": [0]}})
    assert parity.pointwise_variance("x1", "y") == pytest.approx(expected.variance().value, abs=1e-11)


def test_four_labels_of_two_causes_add_up():
    """The pair of two independent signs, each seen by itself, tells the sum of both."""
    model = oracles.separate_causes([0.7, 1.3], {"boolean": {"causes": [0, 1], "table": [0, 1, 2, 3]}})
    views = [Classes(quantiles=2).seen(Line(level)) for level in (0.7, 1.3)]
    both = ["x1", "x2"]
    expected = sum(view.information().value for view in views)
    assert model.mutual_information(both, "y") == pytest.approx(expected, abs=1e-11)
    assert model.bayes_accuracy(both).value == pytest.approx(
        math.prod(view.accuracy().value for view in views), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_two_mixed_causes_have_the_posterior_of_dense_algebra(seed):
    model = oracles.mixing_model(seed, 2, {"boolean": {"causes": [1, 0], "table": [0, 1, 2, 3]}})
    rows = model.sample(6, seed=seed, standardize="none")
    found = model.class_posterior(rows, ["x2", "x1"])
    means, covariance = oracles.dense_posterior(model, ["x1", "x2"], rows)
    for row, (first, second) in zip(found, means, strict=True):
        for place, (s, t) in enumerate([(-1, -1), (1, -1), (-1, 1), (1, 1)]):  # signs of causes 0 and 1
            turn = np.diag([-s, -t])
            expected = multivariate_normal.cdf(np.zeros(2), -turn @ [first, second] * -1, turn @ covariance @ turn)
            assert row[place] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("gaussian", [0.01, 0.2, 1.0])
def test_absolute_value_by_a_fine_grid(gaussian):
    found = Function(name="absolute").seen(Line(gaussian)).information()
    assert found.value == pytest.approx(oracles.grid_of_absolute(gaussian), abs=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("gaussian", [0.2, 1.0])
def test_absolute_value_by_adaptive_quadrature(gaussian):
    expected = oracles.quadrature_of_absolute(gaussian)
    assert Function(name="absolute").seen(Line(gaussian)).information().value == pytest.approx(expected, abs=1e-8)


def test_reference_values_of_functions():
    square = common_cause((2, 2), mi=1.0).with_target({"function": {"name": "square"}})
    assert square.mutual_information("x1", "y") == pytest.approx(0.53459529, abs=5e-9)
    assert square.r2_ceiling("x1").value == pytest.approx(Line(1.0).rho ** 4, abs=1e-15)
    # far from 0 only the sign is lost
    assert Function(name="square").seen(Line(9.0)).information().value == pytest.approx(9.0 - math.log(2.0), abs=1e-4)


@pytest.mark.parametrize(("gaussian", "frequency"), [(0.05, 1.0), (1.0, 1.0), (1.0, 3.0), (2.0, 0.5)])
def test_sine_by_sums_over_branches(gaussian, frequency):
    found = Function(name="sine", frequency=frequency).seen(Line(gaussian)).information()
    assert found.value == pytest.approx(oracles.quadrature_of_sine(gaussian, frequency), abs=1e-10)
    assert found.error < 1e-12


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "uniform"},
        {"name": "log_normal", "sigma": 0.7},
        {"name": "exponential"},
        {"name": "student", "dof": 6.0},
        {"name": "square"},
        {"name": "absolute"},
        {"name": "sine", "frequency": 1.3},
    ],
)
def test_ceilings_are_sums_over_hermite_coefficients(fields):
    target = Function(**fields)
    rho, kink = Line(0.6).rho, 2e-5 if fields["name"] == "absolute" else 1e-9
    nodes = np.linspace(-12.0, 12.0, 4001)
    mass = np.exp(-0.5 * nodes**2) * (nodes[1] - nodes[0]) / math.sqrt(2 * math.pi)
    values = target.function.of(nodes)
    above, below, before, polynomial = 0.0, 0.0, np.zeros_like(nodes), np.ones_like(nodes)
    for k in range(1, 60):  # normalised Hermite polynomials
        before, polynomial = polynomial, (nodes * polynomial - math.sqrt(k - 1) * before) / math.sqrt(k)
        share = float(mass @ (values * polynomial)) ** 2
        above, below = above + share * rho ** (2 * k), below + share
    assert target.function.variance == pytest.approx(float(mass @ values**2) - float(mass @ values) ** 2, rel=2e-5)
    assert target.function.r2_ceiling(rho).value == pytest.approx(above / target.function.variance, abs=kink)
    assert below <= target.function.variance * (1.0 + 2e-5)


@pytest.mark.parametrize("seed", range(4))
def test_several_numbers_against_dense_determinants(seed):
    rng = np.random.default_rng(100 + seed)
    rows_of_h = rng.normal(size=(2, 3))
    model = oracles.mixing_model(seed, 3, {"several": {"coefficients": rows_of_h.tolist()}})
    matrix, rows = dense_rows(model)
    target = np.concatenate([rows_of_h, np.zeros((2, matrix.shape[1] - 3))], axis=1)

    def logdet(parts):
        stacked = np.concatenate(parts) if parts else np.zeros((0, matrix.shape[1]))
        return 0.5 * np.linalg.slogdet(stacked @ stacked.T)[1]

    one, two = (matrix[rows[name]] for name in ("x1", "x2"))
    alone = logdet([one]) + logdet([target]) - logdet([one, target])
    given = logdet([one, target]) + logdet([two, target]) - logdet([target]) - logdet([one, two, target])
    assert model.mutual_information("x1", "y") == pytest.approx(alone, abs=1e-11)
    assert model.mutual_information("x1", "x2", given="y") == pytest.approx(given, abs=1e-11)
    assert model.information_error("x1", "x2", "y") < 1e-13


def test_one_number_of_several_is_the_gaussian_target():
    model = oracles.mixing_model(5, 3)
    other = model.with_target({"several": {"coefficients": [model.eta.tolist()]}})
    for query in (("x1", "y"), (["x1", "x2"], "y"), ("x1", "x2", "y"), ("x1", ["x2", "y"])):
        assert other.mutual_information(*query) == pytest.approx(model.mutual_information(*query), abs=1e-12)
    assert other.r2_ceiling("x1").value == pytest.approx(model.r2_ceiling("x1").value, abs=1e-12)
    assert other.pointwise_variance("x1", "y") == pytest.approx(model.pointwise_variance("x1", "y"), abs=1e-12)


@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-9])
def test_numbers_that_nearly_fix_each_other_state_what_rounding_costs(apart):
    """Two numbers and their difference over its size have the same span: an exact route that rounds nothing."""
    near = oracles.mixing_model(7, 3, {"several": {"coefficients": [[1.0, 0.25, 0.5], [1.0, 0.25 + apart, 0.5]]}})
    same = near.with_target({"several": {"coefficients": [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]}})
    true, value = (m.mutual_information(["x1", "x2"], "y") for m in (same, near))
    stated = near.information_error(["x1", "x2"], "y")
    assert abs(value - true) <= stated <= 1e4 * 2e-16 / apart
    assert same.information_error(["x1", "x2"], "y") < 1e-13


def test_the_size_of_numbers_matters_to_nothing():
    plain, tiny = (
        oracles.mixing_model(8, 2, {"several": {"coefficients": [[size, 2.0 * size]]}}) for size in (1.0, 1e-300)
    )
    assert tiny.r2_ceiling("x1").value == pytest.approx(plain.r2_ceiling("x1").value, abs=1e-14)
    assert tiny.mutual_information("x1", "y") == pytest.approx(plain.mutual_information("x1", "y"), abs=1e-14)


def test_margins_change_no_information():
    model = oracles.mixing_model(6, 2)
    for fields in ({"name": "uniform"}, {"name": "exponential"}, {"name": "student", "dof": 4}, {"name": "log_normal"}):
        other = model.with_target({"function": fields})
        for query in (("x1", "y"), ("x1", "x2", "y")):
            assert other.mutual_information(*query) == pytest.approx(model.mutual_information(*query), abs=1e-14)
        one, two = (m.partial_information_decomposition("x1", "x2") for m in (model, other))
        assert two.synergistic == pytest.approx(one.synergistic, abs=1e-14)
        latents, plain = other.sample(50, seed=1), model.sample(50, seed=1)
        np.testing.assert_allclose(
            other.pointwise_mutual_information(latents, "x1", "y"),
            model.pointwise_mutual_information(plain, "x1", "y"),
            atol=1e-9,
        )


def test_the_null_stays_null():
    null = CausalModel([1.0, 1.0], np.zeros((2, 2)), np.eye(2), shape=(3,))
    targets = [
        {"classes": {"quantiles": 7}},
        {"parity": {"causes": [0, 1]}},
        {"boolean": {"causes": [0, 1], "table": [0, 0, 0, 1]}},
        {"several": {"coefficients": [[1.0, 0.5]]}},
        {"function": {"name": "square"}},
        {"function": {"name": "sine"}},
    ]
    for target in targets:
        model = null.with_target(target)
        assert model.mutual_information(["x1", "x2"], "y") == 0.0
        assert model.mutual_information("x1", "x2", given="y") == 0.0
        rows = model.sample(5, seed=1)
        np.testing.assert_allclose(model.pointwise_mutual_information(rows, "x1", "y"), 0.0, atol=1e-14)
    assert null.with_target(targets[0]).bayes_accuracy("x1").value == pytest.approx(1 / 7, abs=1e-15)
    assert null.with_target(targets[1]).bayes_accuracy("x1").value == 0.5
    assert null.with_target(targets[2]).bayes_accuracy("x1").value == 0.75
    assert null.with_target({"function": {"name": "exponential"}}).r2_ceiling("x1").value == 0.0
