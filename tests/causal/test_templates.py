"""Templates: what each pattern is, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mmmi_hf.causal import InvalidModelError, templates

PATTERNS = ["gaussian", "ring", "radial_decay", "half_plane", "checkerboard", "random_field"]
SHAPES = [(7,), (16,), (6, 9), (16, 16), (1, 8, 8), (3, 8, 10)]


@pytest.mark.parametrize("name", templates.NAMES)
@pytest.mark.parametrize("shape", [*SHAPES, (1,), (1, 1, 1)])
def test_every_name_gives_a_usable_template(name, shape):
    if name == "half_plane" and shape[-1] == 1:
        with pytest.raises(InvalidModelError, match=r"offset is 0\.0"):
            templates.named(name, shape)
        return
    template = templates.named(name, shape)
    assert template.shape == shape
    assert template.dtype == np.float64
    assert np.all(np.isfinite(template))
    assert template.any()
    np.testing.assert_array_equal(templates.named(name, list(shape)), template)


@pytest.mark.parametrize("name", PATTERNS)
def test_channels_are_alike_and_a_plane_is_an_image_of_one_channel(name):
    pattern = getattr(templates, name)
    template = pattern((3, 8, 10))
    for channel in template:
        np.testing.assert_array_equal(channel, pattern((8, 10)))


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 2, 3)])
def test_cosines_are_an_orthogonal_basis(shape):
    basis = np.stack([templates.cosine(shape, waves).ravel() for waves in np.ndindex(*shape)])
    gram = basis @ basis.T
    np.testing.assert_allclose(gram, np.diag(np.diagonal(gram)), atol=1e-12)
    assert np.diagonal(gram).min() > 0.1
    np.testing.assert_array_equal(basis[0], 1.0)
    np.testing.assert_array_equal(basis[1], templates.cosine(shape, 1).ravel())


@pytest.mark.parametrize("waves", [[0], [0, 4], [0, -1], [0, 0.5], 9, None])
def test_cosines_that_do_not_fit(waves):
    with pytest.raises(InvalidModelError, match="waves is"):
        templates.cosine((3, 4), waves)


def test_ones_and_single_component():
    np.testing.assert_array_equal(templates.ones((2, 3)), np.ones((2, 3)))
    assert templates.ones((2, 2, 2, 2)).sum() == 16
    assert np.argwhere(templates.single_component((3, 4, 5))).tolist() == [[1, 2, 2]]
    assert np.argwhere(templates.single_component((4, 5), index=(3, 0))).tolist() == [[3, 0]]
    assert np.argwhere(templates.single_component((4, 5), index=7)).tolist() == [[1, 2]]
    assert templates.single_component((4, 5), index=7).sum() == 1.0


def test_gaussian_is_symmetric_and_centred():
    template = templates.gaussian((9, 9))
    np.testing.assert_array_equal(template, template[::-1, ::-1])
    np.testing.assert_array_equal(template, template.T)
    assert template[4, 4] == template.max() == 1.0
    moved = templates.gaussian((9, 9), centre=(2, 6), width=1.5)
    assert np.unravel_index(moved.argmax(), moved.shape) == (2, 6)
    assert moved[2, 3] == pytest.approx(np.exp(-0.5 * (3 / 1.5) ** 2))
    assert templates.gaussian((9,), centre=1.0, width=2.0)[5] == pytest.approx(np.exp(-2.0))


def test_ring_and_radial_decay():
    ring = templates.ring((33, 33), radius=10, width=2)
    assert ring[16, 26] == pytest.approx(1.0)
    assert ring[16, 16] == pytest.approx(np.exp(-0.5 * 25))
    decay = templates.radial_decay((33, 33), length=5)
    assert decay[16, 16] == 1.0
    assert decay[16, 26] == pytest.approx(np.exp(-2))


def test_half_plane_by_angle_and_offset():
    right = templates.half_plane((4, 6))
    np.testing.assert_array_equal(right, np.tile([0, 0, 0, 1, 1, 1], (4, 1)))
    np.testing.assert_array_equal(templates.half_plane((4, 6), angle=180), right[:, ::-1])
    np.testing.assert_array_equal(templates.half_plane((4, 6), angle=90)[:, 0], [0, 0, 1, 1])
    assert templates.half_plane((4, 6), offset=1).sum() == 8
    np.testing.assert_array_equal(templates.half_plane((4,)), [0, 0, 1, 1])


def test_checkerboard():
    np.testing.assert_array_equal(templates.checkerboard((4,), period=2), [1, -1, 1, -1])
    board = templates.checkerboard((8, 8), period=4)
    np.testing.assert_array_equal(board[:4, :4], [[1, 1, -1, -1]] * 2 + [[-1, -1, 1, 1]] * 2)
    assert board.sum() == 0
    assert set(np.unique(templates.checkerboard((32, 32)))) == {-1.0, 1.0}


def test_random_field_is_seeded_smooth_and_of_mean_square_one():
    field = templates.random_field((32, 32), seed=3, cutoff=4)
    assert np.mean(field**2) == pytest.approx(1.0)
    np.testing.assert_array_equal(field, templates.random_field((32, 32), seed=3, cutoff=4))
    assert not np.allclose(field, templates.random_field((32, 32), seed=4, cutoff=4))
    step = np.sqrt(np.mean(np.diff(field, axis=0) ** 2))
    assert step < 0.4  # a wave of four half periods changes by at most π 4 / 32 of its amplitude per pixel
    assert np.std(templates.random_field((16,), cutoff=0.5)) == pytest.approx(0.0, abs=1e-12)


def test_image(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).save(path)
    np.testing.assert_array_equal(templates.image(path, (2, 2)), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(templates.image(str(path), (1, 2, 2))[0], [[0, 1], [1, 0]])
    assert templates.image(path, (4, 8, 8)).shape == (4, 8, 8)
    colours = np.zeros((2, 2, 3), dtype=np.uint8)
    colours[..., 0] = 255
    Image.fromarray(colours).save(path)
    np.testing.assert_array_equal(templates.image(path, (3, 2, 2)), np.stack([np.ones((2, 2)), *np.zeros((2, 2, 2))]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: templates.ones(()), r"shape is \(\), expected a tuple of positive integers"),
        (lambda: templates.ones(3), "shape is 3"),
        (lambda: templates.ones((2, 0)), r"shape is \(2, 0\)"),
        (lambda: templates.ones((2.5,)), r"shape is \(2.5,\)"),
        (lambda: templates.ones((True, 2)), r"shape is \(True, 2\)"),
        (lambda: templates.gaussian((2, 2, 2, 2)), "gaussian is defined for"),
        (lambda: templates.single_component((2, 2), index=4), "index is 4, expected 0 ≤ index < 4"),
        (lambda: templates.single_component((2, 2), index=(0, 2)), r"index is \(0, 2\)"),
        (lambda: templates.single_component((2, 2), index=(0,)), r"index is \(0,\)"),
        (lambda: templates.single_component((2, 2), index=(0, -1)), "index is -1"),
        (lambda: templates.single_component((2, 2), index=(0, 0.5)), "index is 0.5"),
        (lambda: templates.gaussian((8, 8), width=0), "width is 0, expected a number above 0"),
        (lambda: templates.gaussian((8, 8), width=float("nan")), "width is nan, expected a finite number"),
        (lambda: templates.gaussian((8, 8), width="wide"), "width is 'wide'"),
        (lambda: templates.gaussian((8, 8), centre=(1,)), r"centre is \(1,\), expected 2 positions"),
        (lambda: templates.gaussian((8, 8), centre=(1, float("inf"))), "centre is inf"),
        (lambda: templates.ring((8, 8), radius=-1), "radius is -1"),
        (lambda: templates.radial_decay((8, 8), length=-1), "length is -1"),
        (lambda: templates.half_plane((8, 8), offset=100), "offset is 100.0: no pixel"),
        (lambda: templates.half_plane((8, 8), angle=float("inf")), "angle is inf"),
        (lambda: templates.checkerboard((8, 8), period=3), "period is 3, expected an even number"),
        (lambda: templates.checkerboard((8, 8), period=0), "period is 0"),
        (lambda: templates.random_field((8, 8), seed=-1), "seed is -1"),
        (lambda: templates.random_field((8, 8), seed=2**63), "seed is 9223372036854775808"),
        (lambda: templates.random_field((8, 8), cutoff=0), "cutoff is 0"),
        (lambda: templates.random_field((8, 8), cutoff=1e9), r"cutoff is 1e\+09, expected at most"),
        (lambda: templates.image("nowhere.png", (8,)), r"expected \(H, W\) or \(C, H, W\)"),
        (lambda: templates.image("nowhere.png", (8, 8)), "path 'nowhere.png' is not a readable image"),
        (lambda: templates.named("rainbow", (8, 8)), "names 'rainbow', expected one of ones, component, gaussian"),
    ],
)
def test_wrong_parameters_are_refused(call, message):
    with pytest.raises(InvalidModelError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_every_public_pattern_is_listed():
    assert set(templates.__all__) == {"cosine", "image", "ones", "single_component", *PATTERNS}
