"""A black hole seen by two telescopes, the first through an atmosphere, with the inner products of Table 2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal import templates
from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Images, Model, Release, Shape
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

TABLE_2_SQUARED_NORM, TABLE_2_PRODUCT = 773.3628, 633.8707
"""‖T‖² of every template of the paper's Table 2 and the inner product of its mass and atmosphere templates."""


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST,
        40,
        "a black hole seen by two telescopes, one through an atmosphere (eq. 10): y is the mass or the atmosphere, "
        "with a concentrated or a diffuse template; the information of the paper's Table 2",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    places = {
        "concentrated": "its template is a Gaussian at the centre, that of the atmosphere a wider one",
        "diffuse": "its template is a wide Gaussian, that of the atmosphere nearly homogeneous",
    }
    targets = {"mass": "the mass of the black hole", "atmosphere": "the state of the atmosphere"}
    return Family(
        f"two-telescopes{images.suffix}",
        order,
        summary,
        "A black hole seen by two telescopes, the first through an atmosphere (the paper's eq. 10). The inner products "
        "of the templates, and so all information, are those of the paper's Table 2, at two places." + images.remark,
        tuple(
            Release(
                f"two-telescopes-{target}-{place}{images.suffix}",
                "A black hole seen by two telescopes, the first through an atmosphere (the paper's eq. 10). The target "
                f"is {targets[target]}. The mass reaches both images: {places[place]}. The inner products of the "
                "templates are those of the paper's Table 2.",
                images.seeds + 710 + 2 * i + j,
                _telescopes(target, place),
                images.modalities(),
                images,
            )
            for i, target in enumerate(targets)
            for j, place in enumerate(places)
        ),
    )


def _telescopes(target: str, place: str) -> Model:
    def model(shape: Shape) -> Mapping[str, Any]:
        cosine = TABLE_2_PRODUCT / TABLE_2_SQUARED_NORM
        narrow = min(shape[-2:]) / 8
        wide = _wider(shape, narrow, cosine)
        mass, atmosphere = (narrow, wide) if place == "concentrated" else (wide, _wider(shape, wide, cosine))
        loud = [
            math.sqrt(TABLE_2_SQUARED_NORM) / float(np.linalg.norm(templates.gaussian(shape, width=width)))
            for width in (mass, atmosphere)
        ]
        return {
            "story": "two_telescopes",
            "shape": list(shape),
            "target": target,
            "rho_tilde_1": loud[0],
            "rho_tilde_2": loud[1],
            "mass_templates": {"gaussian": {"width": mass}},
            "atmosphere_template": {"gaussian": {"width": atmosphere}},
        }

    return model


def _wider(shape: Shape, width: float, cosine: float) -> float:
    """The width above `width` at which a centred Gaussian has that cosine with the one of `width`, to 12 digits."""
    narrow = templates.gaussian(shape, width=width)

    def excess(log_width: float) -> float:
        wide = templates.gaussian(shape, width=math.exp(log_width))
        return float(np.sum(narrow * wide)) / float(np.linalg.norm(narrow) * np.linalg.norm(wide)) - cosine

    low, high = math.log(width), math.log(100.0 * max(shape[-2:]))
    if excess(high) > 0.0:
        raise ConfigurationError(
            f"images of shape {shape} are too small for the templates of two telescopes; give a pipeline of larger ones"
        )
    return float(f"{math.exp(scipy.optimize.brentq(excess, low, high, xtol=1e-15, rtol=1e-14)):.12g}")
