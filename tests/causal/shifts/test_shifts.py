"""Interventions against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InvalidModelError, NotExactError
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
