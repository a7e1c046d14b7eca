"""How often the bounds of the certificate exceed the true information of lossy channels: at most as often as stated."""

import math

import numpy as np
import pytest

from mmmi_hf.causal.statistics.confidence import upper_limit
from tests.causal.statistics.lossy_channels import Quantiser, bounds_of_pair, bounds_of_target


def check(found, truth, error, label):
    repetitions = len(next(iter(found.values())))
    limit = error + 3 * math.sqrt(error * (1 - error) / repetitions)
    worst = 0.0
    for name, bounds in found.items():
        share = float(np.mean(bounds > truth))
        z = (share - error) / math.sqrt(error * (1 - error) / repetitions)
        print(f"{label} {name}: {share:.4f} of {error} (z = {z:.1f}), median {np.median(bounds):.3f} of {truth:.3f}")
        worst = max(worst, share)
    assert worst <= limit


@pytest.mark.statistical
@pytest.mark.parametrize("levels", [2, 4, 16])
def test_coverage_for_the_target(levels):
    quantiser, rho = Quantiser(levels), math.sqrt(-math.expm1(-2.0))
    found = bounds_of_target(1.0, quantiser, 0.05, 2000, np.random.default_rng(levels))
    check(found, quantiser.information_with_source(rho), 0.05, f"{levels} levels, 1 nat,")


@pytest.mark.statistical
@pytest.mark.parametrize("levels", [4, 16])
def test_coverage_for_a_pair(levels):
    quantiser, rho = Quantiser(levels), math.sqrt(-math.expm1(-2.0))
    found = bounds_of_pair(1.0, quantiser, 0.05, 500, np.random.default_rng(levels))
    check(found, quantiser.information_of_both(rho), 0.05, f"{levels} levels, 1 nat,")


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("error", [0.05, 0.01, 0.00125])
@pytest.mark.parametrize("information", [0.25, 1.0, 2.5])
@pytest.mark.parametrize("levels", [2, 3, 4, 8, 16])
def test_coverage_everywhere(levels, information, error):
    quantiser, rho = Quantiser(levels), math.sqrt(-math.expm1(-2.0 * information))
    label = f"{levels} levels, {information} nats,"
    generator = np.random.default_rng([levels, int(100 * information), int(1e5 * error)])
    found = bounds_of_target(information, quantiser, error, 20_000, generator)
    check(found, quantiser.information_with_source(rho), error, label + " y:")
    found = bounds_of_pair(information, quantiser, error, 2000, generator)
    check(found, quantiser.information_of_both(rho), error, label + " pair:")


@pytest.mark.statistical
@pytest.mark.parametrize("law", ["normal", "exponential", "chi-square with 1 degree"])
def test_the_limit_of_a_mean_holds_for_skewed_laws(law):
    generator, error, repetitions = np.random.default_rng(3), 0.01, 20_000
    draw = {
        "normal": lambda shape: generator.standard_normal(shape) + 1.0,
        "exponential": lambda shape: generator.exponential(size=shape),
        "chi-square with 1 degree": lambda shape: generator.chisquare(1, size=shape),
    }[law]
    share = float(np.mean(upper_limit(draw((repetitions, 64)), error) < 1.0))
    z = (share - error) / math.sqrt(error * (1 - error) / repetitions)
    print(f"{law}: {share:.4f} of {error}, z = {z:.1f}")
    assert z < 3
