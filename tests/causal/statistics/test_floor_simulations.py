"""How often floors exceed the true information of damaged rows: at most as often as stated, whatever the damage.

The measured bounds of `bounds` are simulated beside them: they hold where all rows err alike, and not where a few rows
are unlike the others. That is their assumption, and the reason for floors.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from mmmi_hf.causal.statistics.bounds import paired_bound
from mmmi_hf.causal.statistics.floors import pair_floor, pair_slack, target_floor, target_slack
from mmmi_hf.causal.statistics.shares import VIEW_LEVELS, Counted, folder_limit, grades_of_losses
from mmmi_hf.causal.statistics.tails import correlation
from tests.causal.damaged_channels import Damage, HeavyTails, pointwise

DEVIATION = 1e-3
TARGET_DAMAGES = [
    Damage("anywhere", "noise"),
    Damage("anywhere", "flip"),
    Damage("largest a", "erase"),
    Damage("largest a", "noise"),
    Damage("extremes of b", "erase"),
    Damage("largest information", "noise"),
    Damage("largest information", "flip"),
]
PAIR_DAMAGES = [
    Damage("anywhere", "noise in both"),
    Damage("largest information", "noise in both"),
    Damage("largest information", "flip"),
    Damage("largest information", "swap"),
    Damage("extremes of b", "erase"),
]
INFORMATION = [0.25, 1.0, 2.5]
SHARES = [0.001, 0.005, 0.01, 0.05, 0.1]


def target(information, share):
    return target_floor(information, share, target_slack(information, DEVIATION)).value


def pair(information, share):
    rho = [correlation(information)]
    return pair_floor(information, rho, share, pair_slack(rho, DEVIATION)).value


def draw(information, repetitions, rows, generator):
    rho = correlation(information)
    a = generator.standard_normal((repetitions, rows))
    return a, rho * a + math.sqrt(1.0 - rho * rho) * generator.standard_normal(a.shape)


def off(stored, true):
    """Which values are not within the deviation; missing ones are not."""
    return ~(np.abs(stored - true) <= DEVIATION)


def binomial_limit(bad, seen, error):
    """Clopper and Pearson's."""
    return 1.0 if bad == seen else float(stats.beta.isf(error, bad + 1, seen - bad))


def violations(floor, information, limit, counts, truth):
    values = {int(count): floor(information, limit(int(count))) for count in np.unique(counts)}
    return float(np.mean([values[int(count)] > truth for count in counts.ravel()]))


def check(share, error, repetitions, label):
    spread = math.sqrt(error * (1.0 - error) / repetitions)
    print(f"{label}: {share:.4f} of {error} (z = {(share - error) / spread:.1f})")
    assert share <= error + 3.0 * spread


def simulate(damage, floor, information, share, rows, error, repetitions):
    generator = np.random.default_rng([rows, int(1e4 * share), int(100 * information)])
    truth, counts = damage.information(information, share), []
    for _ in range(0, repetitions, 500):
        a, b = draw(information, 500, rows, generator)
        first, second, _ = damage.apply(a, b, information, share, generator)
        counts.append(np.count_nonzero(off(first, a) | off(second, b), axis=1))

    def limit(bad):
        return binomial_limit(bad, rows, error)

    found = violations(floor, information, limit, np.concatenate(counts), truth)
    check(found, error, repetitions, f"{damage} of {share}, {information} nats, {rows} rows, true {truth:.4f}")


@pytest.mark.statistical
@pytest.mark.parametrize(("information", "share", "rows"), [(1.0, 0.005, 64), (2.5, 0.05, 200), (0.25, 0.1, 64)])
@pytest.mark.parametrize("damage", TARGET_DAMAGES, ids=str)
def test_floors_of_a_target_hold_whatever_was_damaged(damage, information, share, rows):
    simulate(damage, target, information, share, rows, 0.05, 1000)


@pytest.mark.statistical
@pytest.mark.parametrize(("information", "share", "rows"), [(1.0, 0.01, 64), (2.5, 0.05, 200)])
@pytest.mark.parametrize("damage", PAIR_DAMAGES, ids=str)
def test_floors_of_a_pair_hold_whatever_looked_at_both(damage, information, share, rows):
    simulate(damage, pair, information, share, rows, 0.05, 1000)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("rows", [64, 1000])
@pytest.mark.parametrize("error", [0.05, 0.01])
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("information", INFORMATION)
def test_floors_hold_everywhere(information, share, error, rows):
    for damage in TARGET_DAMAGES:
        simulate(damage, target, information, share, rows, error, 4000)
        assert target(information, share) < damage.information(information, share)
    for damage in PAIR_DAMAGES:
        simulate(damage, pair, information, share, rows, error, 4000)
        assert pair(information, share) < damage.information(information, share)


@pytest.mark.statistical
@pytest.mark.parametrize("floor", [target, pair])
@pytest.mark.parametrize("rows", [64, 400])
@pytest.mark.parametrize("bad", [2, 10, 100])
def test_floors_of_a_folder_hold_for_its_own_rows(floor, bad, rows):
    """Of 1,000 rows exactly those with the most information are destroyed; `rows` are seen, each once."""
    repetitions, information, error = 4000, 1.0, 0.05
    damage = Damage("largest information", "noise in both" if floor is pair else "noise")
    truth = damage.information(information, bad / 1000)
    counts = np.random.default_rng(bad).hypergeometric(bad, 1000 - bad, rows, repetitions)

    def limit(count):
        return folder_limit(Counted(count, rows, 1000), error)

    found = violations(floor, information, limit, counts, truth)
    check(found, error, repetitions, f"{bad} of 1000, {rows} seen, true {truth:.4f}")
    assert floor(information, folder_limit(Counted(bad, 1000, 1000), error)) <= truth


@pytest.mark.statistical
@pytest.mark.parametrize("information", INFORMATION)
@pytest.mark.parametrize("tails", [HeavyTails(1e-5, 2.0), HeavyTails(1e-6, 4.0)], ids=str)
def test_floors_hold_under_heavy_tails(tails, information):
    generator, rows, error, repetitions = np.random.default_rng(4), 200, 0.05, 2000
    _, b = draw(information, repetitions, rows, generator)
    counts = np.count_nonzero(off(tails.apply(b, generator), b), axis=1)
    expected = rows * tails.share_beyond(DEVIATION)
    assert abs(counts.mean() - expected) < 5 * math.sqrt(expected / repetitions)
    truth = tails.information(information)

    def limit(bad):
        return binomial_limit(bad, rows, error)

    found = violations(target, information, limit, counts, truth)
    check(found, error, repetitions, f"{tails}, {information} nats, true {truth:.4f}")


@pytest.mark.statistical
@pytest.mark.parametrize("information", [1.0, 2.5])
@pytest.mark.parametrize("tails", [HeavyTails(1e-6, 4.0), HeavyTails(0.01, 2.0)], ids=str)
def test_floors_of_losses_hold_for_lossy_rows(tails, information):
    """Counted at several levels of loss; there are so many rows that each is a draw of its own."""
    generator, rows, error, repetitions = np.random.default_rng(5), 200, 0.05, 300
    a, b = draw(information, repetitions, rows, generator)
    losses = pointwise(a, b, information) - pointwise(a, tails.apply(b, generator), information)
    truth, without, found = tails.information(information), {}, []
    for row in losses:
        grades = grades_of_losses({"I": row}, 1_000_000, VIEW_LEVELS, error)["I"]
        for share in {grade.share for grade in grades} - set(without):
            without[share] = target_floor(information, share).value
        found.append(max(without[grade.share] - grade.slack for grade in grades))
    print(f"median {np.median(found):.3f}")
    assert np.median(found) > 0.3 * truth or tails.scale > 1e-3
    check(float(np.mean(np.array(found) > truth)), error, repetitions, f"{tails}, {information} nats, true {truth:.4f}")


@pytest.mark.parametrize(("information", "share"), [(0.25, 0.001), (1.0, 0.01), (2.5, 0.1)])
@pytest.mark.parametrize("damage", [*TARGET_DAMAGES, *PAIR_DAMAGES], ids=str)
def test_the_floor_of_the_true_share_is_below_the_truth(damage, information, share):
    """No sampling at all: the bounds as theorems. A floor of a pair allows for every damage here."""
    truth = damage.information(information, share)
    assert pair(information, share) < truth
    if damage in TARGET_DAMAGES:
        assert target(information, share) < truth


def benign(information, generator, repetitions, rows):
    """Rows that all err alike: (paired bounds at 1 %, the truth in closed form)."""
    a, b = draw(information, repetitions, rows, generator)
    stored = b + 0.1 * generator.standard_normal(b.shape)
    loss = pointwise(a, b, information) - pointwise(a, stored / 1.01, information)
    squared = correlation(information) ** 2 / 1.01
    return paired_bound(information, loss, 1, 0.01), -0.5 * math.log1p(-squared)


@pytest.mark.statistical
@pytest.mark.parametrize("information", INFORMATION)
def test_measured_bounds_hold_where_all_rows_err_alike(information):
    bounds, truth = benign(information, np.random.default_rng(8), 4000, 64)
    check(float(np.mean(bounds > truth)), 0.01, 4000, f"{information} nats, true {truth:.4f}")


@pytest.mark.statistical
@pytest.mark.parametrize(("information", "share"), [(1.0, 0.005), (1.0, 0.01), (2.5, 0.01)])
def test_measured_bounds_fail_where_a_few_rows_are_unlike_the_others(information, share):
    """What they assume is that unseen rows err as those of the sample do; here most samples show no damage at all."""
    damage, generator = Damage("anywhere", "noise"), np.random.default_rng(8)
    a, b = draw(information, 2000, 64, generator)
    _, stored, bad = damage.apply(a, b, information, share, generator)
    loss = pointwise(a, b, information) - pointwise(a, stored, information)
    bounds, truth = paired_bound(information, loss, 1, 6.25e-4), damage.information(information, share)
    clean = ~bad.any(axis=1)
    print(f"published > true: {np.mean(bounds > truth):.3f}, clean: {np.mean(clean):.3f}")
    assert np.all(bounds[clean] == information)
    assert np.mean(bounds > truth) > 0.5


def test_the_truth_of_noise_rows_against_adaptive_quadrature():
    information, share = 1.0, 0.01
    rho = correlation(information)
    width = math.sqrt(1.0 - rho * rho)

    def inner(a):
        def integrand(b):
            density = (1.0 - share) * stats.norm.pdf(b, rho * a, width) + share * stats.norm.pdf(b)
            return density * math.log(density / stats.norm.pdf(b))

        pieces = [-9.0, rho * a - 7 * width, rho * a, rho * a + 7 * width, 9.0]
        return sum(integrate.quad(integrand, x, y, epsabs=1e-9)[0] for x, y in pairwise(pieces))

    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    plain = weights @ [inner(a) for a in nodes] / math.sqrt(2.0 * math.pi)
    assert Damage("anywhere", "noise").information(information, share) == pytest.approx(plain, abs=2e-5)


def test_the_truths_of_the_notes():
    noise = Damage("anywhere", "noise")
    for information, share, truth in [
        (1.0, 0.005, 0.9831),
        (1.0, 0.01, 0.9683),
        (2.5, 0.01, 2.4297),
        (0.25, 0.05, 0.2213),
    ]:
        assert noise.information(information, share) == pytest.approx(truth, abs=6e-5)
    assert noise.information(1.0, 0.0694) == pytest.approx(0.829, abs=6e-4)
    assert Damage("anywhere", "flip").information(1.0, 0.0694) == pytest.approx(0.837, abs=6e-4)
