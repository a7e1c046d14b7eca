"""Closed forms of the objectives with the exact critic on a bivariate Gaussian, and their standard errors."""

import math

import numpy as np
import pytest
import torch

from mmmi_hf.benchmark.networks.objectives import (
    NWJ,
    DonskerVaradhan,
    FDivergence,
    FenchelLegendre,
    InfoNCE,
    InfoNCEAnchor,
    JensenShannon,
    Mine,
    Scores,
    Smile,
    influence,
)


def correlated(rho, n, seed):
    generator = np.random.default_rng(seed)
    s = generator.standard_normal(n)
    return s, rho * s + math.sqrt(1 - rho**2) * generator.standard_normal(n)


def exact_scores(rho, s, t):
    """ln p(s, t) / p(s) p(t) of every s with every t."""
    s, t = s[:, None], t[None]
    density = (rho * s * t - rho**2 * (s**2 + t**2) / 2) / (1 - rho**2) - np.log1p(-(rho**2)) / 2
    return torch.from_numpy(density)


def information(rho):
    return -0.5 * math.log1p(-(rho**2))


def runs(objective, rho, n, count):
    return np.array(
        [float(objective.value(Scores.of([exact_scores(rho, *correlated(rho, n, seed))]))) for seed in range(count)]
    )


@pytest.mark.statistical
@pytest.mark.parametrize("rho", [0.5, 0.8, 0.95])
def test_dv_with_the_exact_critic_is_biased_by_its_denominator_alone(rho):
    # independent deranged pairs: Var[e^f] = e^{2I} − 1, so that E[−ln mean] ≈ (e^{2I} − 1) / (2 pairs)
    truth, pairs, values = information(rho), 500, []
    for seed in range(400):
        s, t = correlated(rho, pairs, seed)
        u, v = correlated(rho, pairs, 10_000 + seed)[0], correlated(rho, pairs, 20_000 + seed)[1]
        on, apart = (torch.from_numpy(f) for f in (_density(rho, s, t), _density(rho, u, v)))
        values.append(float(on.mean() - torch.logsumexp(apart, 0) + math.log(pairs)))
    bias, error = np.mean(values) - truth, np.std(values, ddof=1) / math.sqrt(len(values))
    bound = (math.exp(2 * truth) - 1) / (2 * pairs)
    print(f"bias {bias:.5f} ± {error:.5f}, bound {bound:.5f}, z {(bias - bound) / error:.2f}")
    assert abs(bias) <= bound + 3 * error


def _density(rho, s, t):
    return (rho * s * t - rho**2 * (s**2 + t**2) / 2) / (1 - rho**2) - np.log1p(-(rho**2)) / 2


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("objective", "shift"),
    [
        (JensenShannon(unbiased=False), -1 / math.e),
        (JensenShannon(unbiased=True), 0.0),
        (DonskerVaradhan(), 0.0),
        (Smile(math.inf), 0.0),
        (Mine(), 0.0),
    ],
)
def test_the_papers_js_shows_one_over_e(objective, shift):
    values = runs(objective, 0.6, 300, 60)
    error = values.std(ddof=1) / math.sqrt(len(values))
    expected = information(0.6) + shift
    print(f"{values.mean():.4f} ± {error:.4f}, expected {expected:.4f}, z {(values.mean() - expected) / error:.2f}")
    # the value's own bias, e^{2I} / pairs, is far below the shift
    assert abs(values.mean() - expected) < 3 * error + 0.01


def test_nwj_is_best_one_above_the_density_ratio():
    scores = exact_scores(0.7, *correlated(0.7, 400, 0))
    best = NWJ().value(Scores.of([scores + 1.0]))
    assert best > NWJ().value(Scores.of([scores]))
    assert best == pytest.approx(float(JensenShannon(unbiased=True).value(Scores.of([scores]))))


def test_infonce_saturates_at_the_logarithm_of_its_candidates():
    rho = math.sqrt(1 - math.exp(-2 * 12.0))  # twelve nats
    for size in (16, 64, 256):
        value = float(InfoNCE().value(Scores.of([exact_scores(rho, *correlated(rho, size, 1))])))
        assert value <= math.log(size) + 1e-12
        assert InfoNCE().ceiling(size) == math.log(size)
        assert value == pytest.approx(math.log(size), rel=0.02)
    assert DonskerVaradhan().ceiling(16) is None


def test_losses_of_f_dime_are_the_papers_objectives_without_constants():
    """With the discriminator D of each divergence, written out as it is in the paper."""
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    on = torch.eye(6, dtype=torch.bool)
    written = {
        "gan": lambda d: (torch.log(1 - d[on]).mean() + torch.log(d[~on]).mean(), torch.log((1 - d) / d)),
        "kl": lambda d: (torch.log(d[on]).mean() - d[~on].mean(), torch.log(d)),
        "hd": lambda d: (-d[on].mean() - (1 / d[~on]).mean(), torch.log(1 / d**2)),
    }
    discriminators = {"gan": torch.sigmoid(-scores), "kl": scores.exp(), "hd": (-0.5 * scores).exp()}
    for name, objective in written.items():
        higher_is_better, ratio = objective(discriminators[name])
        found = FDivergence(name)
        assert float(found.loss(Scores.of([scores]))) == pytest.approx(-float(higher_is_better)), name
        assert float(found.value(Scores.of([scores]))) == pytest.approx(float(ratio[on].mean())), name


@pytest.mark.statistical
@pytest.mark.parametrize(
    "objective", [*map(FDivergence, ("gan", "kl", "hd")), InfoNCEAnchor()], ids=["gan", "kl", "hd", "anchor"]
)
def test_plug_in_losses_are_least_at_the_log_ratio_and_no_multiple_or_shift_of_it(objective):
    """On the same rows, so that the differences of losses have little noise; InfoNCE would not see the shift."""
    others = [lambda f: f + 0.2, lambda f: f - 0.2, lambda f: 1.5 * f, lambda f: 0.5 * f]
    gains = np.zeros((40, len(others)))
    for seed in range(len(gains)):
        scores = exact_scores(0.6, *correlated(0.6, 120, seed))
        best = float(objective.loss(Scores.of([scores])))
        gains[seed] = [float(objective.loss(Scores.of([other(scores)]))) - best for other in others]
    z = gains.mean(axis=0) / (gains.std(axis=0, ddof=1) / math.sqrt(len(gains)))
    print("z of the losses' rise", np.round(z, 1))
    assert (z > 3).all()


def test_the_anchor_with_one_candidate_is_a_classifier_of_pairs():
    scores = torch.randn(2, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    softplus = torch.nn.functional.softplus
    expected = softplus(-scores.diagonal()).mean() + softplus(scores[~torch.eye(2, dtype=torch.bool)]).mean()
    assert float(InfoNCEAnchor().loss(Scores.of([scores]))) == pytest.approx(float(expected))


@pytest.mark.statistical
def test_flo_is_tight_at_the_log_ratio_up_to_a_function_of_a():
    found, biased, below = [], [], []
    for seed in range(60):
        ratio = exact_scores(0.6, *correlated(0.6, 300, seed))
        of_a = torch.linspace(-2, 2, 300, dtype=torch.float64)[:, None]
        for kept, g, u in ((found, ratio, ratio), (biased, ratio + of_a, ratio), (below, ratio, ratio + 0.3)):
            scores = g - g.diagonal()[:, None] + torch.diag(u.diagonal())
            kept.append(float(FenchelLegendre().value(Scores.of([scores]))))
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    z = (np.mean(found) - information(0.6)) / error
    print(f"{np.mean(found):.4f} ± {error:.4f}, I {information(0.6):.4f}, z {z:.2f}")
    assert abs(z) < 4
    assert biased == pytest.approx(found), "g is free by a function of a"
    # u too high by c: the value falls by e^c − 1 − c on average
    assert np.mean(below) == pytest.approx(information(0.6) - math.expm1(0.3) + 0.3, abs=4 * error)


@pytest.mark.statistical
def test_smile_with_the_exact_critic_reads_half_a_nat_too_much():
    rho = math.sqrt(1 - math.exp(-2 * 2.5))
    values = runs(Smile(1.0), rho, 400, 40)
    error = values.std(ddof=1) / math.sqrt(len(values))
    print(f"{values.mean() - 2.5:.3f} ± {error:.3f}")
    assert abs(values.mean() - 3.0) < 4 * error


def test_smile_clips_at_its_tau():
    scores = torch.tensor([[0.0, 9.0], [-9.0, 2.0]])
    clipped = math.log((math.exp(1) + math.exp(-1)) / 2)
    assert float(Smile(1.0).value(Scores.of([scores]))) == pytest.approx(1.0 - clipped)
    assert float(Smile(math.inf).value(Scores.of([scores]))) == pytest.approx(
        float(DonskerVaradhan().value(Scores.of([scores])))
    )


def test_mine_remembers_its_denominators():
    objective = Mine(rate=0.25)
    batches = [torch.randn(8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    means = [float(Scores.of([batch]).log_mean_exp().exp()) for batch in batches]
    for batch in batches:
        objective.loss(Scores.of([batch]))
    average = means[0]
    for mean in means[1:]:
        average = 0.75 * average + 0.25 * mean
    assert math.exp(objective.log_average) == pytest.approx(average, rel=1e-5)
    leaf = batches[2].clone().requires_grad_()
    before = objective.log_average
    objective.loss(Scores.of([leaf])).backward()
    average = 0.75 * math.exp(before) + 0.25 * means[2]
    assert float(leaf.grad[0, 1]) == pytest.approx(math.exp(float(batches[2][0, 1])) / 56 / average, rel=1e-5)
    with pytest.raises(ValueError, match="rate must lie in"):
        Mine(rate=0.0)


@pytest.mark.parametrize(
    "objective",
    [DonskerVaradhan(), NWJ(), JensenShannon(False), InfoNCE(), Smile(1.0), Mine()],
    ids=lambda o: type(o).__name__,
)
def test_the_standard_error_is_the_bootstraps(objective):
    rho, n = 0.7, 300
    scores = exact_scores(rho, *correlated(rho, n, 4))
    value, error = influence(objective, [scores])
    assert value == pytest.approx(float(objective.value(Scores.of([scores]))))
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(300):
        weights = torch.from_numpy(generator.dirichlet(np.ones(n)) * n)
        draws.append(float(objective.value(Scores([scores], [weights]))))
    assert error == pytest.approx(np.std(draws), rel=0.15)


def test_blocks_are_pooled():
    scores = [exact_scores(0.5, *correlated(0.5, n, n)) for n in (40, 60)]
    pooled = Scores.of(scores)
    apart = np.concatenate([block.numpy()[~np.eye(len(block), dtype=bool)] for block in scores])
    assert float(pooled.log_mean_exp()) == pytest.approx(np.log(np.exp(apart).mean()))
    assert float(pooled.mean_apart(scores)) == pytest.approx(apart.mean())
    assert float(pooled.on_pairs()) == pytest.approx(np.concatenate([b.diagonal().numpy() for b in scores]).mean())
