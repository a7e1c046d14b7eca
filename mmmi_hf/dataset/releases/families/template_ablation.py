"""The same information at different places: only the template of the target's cause varies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mmmi_hf.causal import CausalModel, design, template_ablation, templates
from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Model, Release, Shape

ABLATION_TARGET_INFORMATION, ABLATION_PAIR_INFORMATION = 1.0, 1.5
ABLATION_TEMPLATES: dict[str, tuple[str, Callable[[Shape], np.ndarray]]] = {
    "homogeneous": ("everywhere alike", templates.ones),
    "centre": ("at the centre", templates.gaussian),
    "corner": ("in a corner", lambda shape: templates.gaussian(shape, centre=_at(shape, 0.2, 0.2))),
    "ring": ("on a ring", templates.ring),
    "left-half": ("in the left half", lambda shape: templates.half_plane(shape, angle=180.0)),
    "checkerboard": (
        "in the white squares of a checkerboard",
        lambda shape: 0.5 + 0.5 * templates.checkerboard(shape, period=_quarter(shape)),
    ),
    "random-field": ("on a smooth random field", lambda shape: templates.random_field(shape, seed=1)),
    "single-component": ("in one coordinate", templates.single_component),
}


def family() -> Family:
    """The family."""
    return Family(
        "template-ablation",
        60,
        "equal information at eight places (eq. 12), with a cause that the images share without y",
        "The same information at different places (the paper's eq. 12): two images with a cause that is the target and "
        "a second one that they share without it; only the template of the first varies.",
        tuple(
            Release(
                f"template-ablation-{name}",
                f"The target's cause enters two images {where}; a second cause, which is no part of the target, is "
                f"shared on a smooth random field orthogonal to it (the paper's eq. 12). Each image carries "
                f"{ABLATION_TARGET_INFORMATION} nats about y and {ABLATION_PAIR_INFORMATION} about the other in every "
                "configuration of the family, and all inner products of templates agree: only the place varies.",
                FASHION_MNIST.seeds + 740 + index,
                _ablation(pattern),
                FASHION_MNIST.modalities(),
            )
            for index, (name, (where, pattern)) in enumerate(ABLATION_TEMPLATES.items())
        ),
    )


def _ablation(pattern: Callable[[Shape], np.ndarray]) -> Model:
    def model(shape: Shape) -> CausalModel:
        own, shared = design.orthonormal_templates([pattern(shape), templates.random_field(shape, seed=0)])
        target = math.expm1(2.0 * ABLATION_TARGET_INFORMATION)
        induced = design.induced_pair_information(ABLATION_TARGET_INFORMATION, ABLATION_TARGET_INFORMATION)
        extra = design.signal_for_pair_information(ABLATION_PAIR_INFORMATION - induced)
        return template_ablation(
            shape,
            eta=[1.0, 0.0],
            rho_tilde=[[math.sqrt(target), math.sqrt(extra)]] * 2,
            templates=[[own, shared]] * 2,
        )

    return model


def _at(shape: Sequence[int], *fractions: float) -> list[float]:
    return [fraction * (n - 1) for fraction, n in zip(fractions, shape[-2:], strict=True)]


def _quarter(shape: Sequence[int]) -> int:
    """An even period of about a quarter of the shorter side, at least 2."""
    return max(2, 2 * (min(shape[-2:]) // 8))
