"""Bounds and floors for classes stay below what damaged channels carry, and tests of labels have honest p-values."""

from __future__ import annotations

import numpy as np
import pytest

from mmmi_hf.causal import Latents, common_cause
from mmmi_hf.causal.integrals.divergence import divergence
from mmmi_hf.causal.statistics.bounds import pointwise_bound
from mmmi_hf.causal.statistics.deviations import losses, steepness
from mmmi_hf.causal.statistics.floors import slack_of_ratio, target_floor
from mmmi_hf.causal.statistics.law_tests.targets import target_tests
from mmmi_hf.causal.statistics.tails import Listed
from mmmi_hf.causal.targets.line import Line

MODEL = common_cause((2, 2), mi=1.0).with_target({"classes": {"quantiles": 3, "flip": 0.05}})


def carried(model, share):
    """I of a channel that replaces a share of the rows by independent noise: the posterior is mixed with the prior."""
    view = model.law.view(("x1",))
    line, target = view._line, model.target
    t = np.linspace(-9.0, 9.0, 200_001)
    posterior = target.probabilities(line.rho * t, line.sine)
    mixed = (1.0 - share) * posterior + share * target.prior
    mass = np.exp(-0.5 * t * t) / np.sqrt(2.0 * np.pi) * (t[1] - t[0])
    return float(mass @ divergence(mixed, target.prior))


@pytest.mark.parametrize("share", [0.001, 0.01, 0.07, 0.3])
def test_floors_of_classes_lie_below_what_is_left(share):
    information = MODEL.mutual_information("x1", "y")
    law = Listed.of(*MODEL.pointwise_law("x1"))
    assert law.weights.sum() == pytest.approx(1.0, abs=1e-12)
    floor = target_floor(information, share, law=law)
    left = carried(MODEL, share)
    print(f"{share}: floor {floor.value:.4f}, left {left:.4f} of {information:.4f}")
    assert 0.0 <= floor.value < left < information
    assert share > 0.05 or floor.value > 0.5 * information
    assert target_floor(information, 0.0, law=law).value == information


def test_the_largest_values_are_those_of_the_points():
    law = Listed.of(np.array([0.2, 0.5, 0.3]), np.array([1.0, -1.0, 0.0]))
    for share, mean in ((0.3, 0.2), (0.6, 0.2 - 0.1), (1.0, -0.3)):
        weights = law.largest(share)
        assert weights.sum() == pytest.approx(share)
        assert mean <= law.summed(lambda i: i, weights) == pytest.approx(mean, abs=2e-6)


@pytest.mark.statistical
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_measured_bounds_of_classes_hold_as_often_as_stated(noise):
    """Where all rows err alike; what a few bad rows do is the business of floors."""
    rows, repetitions, error = 64, 400, 0.01
    drawn = MODEL.sample(rows * repetitions, seed=4)
    z = drawn.z["x1"] + noise * np.random.default_rng(0).standard_normal(drawn.z["x1"].shape)
    true = MODEL.pointwise_mutual_information(drawn, "x1", "y").reshape(repetitions, rows)
    found = MODEL.pointwise_mutual_information(Latents({"x1": z}, drawn.y), "x1", "y").reshape(repetitions, rows)
    information, line = MODEL.mutual_information("x1", "y"), MODEL.law.view(("x1",))._line
    rho = line.rho / np.hypot(1.0, noise)
    left = MODEL.target.seen(Line(-0.5 * np.log1p(-(rho**2)))).information().value
    for known in (true, None):
        bounds = pointwise_bound(information, found, error, known)
        above = int(np.count_nonzero(bounds > left))
        print(
            f"known {known is not None}: {above} of {repetitions} above, median {np.median(bounds):.3f} of {left:.3f}"
        )
        assert above <= 12
    clean = pointwise_bound(information, true, error, true)
    assert np.all(clean > 0.999 * information)


@pytest.mark.statistical
def test_p_values_of_honest_labels_are_not_small_too_often_and_others_are():
    small, counted = 0, 200
    for seed in range(counted):
        drawn = MODEL.sample(64, seed=seed)
        (test,) = target_tests(MODEL, drawn)
        small += test.p_value < 0.05
    print(f"{small} of {counted} below 0.05")
    assert small <= 20
    drawn = MODEL.sample(64, seed=3)
    (moved,) = target_tests(MODEL, Latents(drawn.z, np.roll(drawn.y, 1)))
    assert moved.p_value < 1e-4
    (constant,) = target_tests(MODEL, Latents(drawn.z, np.zeros(64, dtype=np.int64)))
    assert constant.p_value < 1e-4


@pytest.mark.parametrize("target", [{"classes": {"quantiles": 4}}, {"parity": {"causes": [0]}}])
def test_small_errors_cost_no_more_than_is_allowed_for(target):
    model = common_cause((2, 2), mi=1.5).with_target(target)
    drawn = model.sample(4000, seed=1)
    errors = np.random.default_rng(2).standard_normal(drawn.z["x1"].shape)
    errors *= (2.0 / np.linalg.norm(errors.reshape(4000, -1), axis=1))[:, None, None]
    for size in (1e-3, 1e-2, 0.05):
        have = Latents({"x1": drawn.z["x1"] + size * errors}, drawn.y)
        lost = losses(model, ("x1",), have, Latents({"x1": drawn.z["x1"]}, drawn.y)).mean()
        allowed = slack_of_ratio(size * steepness(model, ("x1", "y")))
        print(size, lost, allowed)
        assert lost <= allowed
