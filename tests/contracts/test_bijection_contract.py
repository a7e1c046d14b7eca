"""One contract for every bijection: shape, dtype, device, both inverses, independence of the batch, labels, digest."""

import hashlib

import pytest
import torch

from mmmi_hf.flow import (
    AsinhBijection,
    Bijection,
    FlowMatchingPipeline,
    HalfCubeBijection,
    IdentityBijection,
    NormalCdfBijection,
    load_bijection,
)
from tests.networks import tiny_flow

UNLABELLED = (IdentityBijection, AsinhBijection, NormalCdfBijection, HalfCubeBijection)
SHAPES = ((1, 8, 8), (24,))
BOUND = {torch.float32: 2e-5, torch.float64: 1e-10}
BATCH = 4


FLOWS = {
    "flow-midpoint": tiny_flow(num_inference_steps=3),
    "flow-euler": tiny_flow(solver="euler", num_inference_steps=4),
}
CASES = [pytest.param(kind(shape), id=f"{kind.name}-{len(shape)}d") for kind in UNLABELLED for shape in SHAPES]
CASES += [pytest.param(flow, id=name) for name, flow in FLOWS.items()]
DTYPES = [torch.float32, torch.float64]


@pytest.fixture(params=DTYPES, ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=CASES)
def bijection(request, dtype):
    yield request.param.to(dtype) if isinstance(request.param, FlowMatchingPipeline) else request.param
    if isinstance(request.param, FlowMatchingPipeline):
        request.param.to(torch.float32)


def _latents(bijection, dtype, n=BATCH, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *bijection.latent_shape, generator=generator, dtype=torch.float64).to(dtype)


def _labels(bijection, n=BATCH):
    return None if bijection.num_classes is None else torch.arange(n) % bijection.num_classes


def _error(a, b):
    return float(((a - b).double().flatten(1).norm(dim=1) / b.double().flatten(1).norm(dim=1)).max())


def test_it_is_a_bijection_of_one_shape_and_dtype(bijection, dtype):
    assert isinstance(bijection, Bijection)
    z = _latents(bijection, dtype)
    before = z.clone()
    images = bijection(z, _labels(bijection)).images
    back = bijection.invert(images, _labels(bijection))
    assert torch.equal(z, before), "the input is left as it was"
    assert images.data_ptr() != z.data_ptr()
    for result in (images, back):
        assert result.shape == z.shape
        assert result.dtype == dtype
        assert result.device == z.device
        assert not result.requires_grad
    assert bijection.device == z.device


def test_latents_come_back_from_images(bijection, dtype):
    z = _latents(bijection, dtype)
    assert _error(bijection.invert(bijection(z, _labels(bijection)).images, _labels(bijection)), z) <= BOUND[dtype]


def test_images_come_back_from_latents(bijection, dtype):
    images = bijection(_latents(bijection, dtype), _labels(bijection)).images
    images = images + 0.1 * _latents(bijection, dtype, seed=1)  # not only images of the map's own making
    again = bijection(bijection.invert(images, _labels(bijection)), _labels(bijection)).images
    assert _error(again, images) <= BOUND[dtype]


def test_a_row_does_not_depend_on_its_batch(bijection, dtype):
    z, labels = _latents(bijection, dtype), _labels(bijection)
    whole = bijection(z, labels).images
    crowd = z.clone()
    crowd[1:] = 7 * z[1:].flip(0)
    assert torch.equal(bijection(crowd, labels).images[0], whole[0]), "same place, other company: the same bits"
    alone = torch.cat([bijection(z[i : i + 1], None if labels is None else labels[i : i + 1]).images for i in range(4)])
    bound = 0 if bijection.num_classes is None else 100 * torch.finfo(dtype).eps
    assert _error(alone, whole) <= bound, "other batch size: the same value, up to the network's rounding"
    back = bijection.invert(whole, labels)
    alone = torch.cat(
        [bijection.invert(whole[i : i + 1], None if labels is None else labels[i : i + 1]) for i in range(4)]
    )
    assert _error(alone, back) <= BOUND[dtype]


@pytest.mark.parametrize("dtype", [torch.float64], ids=["float64"])
def test_the_jacobian_is_not_singular_and_keeps_orientation(bijection, dtype):
    z, labels = _latents(bijection, dtype, n=1), _labels(bijection, n=1)
    d, reach = z[0].numel(), 1e-5
    moves = reach * torch.eye(d, dtype=dtype).view(d, *z.shape[1:])
    many = None if labels is None else labels.expand(d)
    difference = bijection(z + moves, many).images - bijection(z - moves, many).images
    jacobian = (difference / (2 * reach)).flatten(1).T
    sign, log = torch.linalg.slogdet(jacobian)
    assert sign == 1
    assert torch.isfinite(log)
    x, few = bijection(z, labels).images, slice(0, d, d // 6)
    many = None if labels is None else labels.expand(len(moves[few]))
    back = bijection.invert(x + moves[few], many) - bijection.invert(x - moves[few], many)
    inverse = (back / (2 * reach)).flatten(1).T
    assert torch.allclose(jacobian @ inverse, torch.eye(d, dtype=dtype)[:, few], atol=2e-4)


def test_bad_input_is_refused_in_one_line(bijection, dtype):
    z, labels = _latents(bijection, dtype), _labels(bijection)
    bad = z.clone()
    bad[2].view(-1)[0] = torch.nan
    cases = [
        (bad, labels, r"finite, got NaN or infinity in rows \[2\]"),
        (z[0], labels, "must have shape"),
        (z[:0], labels, "n ≥ 1"),
        (z[..., :-1], labels, "must have shape"),
        (z.half(), labels, "must be float32 or float64, got torch.float16"),
        (z.numpy(), labels, "must be a torch tensor, got ndarray"),
    ]
    if bijection.num_classes is None:
        cases += [(z, 0, "class_labels must be None")]
    else:
        cases += [
            (z, bijection.num_classes, rf"0 … {bijection.num_classes - 1}.* got {bijection.num_classes}"),
            (z, -1, "class_labels"),
            (z, None, "class_labels"),
            (z, [0, 1], "class_labels"),
            (z, 1.0, "class_labels"),
            (z, True, "class_labels"),
        ]
    for function in (bijection, bijection.invert):
        for values, given, match in cases:
            with pytest.raises(ValueError, match=match) as caught:
                function(values, given)
            assert "\n" not in str(caught.value)


def test_the_digest_names_the_map(bijection, dtype):
    digest = bijection.digest
    assert len(bytes.fromhex(digest)) == hashlib.sha256().digest_size
    assert digest == bijection.digest


def test_different_maps_have_different_digests():
    every = [kind(shape) for kind in UNLABELLED for shape in SHAPES] + list(FLOWS.values())
    digests = [bijection.digest for bijection in every]
    assert len(set(digests)) == len(digests)
    assert [kind((24,)).digest for kind in UNLABELLED] == [
        load_bijection(kind.name, (24,)).digest for kind in UNLABELLED
    ]


@pytest.mark.parametrize("kind", UNLABELLED)
@pytest.mark.parametrize("shape", [(), (0,), (1, -2), (2.0,), (True, 3)])
def test_a_shape_is_positive_integers(kind, shape):
    with pytest.raises(ValueError, match="latent_shape must be positive integers"):
        kind(shape)
