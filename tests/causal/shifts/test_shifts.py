"""Interventions against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InvalidModelError, NotExactError, common_cause
from mmmi_hf.causal.shifts.interventions import divergence_of_scale, divergence_of_value, with_cause_scaled
from tests.causal.causal_oracles import dense_rows
from tests.causal.targets.target_oracles import mixing_model

BOTH = ["x1", "x2"]


def dense_divergence(model, cause, scale, shift, blocks):
    """KL of two normal laws, by determinants."""
    matrix, rows = dense_rows(model)
    part = matrix[np.concatenate([rows[name] for name in blocks])]
    observed = part @ part.T
    direction = part[:, cause]
    done = observed + (scale**2 - 1.0) * np.outer(direction, direction)
    ratio = np.linalg.solve(observed, done)
    moved = shift**2 * direction @ np.linalg.solve(observed, direction)
    return 0.5 * (np.trace(ratio) - len(part) - np.linalg.slogdet(ratio)[1] + moved)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("blocks", [["x1"], BOTH])
def test_divergences_by_determinants(seed, blocks):
    model = mixing_model(seed, 3)
    for cause in range(3):
        expected = dense_divergence(model, cause, 1.7, 0.0, blocks)
        assert divergence_of_scale(model, cause, 1.7, blocks) == pytest.approx(expected, abs=1e-11)
        expected = dense_divergence(model, cause, 0.0, -2.0, blocks)
        assert divergence_of_value(model, cause, -2.0, blocks) == pytest.approx(expected, abs=1e-11)
    assert divergence_of_scale(model, 0, 1.0, blocks) == 0.0


def test_divergences_where_rows_lack_modalities_are_means_over_patterns():
    whole = common_cause((4,), mi=1.0)
    model = whole.with_missing({"x1": 0.3, "x2": 0.5})
    chances = {("x1", "x2"): 0.35, ("x1",): 0.35, ("x2",): 0.15}
    for ask in (lambda m, s: divergence_of_scale(m, 0, 2.0, s), lambda m, s: divergence_of_value(m, 0, -1.5, s)):
        expected = sum(chance * ask(whole, list(there)) for there, chance in chances.items())
        assert ask(model, BOTH) == pytest.approx(expected, abs=1e-13)
        assert ask(model, "x1") == pytest.approx(0.7 * ask(whole, "x1"), abs=1e-13)
        assert ask(model, BOTH) < 0.9 * ask(whole, BOTH)
    shifted = model.with_shift(0, 2.0)
    assert divergence_of_scale(model, 0, 2.0, BOTH) == pytest.approx(shifted.shift_divergence(BOTH), abs=1e-13)


def test_absences_stay_under_an_intervention():
    whole = mixing_model(1, 2)
    missing = {"x1": 0.3}
    done = with_cause_scaled(whole.with_missing(missing), 1, 2.0)
    assert done.law.missing == missing
    assert done.digest == with_cause_scaled(whole, 1, 2.0).with_missing(missing).digest
    single = common_cause((4,), mi=0.8)
    for change in (lambda m: m.with_shift(0, 1.6), lambda m: m.with_common_scale(4.0)):
        assert change(single.with_missing(missing)).digest == change(single).with_missing(missing).digest


@pytest.mark.parametrize(
    "model", [common_cause((4,), mi=0.8).with_common_scale(4.0), common_cause((4,), mi=0.8).with_shift(0, 1.6)]
)
def test_what_is_not_known_of_other_laws_is_refused(model):
    for changed in (model, model.with_missing({"x1": 0.3})):
        for ask in (
            lambda m: divergence_of_scale(m, 0, 2.0, "x1"),
            lambda m: divergence_of_value(m, 0, 2.0, "x1"),
            lambda m: with_cause_scaled(m, 0, 2.0),
        ):
            with pytest.raises(NotExactError, match=f"a {model.law.kind} model has no causes to intervene on"):
                ask(changed)


def test_a_scaled_cause_is_a_model_of_its_own():
    model = mixing_model(1, 2)
    done = with_cause_scaled(model, 1, 2.0)
    one, two = (dense_rows(m)[0] for m in (model, done))
    expected = one.copy()
    expected[:, 1] *= 2.0
    np.testing.assert_allclose(two, expected, rtol=1e-15)


def test_interventions_that_are_wrong():
    model = mixing_model(1, 2)
    for wrong, says in (
        (lambda: with_cause_scaled(model, 2, 1.0), "at most 1"),
        (lambda: with_cause_scaled(model, 0, 0.0), "above 0"),
        (lambda: divergence_of_value(model, 0, float("inf"), "x1"), "finite"),
        (lambda: divergence_of_value(model, 0, 1.0, "y"), "blocks name y"),
    ):
        with pytest.raises(InvalidModelError, match=says):
            wrong()
    with pytest.raises(NotExactError, match="without its target"):
        with_cause_scaled(model.with_target({"parity": {"causes": [0]}}), 0, 2.0)
    with pytest.raises(NotExactError, match="no causes to intervene on"):
        divergence_of_scale(CausalModel.from_matrix(np.eye(3)[:, [0, 1, 2]] + 0.1, [(2,)]), 0, 2.0, "x1")
