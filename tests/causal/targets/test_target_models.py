"""Models with a target: rows, pointwise information and posteriors by Monte Carlo, text and digest, quantities."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mmmi_hf.causal import (
    CausalModel,
    InvalidModelError,
    InvalidQueryError,
    NotExactError,
    categorical_cause,
    common_cause,
)
from mmmi_hf.causal.quantities import read, reported
from mmmi_hf.causal.targets import all_kinds
from tests.causal.causal_oracles import dense_rows, random_model
from tests.causal.targets.target_oracles import mixing_model, separate_causes

ROWS = 12_000
BOTH = ["x1", "x2"]
PAIR = mixing_model(3, 2)
MODELS = {
    "classes": PAIR.with_target({"classes": {"quantiles": 3}}),
    "noisy classes": PAIR.with_target({"classes": {"edges": [-0.5, 1.0], "flip": 0.2}}),
    "parity": separate_causes([1.0, 0.6], {"parity": {"causes": [1, 0], "flip": 0.1}}),
    "boolean": separate_causes([1.0, 0.6], {"boolean": {"causes": [0, 1], "table": [0, 2, 1, 1], "flip": 0.1}}),
    "category": categorical_cause((2, 2), means=[[-1.2, 0.3, 1.5], [0.4, -1.0, 0.9]]).with_target(
        {"category": {"categories": 3, "flip": 0.1}}
    ),
    "several": PAIR.with_target({"several": {"coefficients": [[1.0, 0.0], [1.0, -2.0]]}}),
    "square": PAIR.with_target({"function": {"name": "square"}}),
    "absolute": PAIR.with_target({"function": {"name": "absolute"}}),
    "sine": PAIR.with_target({"function": {"name": "sine", "frequency": 2.0}}),
    "student": PAIR.with_target({"function": {"name": "student", "dof": 5.0}}),
}


def z_score(values: np.ndarray, expected: float, what: str) -> float:
    score = (values.mean() - expected) / (values.std() / math.sqrt(len(values)))
    print(f"{what}: {values.mean():.5f} beside {expected:.5f}, z = {score:+.2f}")
    return abs(float(score))


@pytest.mark.statistical
@pytest.mark.parametrize("name", MODELS)
def test_the_mean_of_pointwise_information_is_the_information(name):
    model = MODELS[name]
    rows = model.sample(ROWS, seed=17)
    for query in (("x1", "y"), (BOTH, "y"), ("x1", "y", "x2"), ("x1", "x2", "y"), ("x2", ["y", "x1"])):
        found = model.pointwise_mutual_information(rows, *query)
        expected = model.mutual_information(*query)
        if expected == 0.0:
            np.testing.assert_allclose(found, 0.0, atol=1e-12)
        else:
            assert z_score(found, expected, f"{name}: I{query}") < 4.0


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["classes", "noisy classes", "parity", "boolean"])
def test_the_posterior_reaches_the_bayes_accuracy_and_is_calibrated(name):
    model = MODELS[name]
    rows = model.sample(ROWS, seed=5)
    for blocks in ("x1", BOTH):
        posterior = model.class_posterior(rows, blocks)
        np.testing.assert_allclose(posterior.sum(axis=1), 1.0, atol=1e-12)
        right = (posterior.argmax(axis=1) == rows.y).astype(float)
        assert z_score(right, model.bayes_accuracy(blocks).value, f"{name}: accuracy of {blocks}") < 4.0
        losses = -np.log(posterior[np.arange(ROWS), rows.y])
        if losses.std() > 1e-9:
            assert z_score(losses, model.bayes_log_loss(blocks).value, f"{name}: log loss of {blocks}") < 4.0
        for label in range(model.classes):
            residual = (rows.y == label) - posterior[:, label]
            assert z_score(residual * (1.0 + posterior[:, label]), 0.0, f"{name}: calibration of {label}") < 4.0


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["square", "absolute", "sine", "student"])
def test_the_mean_given_modalities_leaves_the_residual_variance(name):
    model = MODELS[name]
    rows = model.sample(4000, seed=6)
    squares = (rows.y - model.decode(rows, BOTH)) ** 2
    assert z_score(squares, model.residual_variance(BOTH), name) < 4.0
    assert 1.0 - model.residual_variance(BOTH) / model.variance_y == pytest.approx(model.r2_ceiling(BOTH).value)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["classes", "parity", "boolean", "several", "student"])
def test_the_variance_of_pointwise_information(name):
    model = MODELS[name]
    found = model.pointwise_mutual_information(model.sample(ROWS, seed=8), BOTH, "y")
    centred = (found - model.mutual_information(BOTH, "y")) ** 2
    assert z_score(centred, model.pointwise_variance(BOTH, "y"), name) < 4.0


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(5))
def test_classes_of_any_model(seed):
    """Chain rules, the bound by the Gaussian information, and rows, over sparse and full models of any shapes."""
    rng = np.random.default_rng(seed)
    plain = random_model(rng, least=2, most=3)
    model = plain.with_target({"classes": {"quantiles": int(rng.integers(2, 12)), "flip": 0.05}})
    a, b = "x1", "x2"
    total = model.mutual_information([a, b], "y")
    assert total == pytest.approx(model.mutual_information(a, "y") + model.mutual_information(b, "y", a), abs=1e-12)
    assert model.interaction_information(a, b, "y") == pytest.approx(
        model.mutual_information(a, "y") - model.mutual_information(a, "y", b), abs=1e-10
    )
    assert total <= plain.mutual_information([a, b], "y") + 1e-12
    rows = model.sample(4000, seed=seed)
    found = model.pointwise_mutual_information(rows, [a, b], "y")
    assert total == pytest.approx(0.0, abs=1e-12) or z_score(found, total, "information") < 4.0


def test_a_matrix_may_have_classes_and_no_signs():
    model = mixing_model(1, 2)
    matrix = CausalModel.from_matrix(dense_rows(model)[0], list(model.shapes.values()))
    classes = {"classes": {"quantiles": 4}}
    one, two = (m.with_target(classes).mutual_information("x1", "y") for m in (model, matrix))
    assert one == pytest.approx(two, abs=1e-11)
    for target in ({"parity": {"causes": [0]}}, {"several": {"coefficients": [[1.0]]}}):
        with pytest.raises(NotExactError, match="which a matrix model has not"):
            matrix.with_target(target)
    with pytest.raises(NotExactError, match="a model of a matrix has no causes"):
        matrix.law.posterior_of_causes(("x1",))


@pytest.mark.parametrize("name", MODELS)
def test_round_trip_and_digest(name):
    model = MODELS[name]
    again = CausalModel.from_json(model.to_json())
    assert again.to_json() == model.to_json()
    assert again.digest == model.digest != model.with_target(None).digest
    assert model.with_target(model.target).digest == model.digest
    one, two = model.sample(4, seed=2), again.sample(4, seed=2)
    assert one.y.tobytes() == two.y.tobytes()
    assert again.mutual_information(BOTH, "y") == model.mutual_information(BOTH, "y")
    assert set(json.loads(model.to_json())) - set(json.loads(model.with_target(None).to_json())) == {"target"}


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_those_of_the_plain_model(name):
    model = MODELS[name]
    plain = model.with_target(None)
    found, before = model.sample(5, seed=4, start=2), plain.sample(5, seed=4, start=2)
    for modality in model.modalities:
        assert found.z[modality].tobytes() == before.z[modality].tobytes()
    apart = model.sample_rows([6, 3], seed=4)
    np.testing.assert_array_equal(apart.y, found.y[[4, 1]])
    assert model.mutual_information("x1", "x2") == plain.mutual_information("x1", "x2")


def test_every_kind_of_target_is_tried():
    assert {model.target.kind for model in MODELS.values()} == set(all_kinds())


def test_the_ground_truth_lists_what_is_exact():
    names = {name: [str(quantity) for quantity in reported(model)] for name, model in MODELS.items()}
    for word in ("bayes_accuracy", "bayes_log_loss"):
        assert {f"{word}(x1;y)", f"{word}(x2;y)", f"{word}(x1,x2;y)"} <= set(names["classes"])
    assert "r2_ceiling(x1,x2;y)" in names["square"]
    assert "synergistic(x1,x2;y)" in names["parity"]
    assert "synergistic(x1,x2;y)" not in names["classes"] + names["square"] + names["several"]
    assert {"I(x1;y)", "I(x1;x2|y)", "TC(x1,x2,y)", "O(x1,x2,y)"} <= set(names["boolean"])
    assert not any("bayes" in name or "r2" in name for name in map(str, reported(PAIR)))
    assert read("bayes_accuracy(x1,x2;y)").of(MODELS["parity"]) == MODELS["parity"].bayes_accuracy(BOTH).value
    assert read("bayes_log_loss(x1;y)").of(MODELS["classes"]) == MODELS["classes"].bayes_log_loss("x1").value
    assert read("r2_ceiling(x1;y)").of(PAIR) == pytest.approx(1.0 - PAIR.residual_variance("x1") / PAIR.variance_y)
    assert (read("bayes_accuracy(x1;y)").kind.unit, read("I(x1;y)").kind.unit) == ("share of rows", "nats")


def test_maps_of_what_coordinates_tell():
    model = MODELS["classes"]
    gaussian, found = PAIR.information_map("x1"), model.information_map("x1")
    assert found.shape == gaussian.shape
    assert np.all((found < gaussian) & (found > 0.0))
    assert model.information_map("x1", "x2").tobytes() == PAIR.information_map("x1", "x2").tobytes()


def refuse(says):
    return pytest.raises(NotExactError, match=says)


def test_what_has_no_exact_value_is_refused():
    classes, square, several = MODELS["classes"], MODELS["square"], MODELS["several"]
    with refuse("both tell of y"):
        classes.partial_information_decomposition("x1", "x2")
    with refuse("no canonical correlations"):
        classes.canonical_correlations("x1", "y")
    with refuse("without a condition"):
        classes.pointwise_variance("x1", "y", "x2")
    with refuse("variance of the pointwise information"):
        square.pointwise_variance("x1", "y")
    with refuse("no Bayes accuracy"):
        square.bayes_accuracy("x1")
    with refuse("no Bayes log loss"):
        square.bayes_log_loss("x1")
    with refuse("no posterior of them"):
        square.class_posterior(square.sample(2, seed=1), "x1")
    with refuse("y is a class, no number"):
        classes.r2_ceiling("x1")
    with refuse("no mean given"):
        several.decode(several.sample(2, seed=1), "x1")
    with refuse("no variance given"):
        classes.residual_variance("x1")
    with refuse("has no variance"):
        _ = classes.variance_y
    with refuse("without classes"):
        PAIR.bayes_accuracy("x1")
    with refuse("several causes"):
        several.information_map("x1")
    with refuse("second moments"):
        _ = classes.law.moments
    mixed = PAIR.with_target({"parity": {"causes": [0, 1]}})
    with refuse("of which the Bayes accuracy is not exact"):
        mixed.bayes_accuracy("x1")
    table = PAIR.with_target({"boolean": {"causes": [0, 1], "table": [0, 1, 1, 1]}})
    with refuse("Bayes accuracy of a label of signs"):
        table.bayes_accuracy("x1")
    with refuse("mix 3 causes"):
        mixing_model(2, 3, {"parity": {"causes": [0, 1, 2]}}).mutual_information("x1", "y")
    four = separate_causes([1.0] * 4, {"boolean": {"causes": [0, 1, 2, 3], "table": [0] * 15 + [1]}})
    with refuse("tell of 4 groups"):
        four.mutual_information(list(four.modalities), "y")
    loud = PAIR.with_target({"function": {"name": "sine"}}).with_target({"function": {"name": "sine"}})
    assert loud.digest == PAIR.with_target({"function": {"name": "sine"}}).digest
    with refuse("tell too much"):
        common_cause((2,), mi=9.0).with_target({"function": {"name": "sine"}}).mutual_information("x1", "y")
    shared = CausalModel([1.0], [[1.0], [0.5]], np.ones((2, 1)), shape=(4,), target={"parity": {"causes": [0]}})
    with refuse("linearly dependent"):
        shared.mutual_information(BOTH, "y")
    assert shared.mutual_information("x1", "y") > 0.0


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "expected one kind"),
        ("classes", "expected one kind"),
        ({"colours": {}}, "expected one kind"),
        ({"classes": 3}, "expected one kind"),
        ({"classes": {}}, "give exactly one"),
        ({"classes": {"quantiles": 2, "edges": [0.0]}}, "give exactly one"),
        ({"classes": {"quantiles": 1}}, "expected an integer of at least 2"),
        ({"classes": {"quantiles": True}}, "True is no number"),
        ({"classes": {"quantiles": 1001}}, "at most 1000"),
        ({"classes": {"quantiles": [0.0, 0.5]}}, "between 0 and 1"),
        ({"classes": {"quantiles": [0.5, 0.2]}}, "ascending"),
        ({"classes": {"edges": []}}, "ascending"),
        ({"classes": {"edges": list(range(1000))}}, "at most 999"),
        ({"classes": {"edges": [0.0, 9.0]}}, "class 2 has probability"),
        ({"classes": {"quantiles": 2, "flip": 1.5}}, "from 0 to 1"),
        ({"classes": {"quantiles": 2, "flip": 0.1, "noise": [[1, 0], [0, 1]]}}, "give one of them"),
        ({"classes": {"quantiles": 2, "noise": [[1.0, 0.0]]}}, "noise has shape"),
        (
            {"classes": {"quantiles": 2, "noise": [[1.0, 0.0], [0.5, 0.4]]}},
            r"noise\[1\] is \[0.5, 0.4\] with the sum 0.9",
        ),
        ({"classes": {"quantiles": 2, "noise": [[1.0, 0.0], [1.0, 0.0]]}}, "never gives"),
        ({"classes": {"quantiles": 2, "bins": 3}}, "unknown fields bins"),
        ({"parity": {}}, "lacks causes"),
        ({"parity": {"causes": []}}, "numbers of causes"),
        ({"parity": {"causes": [0, 0]}}, "at most once"),
        ({"parity": {"causes": [0, -1]}}, r"causes\[1\] is -1"),
        ({"parity": {"causes": [0, 2]}}, "the model has 2 causes"),
        ({"boolean": {"causes": [0], "table": [0]}}, "expected 2 labels"),
        ({"boolean": {"causes": [0], "table": [0, 0]}}, "two labels or more"),
        ({"boolean": {"causes": [0, 1], "table": [0, 2, 2, 0]}}, "none of 0 … left out"),
        ({"boolean": {"causes": [0, 5], "table": [0, 1, 1, 1]}}, "the model has 2 causes"),
        ({"several": {"coefficients": [[1.0, 2.0], [2.0, 4.0]]}}, "dependent rows"),
        ({"several": {"coefficients": [[1.0, 2.0, 3.0]]}}, "3 columns"),
        ({"several": {"coefficients": [1.0]}}, "expected"),
        ({"function": {}}, "lacks name"),
        ({"function": {"name": "cube"}}, "expected a function"),
        ({"function": {"name": "sine", "sigma": 1.0}}, "unknown fields sigma"),
        ({"function": {"name": "sine", "frequency": 20.0}}, "frequency is 20"),
        ({"function": {"name": "student", "dof": 2.0}}, "dof is 2"),
        ({"several": {"coefficients": [[1.0, 0.0], [0.0, 0.0]]}}, r"coefficients\[1\] is all zero"),
        ({"several": {}}, "lacks coefficients, such as several"),
        ({"function": {"name": "log_normal", "sigma": 11.0}}, "sigma is 11"),
    ],
)
def test_targets_that_are_wrong(target, says):
    with pytest.raises(InvalidModelError, match=says):
        PAIR.with_target(target)


def test_rows_that_are_no_classes_are_refused():
    model = MODELS["classes"]
    rows = model.sample(3, seed=1)
    for y in (np.array([0.0, 0.5, 1.0]), np.array([0, 1, 3])):
        with pytest.raises(InvalidQueryError, match="expected classes 0 … 2"):
            model.pointwise_mutual_information(type(rows)(rows.z, y), "x1", "y")
    several = MODELS["several"]
    with pytest.raises(InvalidQueryError, match="expected 2 numbers for each"):
        several.pointwise_mutual_information(rows, "x1", "y")


@pytest.mark.parametrize("target", [{"parity": {"causes": [0]}}, {"several": {"coefficients": [[1.0]]}}])
def test_causes_with_a_common_scale_are_not_said_to_be_none(target):
    with pytest.raises(NotExactError, match="causes that are Gaussian numbers, which a student model has not"):
        common_cause((2,), mi=1.0).with_common_scale(3.0).with_target(target)
