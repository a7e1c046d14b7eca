"""What a network sees of images and sounds: isometries, and the refusal of what cannot be laid out."""

import re

import numpy as np
import pytest
import torch

from mmmi_hf.flow import View
from mmmi_hf.flow.computing.layouts import layout_of
from mmmi_hf.flow.computing.spectrogram import spectrogram

SOUND = {"bins": 8, "rate": 8000, "half_range": 4.0}
COMPANDED = {**SOUND, "companding": {"knee": 0.1, "scale": 1.5}}


def companding(**changes):
    return {**COMPANDED, "companding": {**COMPANDED["companding"], **changes}}


@pytest.mark.parametrize(
    ("sound", "shape", "seen", "view"),
    [
        (None, (3, 8, 4), (12, 4, 2), View("image", 1.0)),
        (None, (2, 8, 4), (8, 4, 2), View("array", 1.0)),
        (SOUND, (64,), (4, 4, 4), View("sound", 4.0, 8000)),
    ],
)
def test_a_layout_is_an_isometry_with_an_inverse(sound, shape, seen, view):
    layout = layout_of(2, sound)
    size = int(np.prod(shape))
    there = layout.to_network(torch.eye(size, dtype=torch.float64).reshape(size, *shape))
    assert there.shape == (size, *seen)
    matrix = there.flatten(1)
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(size, dtype=torch.float64), atol=1e-13, rtol=0)
    torch.testing.assert_close(layout.to_state(there).flatten(1), torch.eye(size, dtype=torch.float64))
    assert layout.latent_shape(*seen) == shape
    assert layout.network_shape(shape) == seen
    assert layout.view(shape) == view


def test_the_transform_of_sounds_is_the_modified_discrete_cosine_transform():
    """Against a sum over two frames' length under a sine window, which holds away from both ends."""
    bins, frames = 8, 6
    sound = np.random.default_rng(0).normal(size=bins * frames)
    layout = layout_of(1, {**SOUND, "bins": bins})
    found = layout.to_network(torch.from_numpy(sound)[None])[0, 0].numpy()
    places = np.arange(2 * bins) + 0.5
    window = np.sin(np.pi * places / (2 * bins))
    waves = np.cos(np.pi / bins * (places - bins / 2) * (np.arange(bins)[:, None] + 0.5))
    for frame in range(1, frames - 1):
        start = frame * bins - bins // 2
        expected = np.sqrt(2 / bins) * (waves * window) @ sound[start : start + 2 * bins]
        assert np.allclose(found[frame], expected, atol=1e-12)


def test_autocast_rounds_no_layout():
    layout, sound = layout_of(2, COMPANDED), torch.randn(3, 64)
    with torch.autocast("cpu", torch.bfloat16):
        there = layout.to_network(sound)
        back = layout.to_state(there)
        again = layout.made(layout.unmade(sound))
    assert there.dtype == back.dtype == again.dtype == torch.float32
    torch.testing.assert_close(back, sound, atol=1e-5, rtol=0)
    torch.testing.assert_close(again, sound, atol=1e-5, rtol=0)


def test_companding_acts_on_every_frequency():
    """The lapped transform as a matrix, and NumPy's functions; there and back is nothing."""
    layout, size = layout_of(2, COMPANDED), 64
    sound = 3 * torch.randn(5, size, dtype=torch.float64)
    matrix = layout.to_network(torch.eye(size, dtype=torch.float64)).flatten(1).numpy()
    expected = (1.5 * np.arcsinh(sound.numpy() @ matrix / 0.1)) @ matrix.T
    ends = layout.unmade(sound)
    assert np.allclose(ends, expected, atol=1e-12)
    torch.testing.assert_close(layout.made(ends), sound, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(layout.made(-ends), -sound, atol=1e-12, rtol=1e-12)


def test_companding_is_rounded_once():
    """Near 0 its inverse magnifies by scale/knee what was rounded; there and back costs no more than one rounding."""
    layout = layout_of(1, {**SOUND, "bins": 256, "companding": {"knee": 0.1, "scale": 1.084}})
    ends = 3 * torch.randn(20, 2048, generator=torch.Generator().manual_seed(0))
    back = layout.unmade(layout.made(ends))
    assert back.dtype == torch.float32
    error = (back - ends).norm(dim=1) / ends.norm(dim=1)
    exact = layout.made(ends.double())
    once = layout.unmade(exact.float().double()) - ends.double()
    assert float(error.max()) <= 1.1 * float((once.norm(dim=1) / ends.double().norm(dim=1)).max()) + 6e-8


@pytest.mark.parametrize("sound", [None, SOUND, {**SOUND, "companding": None}])
def test_without_companding_outputs_are_where_the_flow_ends(sound):
    layout, there = layout_of(2, sound), torch.randn(2, 64)
    assert layout.made(there) is there
    assert layout.unmade(there) is there
    assert "companding" not in layout.defining


def test_companding_is_a_part_of_what_defines_a_map():
    assert layout_of(2, COMPANDED).defining["companding"] == {"knee": 0.1, "scale": 1.5}


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        ({"bins": 8}, "sound must be null, or have bins, rate, half_range, and may have companding, got {'bins': 8}"),
        ("loud", "sound must be null, or have bins, rate, half_range, and may have companding, got 'loud'"),
        ({**SOUND, "gain": 1}, "sound must be null, or have bins, rate, half_range, and may have companding"),
        ({**SOUND, "bins": 6}, r"sound.bins must be a multiple of 2 × patch_size = 4, at most 4096, got 6"),
        ({**SOUND, "bins": True}, r"sound.bins must be a multiple of 2 × patch_size = 4, at most 4096, got True"),
        ({**SOUND, "bins": 1 << 13}, r"sound.bins must be a multiple of 2 × patch_size = 4, at most 4096, got 8192"),
        ({**SOUND, "rate": 0}, "sound.rate must be a whole number of samples per second, 1 … 1048576, got 0"),
        ({**SOUND, "rate": 8e3}, "sound.rate must be a whole number of samples per second, 1 … 1048576, got 8000.0"),
        ({**SOUND, "half_range": 0.0}, "sound.half_range must be a positive number, got 0.0"),
        ({**SOUND, "half_range": float("nan")}, "sound.half_range must be a positive number, got nan"),
        ({**SOUND, "half_range": 10**400}, "sound.half_range must be a positive number"),
        ({**SOUND, "companding": 2.0}, "sound.companding must be null, or have knee and scale, got 2.0"),
        ({**SOUND, "companding": {"knee": 1.0}}, "sound.companding: "),
        ({**SOUND, "companding": {1: 1.0}}, "sound.companding: "),
        (companding(other=1.0), "sound.companding: "),
        (companding(knee=0.0), "knee: input should be greater than or equal to 0.000001, got 0.0"),
        (companding(knee=1e-320), "knee: input should be greater than or equal to 0.000001"),
        (companding(scale=float("inf")), "scale: input should be a finite number"),
        (companding(scale=10**400), "sound.companding: scale: input"),
        (companding(scale=True), "scale: input should be a valid number, got True"),
        (companding(scale="1"), "scale: input should be a valid number, got '1'"),
    ],
)
def test_settings_of_sounds_that_cannot_be(sound, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        layout_of(2, sound)


@pytest.mark.parametrize(
    ("sound", "seen", "says"),
    [
        (None, (3, 4, 4), "in_channels must be a multiple of patch_size² = 4, got 3"),
        (SOUND, (8, 4, 4), "in_channels must be patch_size² = 4 for sounds, got 8"),
        (SOUND, (4, 4, 8), "the width of sample_size must be bins / patch_size = 4, got 8"),
    ],
)
def test_networks_that_fit_no_layout(sound, seen, says):
    with pytest.raises(ValueError, match=says):
        layout_of(2, sound).latent_shape(*seen)


def test_a_spectrogram_shows_a_tone_where_it_is():
    rate, half_range = 8000, 2.0
    time = torch.arange(2048) / rate
    tone = torch.sin(2 * torch.pi * 1000 * time) * (time > 0.128)
    shown = spectrogram(torch.stack([tone, torch.zeros(2048)]), half_range)
    assert shown.shape == (2, 1, 128, 32)
    assert shown[1].eq(shown[1, 0, 0, 0]).all()
    assert float(shown[1, 0, 0, 0]) == pytest.approx(-1.0, abs=1e-5), "silence is black"
    quiet, loud = shown[0, 0, :, :12], shown[0, 0, :, 22:]
    assert float(quiet.max()) < -0.9
    assert loud.argmax(0).unique().tolist() == [127 - 1000 * 256 // rate]
    # a tone of amplitude 1 under a Hann window of N samples has the power (N/4)² / (3N/8) = N/6 in its bin
    expected = (10 * np.log10(256 / 6) - 20 * np.log10(4 * half_range) + 60) / 30 - 1
    assert float(loud.max()) == pytest.approx(expected, abs=0.01)
