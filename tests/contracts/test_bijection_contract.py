"""One contract for every bijection, as authors of others run it, and what ours say when they refuse."""

import pytest
import torch

from mmmi_hf.flow import (
    Bijection,
    BijectionOutput,
    IdentityBijection,
    View,
    elementwise_bijections,
    load_bijection,
)
from mmmi_hf.testing import bijections as contract
from mmmi_hf.testing.bijections import labels_of, latents_of
from tests.networks import tiny_flow, tiny_sounds

ELEMENTWISE = tuple(elementwise_bijections().values())
SHAPES = ((1, 8, 8), (24,))


FLOWS = {
    "flow-midpoint": tiny_flow(num_inference_steps=3),
    "flow-euler": tiny_flow(widths=(8,), solver="euler", num_inference_steps=4),
    "flow-of-sounds": tiny_sounds(num_inference_steps=2),
    "flow-of-companded-sounds": tiny_sounds(companding={"knee": 0.1, "scale": 1.1}, num_inference_steps=2),
    "flow-without-classes": tiny_flow(widths=(8,), classes=None, num_inference_steps=2),
}
CASES = [pytest.param(kind(shape), id=f"{kind.name}-{len(shape)}d") for kind in ELEMENTWISE for shape in SHAPES]
CASES += [pytest.param(flow, id=name) for name, flow in FLOWS.items()]


@pytest.fixture(params=CASES)
def bijection(request):
    return request.param


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def test_it_says_what_it_is(bijection):
    contract.check_description(bijection)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract(bijection, dtype, check):
    check(bijection.in_precision(dtype), dtype)


def test_its_jacobian_is_that_of_a_bijection(bijection):
    contract.check_jacobian(bijection.in_precision(torch.float64))


def test_the_same_bijection_keeps_its_digest_and_others_have_another():
    every = [kind(shape) for kind in ELEMENTWISE for shape in SHAPES] + list(FLOWS.values())
    digests = [bijection.digest for bijection in every]
    assert len(set(digests)) == len(digests)
    assert digests == [bijection.digest for bijection in every]
    assert [kind((24,)).digest for kind in ELEMENTWISE] == [
        load_bijection(kind.name, (24,)).digest for kind in ELEMENTWISE
    ]


def test_what_ours_say_of_bad_input(bijection, dtype):
    bijection = bijection.in_precision(dtype)
    z, labels = latents_of(bijection, dtype), labels_of(bijection)
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
            (z, "7", "class_labels must be integers in 0 … [12], one for all rows .* got '7'"),
        ]
    for function in (bijection, bijection.invert):
        for values, given, match in cases:
            with pytest.raises(ValueError, match=match):
                function(values, given)


def test_how_ours_are_shown():
    shown = {kind.name: [kind(shape).view for shape in (*SHAPES, (2, 4, 4))] for kind in ELEMENTWISE}
    assert all(views == [View("image", 4.0), View("series", 4.0), View("array", 4.0)] for views in shown.values())
    shown = {flow.view for name, flow in FLOWS.items() if "sounds" not in name}
    assert shown == {View("image", 1.0)}, "whether there are classes or not"
    assert {flow.view for name, flow in FLOWS.items() if "sounds" in name} == {View("sound", 4.0, 8000)}


@pytest.mark.parametrize("kind", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (0,), (1, -2), (2.0,), (True, 3)])
def test_a_shape_is_positive_integers(kind, shape):
    with pytest.raises(ValueError, match="latent_shape must be positive integers"):
        kind(shape)


class _Doubling(IdentityBijection):
    """x = 2z, with one fault that a subclass brings in."""

    name = "doubling"
    definition = "x = 2 z"

    def _forward(self, z):
        return 2 * z

    def _inverse(self, x):
        return x / 2


class _Mirror(_Doubling):
    def _forward(self, z):
        return z * torch.tensor([-2.0] + [2.0] * (z.shape[-1] - 1), dtype=z.dtype)

    def _inverse(self, x):
        return x / torch.tensor([-2.0] + [2.0] * (x.shape[-1] - 1), dtype=x.dtype)


class _OfTheBatch(_Doubling):
    def _forward(self, z):
        return z / z.abs().max()


class _Inexact(_Doubling):
    def _inverse(self, x):
        return x / 2.001


class _InPlace(_Doubling):
    def _forward(self, z):
        return z.mul_(2)


class _TakesLabels(_Doubling):
    def __call__(self, latents, class_labels=None, *, batch_size=None):
        return super().__call__(latents, None, batch_size=batch_size)


class _Half(_Doubling):
    def __call__(self, latents, class_labels=None, *, batch_size=None):
        return BijectionOutput(super().__call__(latents, class_labels, batch_size=batch_size).images.half())


class _NoDigest(_Doubling):
    digest = "me"


class _Unseen(_Doubling):
    view = View("image", 1.0)


class _OneMoreName(_Doubling):
    class_names = ("cat",)


class _NanForAll(_Doubling):
    def invert(self, images, class_labels=None, *, on_failure="raise", **options):
        latents = super().invert(images, class_labels, on_failure=on_failure, **options)
        return latents.fill_(torch.nan) if on_failure == "nan" else latents


def test_a_bijection_of_ones_own():
    contract.check_bijection(_Doubling((5,)))
    with pytest.raises(TypeError, match="abstract"):
        Bijection()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (_Mirror, "slogdet of the Jacobian"),
        (_OfTheBatch, "relative error|bits must be the same"),
        (_Inexact, "latents → images → latents"),
        (_InPlace, "left as it was"),
        (_TakesLabels, "labels 0 must be refused"),
        (_Half, "images are torch.float16"),
        (_NoDigest, "digest must be a sha256"),
        (_Unseen, "cannot be stored with the view image"),
        (_OneMoreName, "class_names must be None names"),
        (_NanForAll, "on_failure='nan'"),
    ],
)
def test_what_breaks_the_contract_is_found(kind, says):
    with pytest.raises(AssertionError, match=says):
        contract.check_bijection(kind((5,)))
