"""Floors against independent routes: the tables, plain grids, adaptive quadrature, closed forms and simulation."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special

from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.statistics.confidence import unseen_share
from mmmi_hf.causal.statistics.floors import pair_floor, pair_slack, target_floor, target_slack
from mmmi_hf.causal.statistics.tails import (
    QUADRATURE_ERROR,
    correlation,
    excess_of_largest,
    expectation,
    largest_values,
    upper_quantile,
)

TARGETS = {
    64: {0.25: 0.0505, 1.0: 0.6000, 2.5: 1.9366},
    1000: {0.25: 0.2201, 1.0: 0.9516, 2.5: 2.4391},
    10_000: {0.25: 0.2457, 1.0: 0.9933, 2.5: 2.4919},
}
PAIRS = {
    64: {0.25: 0.0, 1.0: 0.4039, 2.5: 1.7896},
    1000: {0.25: 0.1971, 1.0: 0.9373, 2.5: 2.4290},
    10_000: {0.25: 0.2430, 1.0: 0.9917, 2.5: 2.4908},
}


@pytest.mark.parametrize("rows", TARGETS)
def test_the_tables_of_clean_rows_at_99_percent(rows):
    share = unseen_share(rows, 0.01)
    for information, value in TARGETS[rows].items():
        assert target_floor(information, share).value == pytest.approx(value, abs=6e-5)
    for information, value in PAIRS[rows].items():
        assert pair_floor(information, [correlation(information)], share).value == pytest.approx(value, abs=6e-5)


@pytest.mark.parametrize("information", [0.25, 1.0, 2.5])
@pytest.mark.parametrize("share", [0.0694, 0.00528])
def test_a_target_against_a_plain_grid(information, share):
    """i = I + ρ U V on a grid of two normals, its largest values by sorting, at the ε that was chosen."""
    floor = target_floor(information, share)
    x = np.linspace(-8.5, 8.5, 1201)
    weights = np.multiply.outer(np.exp(-0.5 * x * x), np.exp(-0.5 * x * x)).ravel()
    weights /= weights.sum()
    i = information + correlation(information) * np.multiply.outer(x, x).ravel()
    order = np.argsort(-i)
    f = np.logaddexp(np.log1p(-floor.mixture) + i, np.log(floor.mixture))[order]
    top = np.cumsum(weights[order]) <= share
    plain = weights[order] @ f - (weights[order] * (f - np.log(floor.mixture)))[top].sum()
    assert floor.value == pytest.approx(plain, abs=2e-4)


@pytest.mark.parametrize("share", [0.5, 0.0694, 0.0046, 1e-6])
def test_one_pair_against_adaptive_quadrature(share):
    def density(w):
        return special.k0(w) / np.pi

    quantile = upper_quantile(share)
    tail = integrate.quad(density, quantile, np.inf, epsabs=0.0, epsrel=1e-11)[0]
    assert tail == pytest.approx(share, rel=1e-10)
    above = integrate.quad(lambda w: w * density(w), quantile, np.inf, epsabs=0.0, epsrel=1e-11)[0]
    assert 0.0 < excess_of_largest([0.9], share) - 0.9 * above < 2.0 * QUADRATURE_ERROR


@pytest.mark.parametrize("information", [1e-3, 0.25, 2.5, 15.0])
@pytest.mark.parametrize("mixture", [1e-9, 1e-3, 0.3])
def test_the_mixed_critic_against_adaptive_quadrature(information, mixture):
    rho = correlation(information)

    def critic(i):
        return np.logaddexp(np.log1p(-mixture) + i, np.log(mixture))

    def integrand(w):
        return (critic(information + rho * w) + critic(information - rho * w)) * special.k0(w) / np.pi

    pieces = [0.0, 1e-3, 0.1, 1.0, 5.0, 20.0, 60.0]
    plain = sum(integrate.quad(integrand, a, b, epsabs=1e-13, limit=200)[0] for a, b in pairwise(pieces))
    allowed = QUADRATURE_ERROR * max(1.0, information)
    assert abs(expectation(critic, information) - plain) < allowed
    quantile = upper_quantile(0.01)
    tail = [quantile, quantile + 1.0, 10.0, 60.0]
    plain = sum(
        integrate.quad(lambda w: critic(information + rho * w) * special.k0(w) / np.pi, a, b, epsabs=1e-13)[0]
        for a, b in pairwise(tail)
    )
    assert 0.0 < largest_values(critic, information, 0.01) - plain < 2.0 * allowed


@pytest.mark.parametrize("share", [0.4, 0.07, 0.0046, 1e-5])
def test_two_equal_pairs_have_the_laplace_law(share):
    exact = share * 0.7 * (math.log(0.5 / share) + 1.0)
    assert 0.0 <= excess_of_largest([0.7, 0.7], share) / exact - 1.0 < 3e-8


@pytest.mark.parametrize("pairs", [3, 8, 100])
@pytest.mark.parametrize("share", [0.07, 0.0046])
def test_equal_pairs_against_the_variance_gamma_law(pairs, share):
    """The density |w|^ν K_ν(|w|) / (√π 2^ν Γ(m/2)), ν = (m - 1)/2, of a sum of m products."""
    order = (pairs - 1) / 2.0
    constant = 0.5 * math.log(math.pi) + order * math.log(2.0) + special.gammaln(pairs / 2.0)

    w = np.linspace(1e-3 * pairs, 60.0 + 12.0 * math.sqrt(pairs), 400_001)
    density = np.exp(order * np.log(w) + np.log(special.kve(order, w)) - w - constant)
    tail = integrate.cumulative_simpson(density[::-1], x=-w[::-1], initial=0.0)[::-1]
    quantile = np.interp(-share, -tail, w)
    above = w >= quantile
    exact = share * quantile + integrate.simpson((w - quantile)[above] * density[above], x=w[above])
    assert excess_of_largest([0.5] * pairs, share) == pytest.approx(0.5 * exact, rel=1e-5)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "correlations",
    [[0.9, 0.5], [0.9, *[0.01] * 50], np.linspace(0.001, 0.9, 60)],
    ids=["two", "one of many", "a range"],
)
def test_unequal_pairs_against_simulation(correlations):
    generator, share, draws = np.random.default_rng(5), 0.02, 200_000
    w = sum(r * generator.standard_normal(draws) * generator.standard_normal(draws) for r in correlations)
    largest = np.sort(w)[-round(share * draws) :]
    error = math.sqrt((share * largest.var() + share * (largest.mean() - largest[0]) ** 2) / draws)
    z = (largest.sum() / draws - excess_of_largest(correlations, share)) / error
    print(f"z = {z:.1f}")
    assert abs(z) < 4


def test_thousands_of_pairs_take_no_time_and_stay_below_the_entropic_bound():
    rho, share = np.full(3072, 0.3), 0.0046
    slope = np.linspace(0.01, 3.0, 1000)
    entropic = ((-0.5 * 3072 * np.log1p(-((0.3 * slope) ** 2)) - np.log(share)) / slope).min()
    normal = 0.3 * math.sqrt(3072) * math.exp(-0.5 * special.ndtri(share) ** 2) / math.sqrt(2 * math.pi)
    assert normal < excess_of_largest(rho, share) < share * entropic
    assert excess_of_largest(rho, share) == pytest.approx(normal, rel=5e-3)


def test_a_contour_that_is_cut_early_errs_upwards():
    """A second pair that is next to nothing makes the integrand fall as slowly as that of one pair."""
    one, two = excess_of_largest([0.9], 0.01), excess_of_largest([0.9, 1e-6], 0.01)
    assert one < two < one * (1.0 + 1e-6)


def test_pairs_without_correlation_add_nothing():
    assert excess_of_largest([], 0.01) == excess_of_largest([0.0, 0.0], 0.01) == 0.0
    assert excess_of_largest([0.9, 0.0], 0.01) == excess_of_largest([0.9], 0.01)


@pytest.mark.parametrize("information", [0.25, 1.0, 2.5])
def test_floors_fall_in_the_share_and_in_the_slack(information):
    shares = [0.0, 1e-6, 1e-4, 0.01, 0.1, 0.5, 0.7]
    targets = [target_floor(information, share).value for share in shares]
    pairs = [pair_floor(information, [correlation(information)], share).value for share in shares]
    assert targets == sorted(targets, reverse=True)
    assert pairs == sorted(pairs, reverse=True)
    assert targets[0] == pairs[0] == information
    assert targets[-1] == pairs[-1] == 0.0
    assert target_floor(information, 1e-6, 0.1).value == pytest.approx(targets[1] - 0.1)
    assert pair_floor(information, [correlation(information)], 0.0, 0.1).value == pytest.approx(information - 0.1)
    assert target_floor(information, 0.0, 9.0).value == 0.0


def test_no_information_has_no_floor():
    assert target_floor(0.0, 0.01).value == pair_floor(0.0, [], 0.01).value == 0.0


@pytest.mark.parametrize("information", [0.25, 1.0, 2.5])
@pytest.mark.parametrize("deviation", [0.01, 0.2])
def test_what_deviations_cost_is_no_more_than_is_allowed(information, deviation):
    """One pair by quadrature: the worst errors, which look at both sides, within the deviation."""
    rho, kappa = correlation(information), math.sqrt(math.expm1(2.0 * information))
    nodes, of_nodes = np.polynomial.hermite_e.hermegauss(61)
    grid = np.linspace(-8.0, 8.0, 1601)
    weights = np.multiply.outer(of_nodes, np.exp(-0.5 * grid * grid)).ravel()
    weights /= weights.sum()
    a, e = np.repeat(nodes, len(grid)), np.tile(grid, len(nodes))
    b = rho * a + math.sqrt(1.0 - rho * rho) * e
    e_other = (a - rho * b) / math.sqrt(1.0 - rho * rho)

    def pointwise(a, b):
        return information + (rho * a * b - 0.5 * rho**2 * (a * a + b * b)) / (1.0 - rho**2)

    assert weights @ pointwise(a, b) == pytest.approx(information)
    lost = weights @ (pointwise(a, b) - pointwise(a - deviation * np.sign(e), b))
    assert lost <= target_slack(information, deviation)
    assert target_slack(information, deviation) <= deviation * kappa * (0.8 + 0.5 * deviation * kappa)
    errors = [(s * deviation, t * deviation) for s in (-1, 0, 1) for t in (-1, 0, 1)]
    errors += [(s * deviation * np.sign(e), t * deviation * np.sign(e_other)) for s in (-1, 1) for t in (-1, 1)]
    changes = np.array([pointwise(a + u, b + v) - pointwise(a, b) for u, v in errors])
    joint = -weights @ changes.min(axis=0)
    product = math.log(weights @ np.exp(changes.max(axis=0)))
    assert joint + product <= pair_slack([rho], deviation)


def test_slack_of_several_pairs():
    assert pair_slack([], 0.1) == pair_slack([0.5], 0.0) == 0.0
    assert pair_slack([1.0 - 1e-9, 0.5], 0.1) == math.inf
    assert pair_floor(9.0, [1.0 - 1e-9, 0.5], 0.01, math.inf).value == 0.0
    kappa = math.sqrt(0.25 / 0.75)
    assert pair_slack([0.5] * 4, 1e-3) == pytest.approx(4e-3 * 2 * kappa, rel=2e-3)


@pytest.mark.parametrize("share", [0.0, -0.1, 0.6, math.nan])
def test_shares_without_a_tail_are_refused(share):
    with pytest.raises(InvalidQueryError, match="share is"):
        upper_quantile(share)
    with pytest.raises(InvalidQueryError, match="share is"):
        excess_of_largest([0.5], share)


def test_impossible_numbers_are_refused():
    with pytest.raises(InvalidQueryError, match="correlations"):
        excess_of_largest([0.5, 1.0], 0.01)
    with pytest.raises(InvalidQueryError, match="information"):
        target_floor(-1.0, 0.01)
    with pytest.raises(InvalidQueryError, match="information"):
        pair_floor(math.inf, [0.5], 0.01)
    with pytest.raises(InvalidQueryError, match="share"):
        target_floor(1.0, 1.5)
    with pytest.raises(InvalidQueryError, match="share"):
        pair_floor(1.0, [0.5], math.nan)
    with pytest.raises(InvalidQueryError, match="slack"):
        target_floor(1.0, 0.1, -1.0)
    with pytest.raises(InvalidQueryError, match="deviation"):
        target_slack(1.0, -1e-3)
    with pytest.raises(InvalidQueryError, match="deviation"):
        pair_slack([0.5], -1e-3)
