"""Tests of rows that lack modalities: honest ones are refused as seldom as stated, forged patterns always."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, categorical_cause, common_cause
from mmmi_hf.causal.laws.missing.patterns import lacking
from mmmi_hf.causal.statistics.law_tests.absences import absence_test
from mmmi_hf.causal.statistics.law_tests.latents import law_tests, refused
from tests.causal.targets.target_oracles import mixing_model

CHANCES = {"x1": 0.3, "x2": 0.45}
PAIR, REGIMES = mixing_model(3, 2), categorical_cause((2, 2), means=[[-1.2, 0.3, 1.5], [0.4, -1.0, 0.9]])
WHOLE = {
    "number": PAIR,
    "classes": PAIR.with_target({"classes": {"quantiles": 5, "flip": 0.1}}),
    "category": REGIMES.with_target({"category": {"categories": 3}}),
    "several": PAIR.with_target({"several": {"coefficients": [[1.0, 0.0], [1.0, -2.0]]}}),
    "exponential": PAIR.with_target({"function": {"name": "exponential"}}),
    "heavy": common_cause((4,), mi=0.8).with_common_scale(4.0),
    "shifted": common_cause((4,), mi=0.8).with_shift(0, 1.6),
}
MODELS = {name: model.with_missing(CHANCES) for name, model in WHOLE.items()}
ROWS = 64


def outcome(model, seed, change=None, n=ROWS):
    drawn = model.sample(n, seed=seed)
    z, y = {name: values.copy() for name, values in drawn.z.items()}, drawn.y.copy()
    if change is not None:
        change(z, y)
    return law_tests(model, z, y, "whiten", np.random.default_rng([seed, 1]))


@pytest.mark.statistical
@pytest.mark.parametrize("name", MODELS)
def test_honest_rows_are_refused_as_seldom_as_stated(name):
    level, repetitions = 0.05, 60
    results = [outcome(MODELS[name], seed) for seed in range(repetitions)]
    share = sum(bool(refused(tests, level)) for tests in results) / repetitions
    z = (share - level) / math.sqrt(level * (1 - level) / repetitions)
    print(f"{name}: {share:.3f} of {level}, z = {z:.1f}")
    assert z < 3
    assert all(len({test.name for test in tests}) == len(tests) for tests in results), "a record has one of each name"


@pytest.mark.statistical
def test_honest_absences_are_refused_as_seldom_as_stated():
    chances, generator, repetitions = {"x1": 0.3, "x2": 0.05, "x3": 0.8}, np.random.default_rng(0), 2_000
    for rows in (5, 80):
        p_values = np.empty(repetitions)
        for k in range(repetitions):
            absent = {name: generator.random(rows) < chance for name, chance in chances.items()}
            z = {name: np.where(gone, np.nan, 0.0)[:, None] for name, gone in absent.items()}
            p_values[k] = absence_test(chances, z).p_value
        for level in (0.05, 0.01):
            share = float((p_values <= level).mean())
            print(f"{rows} rows: {share:.4f} of {level}")
            assert share <= level + 3.0 * math.sqrt(level / repetitions)


def constant_beside_absence(z, y):
    z["x1"][lacking(z["x2"]) & ~lacking(z["x1"])] = 5.0


def y_shuffled_beside_absence(z, y):
    rows = np.flatnonzero(lacking(z["x2"]) & ~lacking(z["x1"]))
    y[rows] = y[np.roll(rows, 1)]


def y_constant_where_nothing_is(z, y):
    y[lacking(z["x1"]) & lacking(z["x2"])] = 0.0


def swapped_absences(z, y):
    """x1 is lacking where y is large, as often as declared."""
    order = np.argsort(-y)
    gone = np.zeros(len(y), dtype=bool)
    gone[order[: lacking(z["x1"]).sum()]] = True
    there = z["x1"][~lacking(z["x1"])]
    z["x1"][gone] = np.nan
    z["x1"][~gone] = there


def one_for_all(z, y):
    """x2 is lacking where x1 is."""
    z["x2"][lacking(z["x1"])] = np.nan


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((name, constant_beside_absence) for name in MODELS),
        ("number", y_shuffled_beside_absence),
        ("classes", y_shuffled_beside_absence),
        ("number", y_constant_where_nothing_is),
        ("classes", y_constant_where_nothing_is),
        ("number", swapped_absences),
        ("number", one_for_all),
    ],
)
def test_rows_that_lack_something_are_tested_too(name, change):
    found = refused(outcome(MODELS[name], 3, change, n=400))
    print([(test.name, test.where, test.p_value) for test in found])
    assert found


def test_absences_that_go_together_are_found_though_each_is_as_often_as_declared():
    chances = {"x1": 0.5, "x2": 0.5, "x3": 0.5}
    flips = np.random.default_rng(0).random((200, 2)) < 0.5
    gone = {"x1": flips[:, 0], "x2": flips[:, 1], "x3": flips[:, 0] ^ flips[:, 1]}  # each two are independent
    z = {name: np.where(each, np.nan, 0.0)[:, None] for name, each in gone.items()}
    found = absence_test(chances, z)
    assert found.p_value < 1e-10
    assert found.where == "all patterns"


@pytest.mark.parametrize(
    ("missing", "value", "where"),
    [(CHANCES, np.inf, "x1"), (CHANCES, 1e9, "x1"), ({"x2": 0.45}, np.nan, "x1")],
)
def test_values_that_cannot_be_are_found_in_any_row(missing, value, where):
    model = PAIR.with_missing(missing)

    def change(z, y):
        row = np.flatnonzero(lacking(z["x2"]) & ~lacking(z["x1"]))[0]
        z["x1"][row] = value

    (only,) = outcome(model, 3, change)
    assert (only.name, only.p_value) == ("possible values", 0.0)
    assert only.where.startswith(where)


def test_rows_that_each_have_a_pattern_of_their_own_are_tested_one_modality_at_a_time():
    model = CausalModel([1.0], [[1.0]] * 3, np.eye(3), shape=(4,)).with_missing(dict.fromkeys(("x1", "x2", "x3"), 0.5))
    drawn = model.with_missing(None).sample(8, seed=1)
    z = {name: values.copy() for name, values in drawn.z.items()}
    for row in range(8):
        for k, name in enumerate(z):
            if row >> k & 1:
                z[name][row] = np.nan
    tests = law_tests(model, z, drawn.y, "whiten", np.random.default_rng(0))
    assert refused(tests) == []
    assert {"means", "variances", "likelihood", "missing modalities"} <= {test.name for test in tests}
    z["x2"][~lacking(z["x2"])] = 7.0
    assert refused(law_tests(model, z, drawn.y, "whiten", np.random.default_rng(0)))
