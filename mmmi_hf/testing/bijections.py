"""The contract of bijections as checks: `check_bijection` runs them all.

Owns what is checked and the bounds; the contract itself, in prose, is `mmmi_hf.flow.bijection`. Imports torch.

    from mmmi_hf.testing.bijections import check_bijection
    check_bijection(MyBijection((1, 8, 8)))
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, get_args

import torch

from mmmi_hf.dataset.format.views import stored_views
from mmmi_hf.flow.bijection import ROUND_TRIP, Bijection, Kind, View

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = {torch.float32: ROUND_TRIP["float32"], torch.float64: ROUND_TRIP["float64"]}
"""Largest ‖z − ẑ‖ / ‖z‖ of a row, by dtype."""
BATCH = 4


def check_bijection(bijection: Bijection) -> None:
    """Every check, in float32 and float64.

    Raises:
        AssertionError: says what of the contract does not hold.
    """
    check_description(bijection)
    for dtype in BOUND:
        private = bijection.in_precision(dtype)
        for check in CHECKS:
            check(private, dtype)
    check_jacobian(bijection.in_precision(torch.float64))


def check_description(bijection: Bijection) -> None:
    """Shape, view, classes and digest are well formed; in another precision it is the same map."""
    _holds(isinstance(bijection, Bijection), f"{type(bijection).__name__} must be a subclass of Bijection")
    shape, view = bijection.latent_shape, bijection.view
    _holds(isinstance(shape, tuple) and shape and all(type(n) is int and n > 0 for n in shape), f"latent_shape {shape}")
    _holds(isinstance(view, View) and view.kind in get_args(Kind), f"view is {view!r}")
    _holds(math.isfinite(view.half_range) and view.half_range > 0, f"view.half_range is {view.half_range}")
    for kind in stored_views({"x1": view}).values():
        _holds(kind.stored.fits(shape), f"the shape {shape} cannot be stored with the view {kind}")
    classes, names = bijection.num_classes, bijection.class_names
    _holds(classes is None or (type(classes) is int and classes > 0), f"num_classes is {classes!r}")
    _holds(names is None or len(names) == classes, f"class_names must be {classes} names, got {names}")
    _holds(isinstance(bijection.batch_invariant, bool), f"batch_invariant is {bijection.batch_invariant!r}")
    _holds(bijection.dtype in (None, *BOUND), f"dtype is {bijection.dtype}")
    _holds(re.fullmatch("[0-9a-f]{64}", bijection.digest), f"digest must be a sha256, got {bijection.digest!r}")
    for dtype in BOUND:
        private = bijection.in_precision(dtype)
        _holds(private.dtype in (None, dtype), f"in_precision({dtype}) computes in {private.dtype}")
        _holds(private.digest == bijection.digest, f"in_precision({dtype}) is another map by its digest")
        _holds(private.device == bijection.device, f"in_precision({dtype}) is on {private.device}")
    _refused("in_precision(torch.float16)", "dtype", bijection.in_precision, torch.float16)


def check_shapes(bijection: Bijection, dtype: torch.dtype) -> None:
    """Shape, dtype and device stay; the input is left as it was, and no gradients are recorded."""
    z, labels = latents_of(bijection, dtype), labels_of(bijection)
    before = z.clone()
    images = bijection(z, labels).images
    _holds(torch.equal(z, before), "the input must be left as it was")
    _check_result("images", images, z, dtype)
    _check_result("latents", bijection.invert(images, labels), images, dtype)


def check_round_trips(bijection: Bijection, dtype: torch.dtype) -> None:
    """Latents come back from images, and images from latents, those that the map has not made too."""
    z, labels = latents_of(bijection, dtype), labels_of(bijection)
    images = bijection(z, labels).images
    _small(bijection.invert(images, labels), z, BOUND[dtype], "latents → images → latents")
    images = images + 0.1 * latents_of(bijection, dtype, seed=1)
    _small(
        bijection(bijection.invert(images, labels), labels).images, images, BOUND[dtype], "images → latents → images"
    )


def check_rows_are_independent(bijection: Bijection, dtype: torch.dtype) -> None:
    """A row's bits do not depend on its company; its value depends on the batch's size by rounding at most."""
    z, labels = latents_of(bijection, dtype), labels_of(bijection)
    whole = bijection(z, labels).images
    crowd = z.clone()
    crowd[1:] = 7 * z[1:].flip(0)
    _holds(
        torch.equal(bijection(crowd, labels).images[0], whole[0]),
        "same place, other company: the bits must be the same",
    )
    one_by_one = torch.cat([bijection(z[i : i + 1], _part(labels, i)).images for i in range(len(z))])
    bound = 0.0 if bijection.batch_invariant else 100 * torch.finfo(dtype).eps
    _small(one_by_one, whole, bound, "images one by one against images together")
    padded = bijection(z[:3], None if labels is None else labels[:3], batch_size=2).images
    again = bijection(z, labels, batch_size=2).images
    _holds(
        torch.equal(padded, again[:3]), "with a batch_size, bits must depend on a row's place in its micro-batch alone"
    )
    back = bijection.invert(whole, labels)
    one_by_one = torch.cat([bijection.invert(whole[i : i + 1], _part(labels, i)) for i in range(len(z))])
    _small(one_by_one, back, BOUND[dtype], "latents one by one against latents together")
    in_parts = bijection.invert(whole, labels, batch_size=3)
    _small(in_parts, back, BOUND[dtype], "latents in micro-batches against latents together")


def check_options(bijection: Bijection, dtype: torch.dtype) -> None:
    """Options of the inverse: failures as NaN leave good rows alone, a coarse tolerance still inverts; set-up works."""
    z, labels = latents_of(bijection, dtype), labels_of(bijection)
    images = bijection(z, labels).images
    back = bijection.invert(images, labels, on_failure="nan")
    _holds(torch.equal(back, bijection.invert(images, labels)), "on_failure='nan' must not change rows that succeed")
    _small(bijection.invert(images, labels, tolerance=1e-4), z, 0.05, "latents → images → latents, coarsely")
    bijection.set_up()
    bijection.warm_up(BATCH, None if labels is None else 0)
    _holds(torch.equal(bijection(z, labels).images, images), "set_up() and warm_up() must change nothing by default")
    for name, value in (("on_failure", "ignore"), ("tolerance", 0.0), ("batch_size", 0)):
        options: dict[str, Any] = {name: value}
        _refused(f"{name}={value!r}", name, bijection.invert, images, labels, **options)


def check_refusals(bijection: Bijection, dtype: torch.dtype) -> None:
    """Bad values and labels are refused, both ways, in one line that names the argument."""
    z, labels = latents_of(bijection, dtype), labels_of(bijection)
    bad = z.clone()
    bad[2].view(-1)[0] = torch.nan
    cases: list[tuple[Any, Any, str]] = [
        (bad, labels, ""),
        (z[0], labels, ""),
        (z[:0], labels, ""),
        (z[..., :-1], labels, ""),
        (z.half(), labels, ""),
        (z.cpu().numpy(), labels, ""),
    ]
    if bijection.num_classes is None:
        cases += [(z, 0, "class_labels")]
    else:
        wrong = (bijection.num_classes, -1, None, [0, 1], 1.0, True, "0", ["a"] * BATCH)
        cases += [(z, given, "class_labels") for given in wrong]
    for argument, function in (("latents", bijection), ("images", bijection.invert)):
        for values, given, names in cases:
            what = f"{argument} {type(values).__name__} {tuple(values.shape)} {values.dtype} with labels {given!r}"
            _refused(what, names or argument, function, values, given)


def check_jacobian(bijection: Bijection) -> None:
    """In float64, the Jacobian is not singular, keeps the orientation, and is inverse to that of the inverse."""
    dtype = torch.float64
    z, reach = latents_of(bijection, dtype, n=1), 1e-5
    label = None if bijection.num_classes is None else 0
    d = z[0].numel()
    moves = reach * torch.eye(d, dtype=dtype, device=z.device).view(d, *z.shape[1:])
    difference = bijection(z + moves, label).images - bijection(z - moves, label).images
    jacobian = (difference / (2 * reach)).flatten(1).T
    sign, log = torch.linalg.slogdet(jacobian)
    _holds(sign == 1 and bool(log.isfinite()), f"slogdet of the Jacobian is ({float(sign)}, {float(log)})")
    x, few = bijection(z, label).images, slice(0, d, max(1, d // 6))
    back = bijection.invert(x + moves[few], label) - bijection.invert(x - moves[few], label)
    inverse = (back / (2 * reach)).flatten(1).T
    worst = float((jacobian @ inverse - torch.eye(d, dtype=dtype, device=z.device)[:, few]).abs().max())
    _holds(worst <= 2e-4, f"the Jacobians of map and inverse multiply to the identity up to {worst:.1e} only")


CHECKS: tuple[Callable[[Bijection, torch.dtype], None], ...] = (
    check_shapes,
    check_round_trips,
    check_rows_are_independent,
    check_options,
    check_refusals,
)


def latents_of(bijection: Bijection, dtype: torch.dtype, n: int = BATCH, seed: int = 0) -> torch.Tensor:
    """N(0, I) latents (n, *latent_shape) where the bijection wants them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, *bijection.latent_shape, generator=generator, dtype=torch.float64)
    return drawn.to(bijection.device, dtype)


def labels_of(bijection: Bijection, n: int = BATCH) -> torch.Tensor | None:
    """Labels (n,) of all classes in turn, or None."""
    return None if bijection.num_classes is None else torch.arange(n) % bijection.num_classes


def _check_result(name: str, result: torch.Tensor, z: torch.Tensor, dtype: torch.dtype) -> None:
    _holds(result.data_ptr() != z.data_ptr(), f"{name} need memory of their own")
    _holds(result.shape == z.shape, f"{name} have the shape {tuple(result.shape)}, not {tuple(z.shape)}")
    _holds(result.dtype == dtype, f"{name} are {result.dtype}, not {dtype}")
    _holds(result.device == z.device, f"{name} are on {result.device}, not {z.device}")
    _holds(not result.requires_grad, f"{name} must not record gradients")


def _part(labels: torch.Tensor | None, i: int) -> torch.Tensor | None:
    return None if labels is None else labels[i : i + 1]


def _small(a: torch.Tensor, b: torch.Tensor, bound: float, what: str) -> None:
    error = float(((a - b).double().flatten(1).norm(dim=1) / b.double().flatten(1).norm(dim=1)).max())
    _holds(error <= bound, f"{what}: the relative error of a row is {error:.1e}, at most {bound:.1e} is allowed")


def _refused(what: str, names: str, function: Callable[..., object], *given: object, **options: object) -> None:
    try:
        function(*given, **options)
    except ValueError as error:
        _holds("\n" not in str(error) and names in str(error), f"{what}: one line must name {names}, got {error}")
    else:
        raise AssertionError(f"{what} must be refused by a ValueError")


def _holds(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)
