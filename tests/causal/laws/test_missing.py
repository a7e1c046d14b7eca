"""Modalities that rows lack by chance: counted patterns, rows, floors against those of whole rows, and refusals."""

from __future__ import annotations

import json
import math
from itertools import product

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
from mmmi_hf.causal.latents import Latents
from mmmi_hf.causal.laws.missing.patterns import lacking
from mmmi_hf.causal.quantities import reported
from mmmi_hf.causal.statistics.deviations import deviations, losses
from mmmi_hf.causal.statistics.floors import target_floor
from mmmi_hf.causal.statistics.law_tests.latents import law_tests, refused
from mmmi_hf.causal.statistics.shares import Grade, floors
from mmmi_hf.causal.statistics.tails import Listed, points_of_pair
from tests.causal.targets.target_oracles import mixing_model

BOTH, CHANCES, ROWS = ["x1", "x2"], {"x1": 0.3, "x2": 0.45}, 12_000
PAIR = mixing_model(3, 2)
REGIMES = categorical_cause((2, 2), means=[[-1.2, 0.3, 1.5], [0.4, -1.0, 0.9]])
WHOLE = {
    "number": PAIR,
    "classes": PAIR.with_target({"classes": {"quantiles": 5, "flip": 0.1}}),
    "parity": common_cause((4,), mi=0.8).with_target({"parity": {"causes": [0]}}),
    "category": REGIMES.with_target({"category": {"categories": 3}}),
    "several": PAIR.with_target({"several": {"coefficients": [[1.0, 0.0], [1.0, -2.0]]}}),
    "exponential": PAIR.with_target({"function": {"name": "exponential"}}),
    "heavy": common_cause((4,), mi=0.8).with_common_scale(4.0),
    "shifted": common_cause((4,), mi=0.8).with_shift(0, 1.6),
}
MODELS = {name: model.with_missing(CHANCES) for name, model in WHOLE.items()}
QUERIES = (("x1", "y"), (BOTH, "y"), ("x1", "y", "x2"), ("x1", "x2"), ("x1", "x2", "y"), ("x2", ["y", "x1"]))


def counted(model: CausalModel, a, b, given=()) -> float:
    """The mean over the four patterns, each asked of the whole model."""
    total = 0.0
    for here in product((True, False), repeat=2):
        gone = {name for name, there in zip(BOTH, here, strict=True) if not there}
        chance = math.prod(CHANCES[name] if name in gone else 1.0 - CHANCES[name] for name in BOTH)
        sides = [[n for n in ([each] if isinstance(each, str) else each) if n not in gone] for each in (a, b, given)]
        if sides[0] and sides[1]:
            total += chance * model.mutual_information(*sides)
    return total


@pytest.mark.parametrize("name", MODELS)
def test_information_is_the_mean_over_patterns(name):
    for query in QUERIES:
        assert MODELS[name].mutual_information(*query) == pytest.approx(counted(WHOLE[name], *query), abs=1e-12)
    assert MODELS[name].mutual_information("x1", "y") == pytest.approx(
        0.7 * WHOLE[name].mutual_information("x1", "y"), abs=1e-14
    )


def z_score(values: np.ndarray, expected: float, what: str) -> float:
    score = (values.mean() - expected) / (values.std() / math.sqrt(len(values)))
    print(f"{what}: {values.mean():.5f} beside {expected:.5f}, z = {score:+.2f}")
    return abs(float(score))


@pytest.mark.statistical
@pytest.mark.parametrize("name", MODELS)
def test_rows_have_the_information(name):
    model = MODELS[name]
    rows = model.sample(ROWS, seed=17)
    for modality, chance in CHANCES.items():
        assert z_score(lacking(rows.z[modality]).astype(float), chance, f"{name}: {modality} missing") < 4.0
    for query in QUERIES:
        found, expected = model.pointwise_mutual_information(rows, *query), model.mutual_information(*query)
        assert (expected < 1e-12 and np.abs(found).max() < 1e-9) or z_score(found, expected, f"{name}: I{query}") < 4.0
    if name not in ("exponential", "several", "heavy"):
        found = model.pointwise_mutual_information(rows, BOTH, "y")
        centred = (found - model.mutual_information(BOTH, "y")) ** 2
        assert z_score(centred, model.pointwise_variance(BOTH, "y"), f"{name}: variance") < 4.0


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["classes", "parity", "category"])
def test_the_posterior_reaches_the_bayes_accuracy(name):
    model = MODELS[name]
    rows = model.sample(ROWS, seed=5)
    for blocks in ("x1", BOTH):
        posterior = model.class_posterior(rows, blocks)
        right = (posterior.argmax(axis=1) == rows.y).astype(float)
        assert z_score(right, model.bayes_accuracy(blocks).value, f"{name}: accuracy of {blocks}") < 4.0
        losses_of_rows = -np.log(posterior[np.arange(ROWS), rows.y])
        assert z_score(losses_of_rows, model.bayes_log_loss(blocks).value, f"{name}: log loss of {blocks}") < 4.0
        weights, values = model.pointwise_law(blocks)
        assert weights.sum() == pytest.approx(1.0, abs=1e-9)
        assert weights @ values == pytest.approx(model.mutual_information(blocks, "y"), abs=1e-7)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["number", "exponential", "heavy"])
def test_the_mean_given_what_is_there_leaves_the_residual_variance(name):
    model = MODELS[name]
    rows = model.sample(ROWS, seed=6)
    squares = (rows.y - model.decode(rows, BOTH)) ** 2
    assert z_score(squares, model.residual_variance(BOTH), name) < 4.0
    assert 1.0 - model.residual_variance(BOTH) / model.variance_y == pytest.approx(model.r2_ceiling(BOTH).value)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_there_is_what_whole_rows_have(name):
    model, whole = MODELS[name], WHOLE[name]
    found, before = model.sample(40, seed=4, start=2), whole.sample(40, seed=4, start=2)
    assert found.y.tobytes() == before.y.tobytes()
    for modality in BOTH:
        gone = lacking(found.z[modality])
        assert 0 < gone.sum() < 40
        np.testing.assert_array_equal(found.z[modality][~gone], before.z[modality][~gone])
    apart = model.sample_rows([6, 3], seed=4)
    np.testing.assert_array_equal(lacking(apart.z["x1"]), lacking(found.z["x1"])[[4, 1]])
    again = CausalModel.from_json(model.to_json())
    assert again.digest == model.digest != whole.digest
    assert model.with_missing(None).digest == whole.digest
    assert set(json.loads(model.to_json())) - set(json.loads(whole.to_json())) == {"missing"}
    assert again.sample(3, seed=1).z["x1"].tobytes() == model.sample(3, seed=1).z["x1"].tobytes()
    assert model.with_target(None).with_missing(None).digest == whole.with_target(None).digest


def test_quantities_and_maps():
    names = [str(quantity) for quantity in reported(MODELS["classes"])]
    assert {"I(x1;y)", "bayes_accuracy(x1,x2;y)", "bayes_log_loss(x2;y)", "O(x1,x2,y)"} <= set(names)
    assert "KL(x1,x2)" in [str(quantity) for quantity in reported(MODELS["shifted"])]
    assert MODELS["shifted"].shift_divergence("x1") == pytest.approx(0.7 * WHOLE["shifted"].shift_divergence("x1"))
    for name in ("number", "classes"):
        np.testing.assert_allclose(MODELS[name].information_map("x1"), 0.7 * WHOLE[name].information_map("x1"))
        pair = 0.7 * 0.55 * WHOLE[name].information_map("x1", "x2")
        np.testing.assert_allclose(MODELS[name].information_map("x1", "x2"), pair)
    assert MODELS["classes"].information_error(BOTH, "y") < 1e-12
    assert MODELS["category"].with_target(None).information_error("x1", "x2") < 1e-9


def test_floors_of_rare_absence_approach_those_of_whole_rows():
    quantities = {"I(x1;y)": ("x1", "y"), "I(x1,x2;y)": ("x1", "x2", "y"), "I(x1;x2)": ("x1", "x2")}
    grades = {quantity: [Grade(1e-4, 0.02)] for quantity in quantities}
    for name in ("number", "classes"):
        whole = floors(WHOLE[name], quantities, grades)
        rare = floors(WHOLE[name].with_missing({"x1": 1e-9}), quantities, grades)
        often = floors(MODELS[name], quantities, grades)
        for quantity, blocks in quantities.items():
            assert rare[quantity].value == pytest.approx(whole[quantity].value, abs=1e-4)
            sides = (blocks[:-1], blocks[-1])
            exact = MODELS[name].mutual_information(*sides)
            assert 0.4 * exact < often[quantity].value < exact
    listed = target_floor(0.8, 0.03, 1e-3, Listed.of(*points_of_pair(0.8)))
    assert listed.value == pytest.approx(target_floor(0.8, 0.03, 1e-3).value, abs=1e-4)


def test_what_rows_lack_counts_as_recovered():
    model = MODELS["number"]
    true = model.sample(60, seed=9)
    gone = {name: lacking(true.z[name]) for name in BOTH}
    z = {name: true.z[name] + 1e-9 for name in BOTH}
    z["x1"][np.flatnonzero(~gone["x1"])[0]] = np.nan  # an inverse that failed
    have = Latents(z, true.y)
    lost, off = losses(model, ("x1", "x2"), have, true), deviations(model, ("x1", "x2"), have, true)
    assert np.isinf(lost).sum() == 1
    assert np.abs(lost[np.isfinite(lost)]).max() < 1e-6
    assert np.isinf(off).sum() <= 1
    np.testing.assert_array_equal(off[gone["x1"] | gone["x2"]], 0.0)


def test_flags_are_tested():
    rng = np.random.default_rng(0)
    often = PAIR.with_missing({"x1": 0.9}).sample(200, seed=2)
    tests = law_tests(MODELS["number"], often.z, often.y, "whiten", rng)
    assert "missing modalities" in [test.name for test in refused(tests)]
    none = PAIR.sample(1, seed=1)
    z = {"x1": np.full((2, 4), np.nan), "x2": np.repeat(none.z["x2"], 2, axis=0)}
    few = law_tests(MODELS["number"], z, np.zeros(2), "whiten", rng)
    assert "likeness of rows" in [test.name for test in refused(few)], "equal rows, also of two that lack something"


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({}, "expected a modality with a probability"),
        (0.3, "expected a modality with a probability"),
        ({"y": 0.3}, "missing names 'y', expected modalities: x1, x2"),
        ({"x3": 0.3}, "missing names 'x3'"),
        ({"x1": 1.0}, r"missing\[x1\] is 1.0"),
        ({"x1": -0.1}, r"missing\[x1\] is -0.1"),
        ({"x1": float("nan")}, r"missing\[x1\] is nan"),
        ({"x1": "0.3"}, r"missing\[x1\] is '0.3'"),
        ({"x1": 0.0}, "no probability above 0"),
    ],
)
def test_absences_that_are_wrong(missing, says):
    with pytest.raises(InvalidModelError, match=says):
        PAIR.with_missing(missing)


def test_what_is_not_known_of_rows_that_lack_something_is_refused():
    model = MODELS["number"]
    for ask, error, says in (
        (lambda: model.canonical_correlations("x1", "y"), NotExactError, r"^I\(x1;y\) has no .*rows lack modalities"),
        (
            lambda: model.canonical_correlations(BOTH, "y"),
            NotExactError,
            r"^I\(x1,x2;y\) has no canonical",
        ),
        (lambda: REGIMES.canonical_correlations("x1", "y", "x2"), NotExactError, r"I\(x1;y\|x2\) has no canonical"),
        (lambda: REGIMES.canonical_correlations("x1", "x2"), NotExactError, r"^I\(x1;x2\) has no canonical"),
        (lambda: WHOLE["heavy"].canonical_correlations("x1", "x2"), NotExactError, r"^I\(x1;x2\) has no canonical"),
        (lambda: model.partial_information_decomposition("x1", "x2"), NotExactError, "tell of y, and rows lack modal"),
        (
            lambda: MODELS["category"].partial_information_decomposition("x1", "x2"),
            NotExactError,
            "tell of y, and y is not Gaussian",
        ),
        (lambda: model.law.moments, NotExactError, "no moments"),
        (lambda: model.of_shared_causes("x1", "x2"), InvalidQueryError, "rows that lack nothing"),
        (lambda: model.law.read([], {}), InvalidModelError, "its field is missing"),
        (lambda: MODELS["number"].bayes_accuracy("x1"), NotExactError, "without classes"),
        (lambda: MODELS["exponential"].bayes_accuracy("x1"), NotExactError, "no Bayes accuracy"),
        (lambda: MODELS["exponential"].bayes_log_loss("x1"), NotExactError, "no Bayes log loss"),
        (lambda: MODELS["classes"].r2_ceiling("x1"), NotExactError, "no number"),
        (lambda: MODELS["exponential"].class_posterior(PAIR.sample(2, seed=1), "x1"), NotExactError, "no posterior"),
        (lambda: MODELS["several"].decode(PAIR.sample(2, seed=1), "x1"), NotExactError, "no mean"),
    ):
        with pytest.raises(error, match=says):
            ask()
    many = common_cause((1,), modalities=13, mi=0.1).with_missing({f"x{i}": 0.1 for i in range(1, 14)})
    with pytest.raises(InvalidQueryError, match="reaches 12"):
        many.mutual_information(list(many.modalities), "y")
    lone = PAIR.with_target({"classes": {"quantiles": 2}}).with_missing({"x1": 0.3})
    rows = MODELS["classes"].sample(40, seed=1)
    with pytest.raises(NotExactError, match="never missing"):
        lone.class_posterior(rows, BOTH)
