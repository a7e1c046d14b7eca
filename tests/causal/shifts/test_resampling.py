"""Rows with a cause drawn anew, against the model's linearity."""

from __future__ import annotations

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InvalidModelError, InvalidQueryError, NotExactError, common_cause
from mmmi_hf.causal.shifts import with_causes_resampled
from tests.causal.targets.target_oracles import mixing_model


def cause(model, k, n, seed):
    """ũ_k of rows, by way of a model whose target it is."""
    eta = np.zeros(len(model.eta))
    eta[k] = 1.0
    return CausalModel(eta, model.weights, model.mixing, shape=list(model.shapes.values())).sample(n, seed=seed).y


@pytest.mark.parametrize("k", range(3))
def test_latents_move_along_the_template_by_what_the_cause_moved(k):
    model = mixing_model(0, 3)
    before = model.sample(5, seed=3, standardize="none")
    after = with_causes_resampled(model, 5, causes={k: 8}, seed=3, standardize="none")
    moved = cause(model, k, 5, 8) - cause(model, k, 5, 3)
    np.testing.assert_allclose(after.y - before.y, model.eta[k] * moved, rtol=1e-12, atol=1e-12)
    for i, name in enumerate(model.modalities):
        template = model.template(i, k)
        expected = np.zeros_like(before.z[name])
        if template is not None:
            expected = model.weights[i, k] * moved.reshape(-1, *[1] * template.ndim) * template
        np.testing.assert_allclose(after.z[name] - before.z[name], expected, rtol=1e-9, atol=1e-12)


def test_all_causes_and_none():
    model = mixing_model(1, 3)
    same = with_causes_resampled(model, 4, causes={}, seed=2, start=7)
    drawn = model.sample(4, seed=2, start=7)
    assert all(np.array_equal(same.z[name], drawn.z[name]) for name in model.modalities)
    every = with_causes_resampled(model, 4, causes={0: 5, 1: 5, 2: 5}, seed=2, start=7)
    np.testing.assert_array_equal(every.y, model.sample(4, seed=5, start=7).y)
    assert (every.start, every.seed, len(every)) == (7, 2, 4)


def test_absences_and_the_noise_of_labels_stay():
    model = common_cause((1, 4, 4), mi=1.0).with_target({"classes": {"quantiles": 3, "flip": 0.3}})
    model = model.with_missing({"x1": 0.5})
    before = model.sample(64, seed=1)
    after = with_causes_resampled(model, 64, causes={0: 1}, seed=1)
    np.testing.assert_array_equal(before.y, after.y)  # the same seed gives the same cause
    other = with_causes_resampled(model, 64, causes={0: 2}, seed=1)
    np.testing.assert_array_equal(np.isnan(before.z["x1"]), np.isnan(other.z["x1"]))
    assert (before.y != other.y).any()


def test_what_cannot_be_asked():
    model = common_cause((1, 4, 4), mi=1.0)
    with pytest.raises(InvalidModelError, match="cause"):
        with_causes_resampled(model, 1, causes={1: 0}, seed=0)
    with pytest.raises(InvalidQueryError, match="seed of a cause"):
        with_causes_resampled(model, 1, causes={0: -1}, seed=0)
    with pytest.raises(InvalidQueryError, match="standardize"):
        with_causes_resampled(model, 1, causes={0: 1}, seed=0, standardize="other")
    with pytest.raises(NotExactError, match="no causes to draw anew"):
        with_causes_resampled(CausalModel.from_matrix(np.eye(3), [(1,), (1,)]), 1, causes={0: 1}, seed=0)
