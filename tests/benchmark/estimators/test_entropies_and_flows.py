"""Differences of entropies, denoisers, transports and CLUB: against closed forms of normal rows."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from mmmi_hf import common_cause
from mmmi_hf.benchmark import ExactPairs, Pairs, Training, make_estimator
from mmmi_hf.benchmark.networks.denoising import LOUDEST, QUIETEST, Denoiser, Transport
from mmmi_hf.benchmark.networks.densities import Density, Mixture
from mmmi_hf.testing import estimators as contract

SMALL = Training(width=32, embedding=8, batch_size=64, steps=250, learning_rate=8e-3, evaluate_every=50)
RHO = math.sqrt(1 - math.exp(-2 * 0.8))  # of one normal pair of .8 nats


def normal_pairs(count, rho, seed=0):
    generator = np.random.default_rng(seed)
    b = generator.standard_normal(count)
    return rho * b + math.sqrt(1 - rho**2) * generator.standard_normal(count), b


def z_of(found, error, expected):
    z = (found - expected) / error
    print(f"{found:.4f} ± {error:.4f}, expected {expected:.4f}, z {z:.2f}")
    return z


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["vclub", "oracle-club"])
def test_club_reads_the_divergence_of_both_directions(name):
    for d, noise in ((1, 0.6), (4, 1.4)):
        truth = contract.gaussian(d, noise)[0]
        jeffreys = math.expm1(2 * truth)  # I + KL(Q‖P) of one normal pair
        estimator = make_estimator(name, **({"training": SMALL} if name == "vclub" else {}))
        assert estimator.bound == "upper"
        contract.check_known_information(estimator, d, noise, bias=jeffreys - truth, slack=0.1 * jeffreys)


@pytest.mark.statistical
def test_the_exact_club_is_above_the_truth_however_many_rows():
    model = common_cause((4,), mi=1.0)
    latents = model.sample(20_000, seed=3)
    pairs = Pairs(latents.z["x1"], latents.y, ExactPairs.of(model, latents, "x1", "y"))
    found = make_estimator("oracle-club").fit(pairs, pairs).estimate(pairs)
    assert abs(z_of(found.value, found.standard_error, math.expm1(2.0))) < 4
    assert found.low > 1.0


@pytest.mark.statistical
def test_mixtures_are_densities():
    torch.manual_seed(0)
    grid = torch.linspace(-30, 30, 6001, dtype=torch.float64)[:, None]
    for family in ("normal", "logistic"):
        mixture = Mixture(torch.randn(1, 3), torch.randn(1, 3, 1), torch.randn(1, 3, 1), family)
        total = torch.trapezoid(mixture.log_density(grid).exp(), dx=0.01)
        assert float(total) == pytest.approx(1.0, abs=1e-3), family
    alone = Density(2, components=1, family="normal")()
    b = torch.randn(5, 2)
    wanted = torch.distributions.Normal(0.0, 1.0).log_prob(b).sum(dim=1)
    assert torch.allclose(alone.log_density(b), wanted, atol=1e-6)
    assert torch.allclose(alone.log_densities(b)[0], wanted, atol=1e-6)


class Moments(torch.nn.Module):
    """Mean and log variance of b given a of a normal pair, as the denoiser's network would know them."""

    def forward(self, hidden):
        variance = torch.full_like(hidden, math.log(1 - RHO**2))
        return torch.cat([RHO * hidden, variance], dim=1)


def knowing(network):
    """A network of one number given one, with the exact moments in the place of learned ones."""
    network.encode, network.moments = torch.nn.Identity(), Moments()
    network.known = lambda a: (
        torch.zeros(len(a), network_embedding),
        RHO * a,
        torch.full_like(a, 1 - RHO**2),
    )
    return network


network_embedding = 4


@pytest.mark.statistical
def test_the_exact_denoisers_read_the_information():
    recipe = Training(width=8, embedding=network_embedding)
    a, b = (torch.from_numpy(side)[:, None].float() for side in normal_pairs(4000, RHO))
    network = knowing(Denoiser((1,), 1, recipe))
    levels, generator = 200, torch.Generator().manual_seed(1)
    gaps, squares = [], []
    with torch.no_grad():
        for level in range(levels):
            place = (level + torch.rand(len(b), 1, generator=generator)) / levels
            ratio = LOUDEST + (QUIETEST - LOUDEST) * place
            given, alone = network.errors(a, b, ratio, torch.randn(b.shape, generator=generator))
            gaps.append((alone**2 - given**2)[:, 0].double())
            squares.append(((alone - given) ** 2)[:, 0].double())
    for found in (gaps, squares):
        values = torch.stack(found).mean(dim=0) * (QUIETEST - LOUDEST) / 2
        assert abs(z_of(float(values.mean()), float(values.std()) / math.sqrt(len(values)), 0.8)) < 4


def test_what_the_levels_of_noise_leave_out():
    """½ ln((1 + γ) / (1 + γ v)) of a normal pair with Var(b | a) = v lies below γ; in the limit it is −½ ln v."""
    for nats, lost in ((2.5, 0.0009), (3.0, 0.0017), (4.0, 0.0095), (5.0, 0.064)):
        low, high = (
            0.5 * (math.log1p(math.exp(at)) - math.log1p(math.exp(at - 2 * nats))) for at in (LOUDEST, QUIETEST)
        )
        assert nats - (high - low) == pytest.approx(lost, rel=0.05), nats


@pytest.mark.statistical
def test_the_exact_transport_loses_the_information():
    recipe = Training(width=8, embedding=network_embedding)
    a = torch.randn(50, 1)
    network = knowing(Transport((1,), 1, recipe))
    times = (torch.arange(2000) + 0.5)[:, None] / 2000
    lost = -sum(float(network.divergence(a, a, time.expand(50, 1), torch.ones(50, 1)).mean()) for time in times) / 2000
    print(f"{lost:.4f} of 0.8")
    assert lost == pytest.approx(0.8, abs=1e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["mmg", "minde", "fmmi", "knife", "doe"])
def test_two_numbers_given_two(name):
    """Both blocks have two coordinates, of which only sums agree: the predicted block is not a number.

    The trainings are short: at least .7 of the truth, and not more than the truth by what sampling explains.
    """
    generator = np.random.default_rng(5)

    def rows(count):
        cause = generator.standard_normal((count, 1))
        return Pairs(*(cause + 0.9 * generator.standard_normal((count, 2)) for _ in range(2)))

    s = 2 / 0.9**2
    rho = s / (1 + s)
    truth = -0.5 * math.log(1 - rho**2)
    found = make_estimator(name, training=SMALL).fit(rows(3000), rows(800)).estimate(rows(2000))
    assert (found.standard_error is None) == (name == "fmmi")
    # ρ/√n: the standard error of the mean of ln p(a, b)/p(a)p(b), where none is stated
    assert z_of(found.value, found.standard_error or rho / math.sqrt(2000), truth) < 4
    assert found.value > 0.7 * truth


@pytest.mark.statistical
def test_minde_is_never_negative_and_mmg_may_be():
    """Of independent rows a linear fit of 4 coefficients to n rows reads χ²/2n of 4 degrees of freedom; not more."""
    independent = [pairs.deranged(k) for k, pairs in enumerate(contract.gaussian(4, 1.4)[1])]
    for name in ("minde", "mmg"):
        found = make_estimator(name, training=SMALL).fit(*independent[:2]).estimate(independent[2])
        z = z_of(found.value, found.standard_error, 0.0)
        assert abs(z) < 4 if name == "mmg" else 0.0 <= found.value < chi2.isf(1e-4, 4) / (2 * len(independent[0]))


@pytest.mark.parametrize("name", ["doe", "knife", "vclub", "mmg", "minde", "fmmi", "flo", "f-dime", "infonce-anchor"])
def test_what_is_not_of_the_paper_has_no_recipe_without_a_split(name):
    with pytest.raises(ValueError, match="is not of the paper and has no recipe without a split; leave --paper out"):
        make_estimator(name, training=Training.paper())


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["doe", "knife"])
def test_a_density_that_stopped_too_early_is_no_information(name):
    """Independent rows of many coordinates: q(b) must not end where q(b|a) has nothing more to learn."""
    latents = common_cause((1, 8, 8), mi=2.5, modalities=1).sample(2000, seed=5)
    bounds = ((0, 1000), (1000, 1200), (1200, 2000))
    parts = [Pairs(latents.z["x1"][a:b], latents.y[a:b]).deranged(a) for a, b in bounds]
    recipe = Training(encoder="mlp", width=64, steps=300, learning_rate=3e-3, patience=5)
    found = make_estimator(name, training=recipe).fit(*parts[:2]).estimate(parts[2])
    assert abs(z_of(found.value, found.standard_error, 0.0)) < 4
    assert found.value < 0.03
