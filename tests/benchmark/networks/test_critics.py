"""Critics and the training loop."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mmmi_hf.benchmark import Pairs, Training, make_estimator
from mmmi_hf.benchmark.networks.critics import JointCritic, Standardize, Whiten, critic, encoder
from mmmi_hf.benchmark.networks.training import batches, fit_network, one_thread, seeded

SIZES = {"width": 16, "layers": 2, "embedding": 5}


@pytest.mark.parametrize("kind", ["separable", "joint"])
@pytest.mark.parametrize("encoder_kind", ["auto", "mlp", "conv"])
@pytest.mark.parametrize(
    "shapes", [((3, 9, 8), (1,)), ((1, 8, 8), (1, 8, 8)), ((4,), (2, 2, 2)), ((7,), (1,)), ((600,), (1,))]
)
def test_every_pair_is_scored(kind, encoder_kind, shapes):
    network = critic(kind, shapes, encoder_kind=encoder_kind, **SIZES)
    a, b = (torch.randn(n, *shape) for n, shape in zip((4, 6), shapes, strict=True))
    scores = network(a, b)
    assert scores.shape == (4, 6)
    assert torch.allclose(network(a[1:2], b[3:4])[0, 0], scores[1, 3], atol=1e-5)


def test_a_joint_critic_is_a_perceptron_of_the_concatenation():
    network = JointCritic(nn.Flatten(), nn.Flatten(), (3, 2), width=8, layers=3)
    a, b = torch.randn(5, 3), torch.randn(5, 2)
    plain = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), network.rest)
    with torch.no_grad():
        plain[0].weight.copy_(torch.cat([network.enter_a.weight, network.enter_b.weight], dim=1))
        plain[0].bias.copy_(network.enter_a.bias)
        assert torch.allclose(plain(torch.cat([a, b], dim=1))[:, 0], network(a, b).diagonal(), atol=1e-6)
    assert sum(isinstance(m, nn.ReLU) for m in network.rest) == 2, "three hidden layers with the first"


def test_standardising_uses_the_rows_given_and_bears_constants():
    rows = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    assert torch.equal(Standardize(rows)(rows)[:, 1], torch.zeros(2))
    assert Standardize(rows)(rows)[:, 0].tolist() == pytest.approx([-math.sqrt(0.5), math.sqrt(0.5)])
    assert torch.equal(Standardize(rows, on=False)(rows), rows)


def test_whitening_gives_unit_covariance_and_leaves_out_what_does_not_vary():
    rows = torch.randn(500, 2) @ torch.tensor([[2.0, 1.9], [0.0, 0.1]])
    rows = torch.cat([rows, rows[:, :1], torch.ones(500, 1)], dim=1)
    white = Whiten(rows)(rows)
    assert white.shape == (500, 2)
    assert torch.allclose(torch.cov(white.T), torch.eye(2), atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "kind", "convolved"),
    [
        ((2048,), "auto", True),
        ((2048,), "conv", True),
        ((2048,), "mlp", False),
        ((128,), "conv", False),
        ((1,), "auto", False),
        ((1, 8, 8), "auto", True),
        ((1, 7, 8), "auto", False),
    ],
)
def test_sounds_and_images_are_convolved(shape, kind, convolved):
    network = encoder(shape, kind, width=4, layers=1, outputs=3)
    assert any(isinstance(part, nn.Conv1d | nn.Conv2d) for part in network.modules()) == convolved
    assert network(torch.randn(2, *shape)).shape == (2, 3)


def test_unknown_kinds_are_refused():
    for call in (
        lambda: encoder((4,), "vit", width=4, layers=1, outputs=2),
        lambda: critic("both", ((4,), (1,)), encoder_kind="mlp", **SIZES),
        lambda: Training(critic="both"),
        lambda: Training(encoder="vit"),
        lambda: Training(average=1.0),
        lambda: Training(batch_size=1),
        lambda: Training(patience=True),
        lambda: Training(weight_decay=-1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            call()


def test_batches_are_epochs_without_repetition():
    source = batches(10, 4, seed=0)
    first = torch.cat([next(source), next(source)])
    assert len(set(first.tolist())) == 8
    again = batches(10, 4, seed=0)
    assert torch.equal(torch.cat([next(again), next(again)]), first)
    assert len(next(batches(3, 8, seed=0))) == 3


def test_the_best_weights_are_put_back_and_nothing_global_moves():
    network = nn.Linear(1, 1, bias=False)
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with seeded(3), one_thread():
        nn.init.ones_(network.weight)
        assert torch.get_num_threads() == 1
        # the validation criterion is best at 0.5; training pushes through it to 0
        history = fit_network(
            network,
            lambda rows: network.weight.square().sum(),
            lambda: {"criterion": -abs(float(network.weight) - 0.5)},
            8,
            Training(steps=400, learning_rate=0.01, weight_decay=0.0, batch_size=4, evaluate_every=5, average=0.0),
            0,
        )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert float(network.weight.detach()) == pytest.approx(0.5, abs=0.03)
    assert [record["step"] for record in history[:5]] == [0, 5, 10, 15, 20]
    assert history[-1]["step"] < 400, "it stopped early"
    assert -history[-1]["criterion"] > 0.03


@pytest.mark.filterwarnings("error")
def test_a_loss_that_is_not_finite_is_said():
    network = nn.Linear(1, 1)
    with pytest.raises(ArithmeticError, match="loss is nan after 5 steps"):
        fit_network(network, lambda rows: network.weight.sum() * math.nan, lambda: {"criterion": 0.0}, 8, Training(), 0)


def test_images_meet_convolutions_and_the_paper_does_not_split():
    generator = np.random.default_rng(0)
    images = generator.standard_normal((80, 1, 8, 8))
    pairs = Pairs(images, images.sum(axis=(1, 2, 3)))
    quick = Training(width=8, embedding=4, batch_size=16, steps=4, evaluate_every=2)
    fitted = make_estimator("dv", training=quick).fit(pairs, pairs, seed=0)
    assert any(isinstance(module, nn.Conv2d) for module in fitted._network.modules())
    recipe = Training.paper(steps=40, evaluate_every=20)
    found = make_estimator("infonce", training=recipe).fit(pairs, pairs, seed=0).estimate(pairs)
    assert found.low is None
    assert [record["step"] for record in found.history] == [20, 40]
    assert (recipe.layers, recipe.width, recipe.batch_size, Training.paper().steps) == (3, 256, 64, 20_000)
