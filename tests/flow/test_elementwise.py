"""Element-wise bijections against independent formulae, their tails, and loading by name."""

import socket

import numpy as np
import pytest
import torch
from scipy import stats

from mmmi_hf.flow import (
    AsinhBijection,
    FlowMatchingPipeline,
    HalfCubeBijection,
    IdentityBijection,
    NormalCdfBijection,
    elementwise_bijections,
    load_bijection,
)
from mmmi_hf.flow.elementwise.normal_cdf import KNEE

MAPS = [kind for name, kind in elementwise_bijections().items() if name != "identity"]
GRID = torch.linspace(-9, 9, 4001, dtype=torch.float64)


def _column(kind, values):
    return kind((1,))(values[:, None]).images[:, 0]


def test_the_formulae():
    z = GRID.numpy()
    assert np.allclose(_column(AsinhBijection, GRID), np.sign(z) * np.log(np.abs(z) + np.sqrt(1 + z**2)), rtol=1e-14)
    assert np.allclose(_column(HalfCubeBijection, GRID), np.sign(z) * np.abs(z) ** 1.5, rtol=1e-14)
    inside = np.abs(z) <= KNEE
    assert np.allclose(_column(NormalCdfBijection, GRID)[inside], stats.norm.cdf(z[inside]), rtol=1e-13)


def test_the_normal_cdf_goes_on_along_its_tangent():
    z = GRID[GRID > KNEE].numpy()
    upper = _column(NormalCdfBijection, GRID)[GRID > KNEE].numpy()
    lower = _column(NormalCdfBijection, -GRID)[GRID > KNEE].numpy()
    assert np.allclose(upper, stats.norm.cdf(KNEE) + stats.norm.pdf(KNEE) * (z - KNEE), rtol=1e-14)
    assert np.allclose(lower, 1 - upper, atol=1e-15)


def test_the_margin_is_uniform_to_the_documented_distance():
    u = torch.linspace(1e-7, 1 - 1e-7, 200_001, dtype=torch.float64)
    z = torch.special.ndtri(u)
    distance = (_column(NormalCdfBijection, z).clamp(0, 1) - u).abs().max()
    assert 8e-5 < distance < 8.3e-5


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_increase_strictly_far_into_the_tails(kind, dtype):
    z = GRID.to(dtype)
    x = _column(kind, z)
    assert (x.diff() > 0).all()
    assert (kind((1,)).invert(x[:, None])[:, 0].diff() > 0).all()


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_latents_come_back_tails_included(kind, dtype, bound):
    z = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)
    z[:3, 0] = torch.tensor([5.6, -5.6, 6.5])
    bijection = kind((16,))
    back = bijection.invert(bijection(z).images)
    error = (back - z).double().norm(dim=1) / z.double().norm(dim=1)
    assert error.max() <= bound


@pytest.mark.parametrize("kind", MAPS)
def test_the_derivative_is_that_of_the_formula(kind):
    z = torch.tensor([-4.0, -1.5, -0.2, 0.3, 2.0, 5.0], dtype=torch.float64)
    slope = (_column(kind, z + 1e-6) - _column(kind, z - 1e-6)) / 2e-6
    expected = {
        AsinhBijection: 1 / np.sqrt(1 + z.numpy() ** 2),
        HalfCubeBijection: 1.5 * np.sqrt(np.abs(z.numpy())),
        NormalCdfBijection: stats.norm.pdf(np.minimum(np.abs(z.numpy()), KNEE)),
    }[kind]
    assert np.allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize(("kind", "latents", "images"), [(HalfCubeBijection, 1e30, 1e38), (AsinhBijection, 1e38, 95.0)])
def test_overflow_is_refused(kind, latents, images):
    bijection = kind((2,))
    refused = bijection.invert if kind is AsinhBijection else bijection
    values = torch.full((1, 2), images if kind is AsinhBijection else latents)
    with pytest.raises(ValueError, match=r"stay finite under the .* bijection in torch.float32") as caught:
        refused(values)
    assert "\n" not in str(caught.value)
    allowed = bijection if kind is AsinhBijection else bijection.invert
    assert allowed(torch.full((1, 2), latents if kind is AsinhBijection else images)) is not None


def test_zero_and_signs_are_kept():
    z = torch.tensor([[0.0, -0.0, -2.0, 2.0]])
    for kind in (AsinhBijection, HalfCubeBijection, IdentityBijection):
        x = kind((4,))(z).images
        assert x[0, :2].tolist() == [0, 0]
        assert x[0, 2] == -x[0, 3] < 0


@pytest.mark.parametrize("kind", [IdentityBijection, *MAPS])
def test_load_by_name(kind):
    loaded = load_bijection(kind.name, (3, 4), device="cpu")
    assert type(loaded) is kind
    assert loaded.latent_shape == (3, 4)
    assert repr(loaded) == f"{kind.__name__}((3, 4))"


def test_the_bundled_pipeline_loads_by_name():
    pipe = load_bijection("fashion-mnist", (1, 32, 32), device="cpu")
    assert isinstance(pipe, FlowMatchingPipeline)
    assert (pipe.latent_shape, pipe.num_classes, pipe.dtype) == ((1, 32, 32), 10, torch.float32)
    assert not any(parameter.requires_grad for parameter in pipe.unet.parameters())
    with pytest.raises(ValueError, match=r"makes \(1, 32, 32\), got \(3, 32, 32\)"):
        load_bijection("fashion-mnist", (3, 32, 32))


@pytest.mark.parametrize("name", ["fashion_mnist", "no-such-thing", "a/b/c", "./nowhere"])
def test_an_unknown_name_is_one_line_that_lists_the_known(name):
    with pytest.raises(
        ValueError, match=r"asinh, half-cube, identity, normal-cdf, (cifar10, )?fashion-mnist"
    ) as caught:
        load_bijection(name, (1, 32, 32))
    assert "\n" not in str(caught.value)


def test_an_empty_name_is_one_line():
    with pytest.raises(ValueError, match="pipeline is empty; give a path"):
        load_bijection("", (1, 32, 32))


def test_a_repository_out_of_reach_is_one_line_and_no_waiting(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("no connection is tried offline")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(ValueError, match=r"'nobody/nothing' cannot be loaded .*available offline: asinh") as caught:
        load_bijection("nobody/nothing", (1, 32, 32))
    assert "\n" not in str(caught.value)
