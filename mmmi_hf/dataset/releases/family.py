"""The families of released configurations, each a function of the shape that a pipeline makes.

Owns names, seeds, classes and coefficients of what the project publishes. A name keeps its meaning: a configuration
that turns out wrong is superseded under a new version and listed under Corrections, never changed in silence. Imports
causal/ and this room's configuration only; looking names up is the registry's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mmmi_hf.causal import CausalModel, design, template_ablation, templates
from mmmi_hf.dataset.releases.configuration import CIFAR10_PIPELINE, DEFAULT_PIPELINE, MMMIConfig, Modality
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

Shape = tuple[int, ...]

COMMON_CAUSE_LEVELS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
DECAYS = (1.2, 1.4, 1.6)
TABLE_2_SQUARED_NORM, TABLE_2_PRODUCT = 773.3628, 633.8707
"""‖T‖² of every template of the paper's Table 2 and the inner product of its mass and atmosphere templates."""

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

_SERIES = 128


@dataclass(frozen=True)
class Images:
    """What the images of a release show, unless another pipeline is asked for.

    Attributes:
        pipeline: its name.
        shape: of one image: (channels, height, width).
        suffix: of the names of families and configurations.
        remark: added to the descriptions of families.
        classes: of the first, second and third modality, where a story does not take all ten.
        seeds: added to the seeds of the families.
    """

    pipeline: str
    shape: Shape
    suffix: str
    remark: str
    classes: tuple[int, int, int]
    seeds: int

    def modalities(self, count: int = 2) -> tuple[Modality, ...]:
        """Up to three modalities of these classes, or ten of all classes."""
        classes = self.classes[:count] if count <= len(self.classes) else range(count)
        return tuple(Modality(self.pipeline, label) for label in classes)


_FASHION_MNIST = Images(DEFAULT_PIPELINE, (1, 32, 32), "", "", (7, 8, 9), 2510_2168_000)  # sneaker, bag, ankle boot
_CIFAR10 = Images(
    CIFAR10_PIPELINE,
    (3, 32, 32),
    "-cifar10",
    " With images of CIFAR-10's classes.",
    (1, 6, 9),  # automobile, frog, truck
    2510_2169_000,
)


@dataclass(frozen=True)
class Release:
    """One released configuration, before a pipeline is chosen.

    Attributes:
        name, description, seed, standardize, version: as in MMMIConfig.
        model: from the shape of the pipeline's images to the causal model, or to its plain form.
        modalities: one per modality; those of the pipeline of `images` take another pipeline when one is asked for.
        images: the pipeline and shape of its images unless another pipeline is asked for.
    """

    name: str
    description: str
    seed: int
    model: Callable[[Shape], CausalModel | Mapping[str, Any]]
    modalities: tuple[Modality, ...]
    images: Images = _FASHION_MNIST
    standardize: Literal["whiten", "rms", "none"] = "whiten"
    version: str = "1.0.0"

    def configuration(self, pipeline: str, shape: Shape) -> MMMIConfig:
        """The configuration on a pipeline that makes images of that shape."""
        return MMMIConfig(
            name=self.name,
            version=self.version,
            description=self.description,
            causal_model=self.model(shape),
            modalities=tuple(
                Modality(pipeline, modality.class_label) if modality.pipeline == self.images.pipeline else modality
                for modality in self.modalities
            ),
            standardize=self.standardize,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Family:
    """Configurations that tell one causal story.

    Attributes:
        name: of the family.
        description: one or two sentences.
        releases: its configurations, in order.
    """

    name: str
    description: str
    releases: tuple[Release, ...]

    @property
    def configurations(self) -> tuple[str, ...]:
        """Names of the configurations, in order."""
        return tuple(release.name for release in self.releases)


def released_families() -> tuple[Family, ...]:
    """Every family, in the order in which they are documented; models are built only when asked for."""
    return (
        _common_cause(_FASHION_MNIST),
        _common_cause_rms(),
        _independent(_FASHION_MNIST),
        _two_telescopes(_FASHION_MNIST),
        _decaying_modalities(_FASHION_MNIST),
        _template_ablation(),
        _image_and_time_series(),
        _missing_modality(),
        _imbalanced_modality(),
        _common_cause(_CIFAR10),
        _independent(_CIFAR10),
        _two_telescopes(_CIFAR10),
        _decaying_modalities(_CIFAR10),
    )


def _story(name: str, **coefficients: Any) -> Callable[[Shape], Mapping[str, Any]]:
    return lambda shape: {"story": name, "shape": list(shape), **coefficients}


def _common_cause(images: Images) -> Family:
    return Family(
        f"common-cause{images.suffix}",
        "One common cause with a homogeneous template (the paper's eq. 2), at ten levels of information."
        + images.remark,
        tuple(
            Release(
                f"common-cause-{level}{images.suffix}",
                f"One common cause with a homogeneous template (the paper's eq. 2): each of two images carries {level} "
                "nats about the target y, and they share information through y alone.",
                images.seeds + 600 + index,
                _story("common_cause", mi=level),
                images.modalities(),
                images,
            )
            for index, level in enumerate(COMMON_CAUSE_LEVELS)
        ),
    )


def _common_cause_rms() -> Family:
    return Family(
        "common-cause-rms",
        "The common-cause family with latents scaled by a constant instead of whitened: the cause stays as loud as in "
        "the paper's data, outside of what the pipeline was trained on.",
        tuple(
            Release(
                f"common-cause-{level}-rms",
                f"As common-cause-{level}, with latents divided by their analytic root mean square and not whitened: "
                "the direction of the common cause keeps its large variance, as in the paper's data, and is easier to "
                "find.",
                _FASHION_MNIST.seeds + 620 + index,
                _story("common_cause", mi=level),
                _FASHION_MNIST.modalities(),
                standardize="rms",
            )
            for index, level in enumerate(COMMON_CAUSE_LEVELS)
        ),
    )


def _independent(images: Images) -> Family:
    return Family(
        f"independent{images.suffix}",
        "The null: images and a target that have nothing in common." + images.remark,
        (
            Release(
                f"independent{images.suffix}",
                "The null: two images and a target without a common cause; every information quantity is zero.",
                images.seeds + 700,
                _story("independent"),
                images.modalities(),
                images,
            ),
        ),
    )


def _two_telescopes(images: Images) -> Family:
    places = {
        "concentrated": "its template is a Gaussian at the centre, that of the atmosphere a wider one",
        "diffuse": "its template is a wide Gaussian, that of the atmosphere nearly homogeneous",
    }
    targets = {"mass": "the mass of the black hole", "atmosphere": "the state of the atmosphere"}
    return Family(
        f"two-telescopes{images.suffix}",
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


def _telescopes(target: str, place: str) -> Callable[[Shape], Mapping[str, Any]]:
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
    from scipy.optimize import brentq

    narrow = templates.gaussian(shape, width=width)

    def excess(log_width: float) -> float:
        wide = templates.gaussian(shape, width=math.exp(log_width))
        return float(np.sum(narrow * wide)) / float(np.linalg.norm(narrow) * np.linalg.norm(wide)) - cosine

    low, high = math.log(width), math.log(100.0 * max(shape[-2:]))
    if excess(high) > 0.0:
        raise ConfigurationError(
            f"images of shape {shape} are too small for the templates of two telescopes; give a pipeline of larger ones"
        )
    return float(f"{math.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-14)):.12g}")


def _decaying_modalities(images: Images) -> Family:
    settings = [(alpha, beta) for alpha in DECAYS for beta in DECAYS]
    return Family(
        f"decaying-modalities{images.suffix}",
        "Ten images, one per class, that see the target ever less and share each other's sources (the paper's eq. 11 "
        "and Fig. 6), for nine pairs of decays. Neighbours share hundreds to thousands of nats: no storage keeps them."
        + images.remark,
        tuple(
            Release(
                f"decaying-modalities-alpha{alpha}-beta{beta}{images.suffix}",
                f"Ten images, one per class: the target's cause decays by {beta} from one to the next, the sharing of "
                f"their sources by {alpha} with distance (the paper's eq. 11, all coefficients 1). Neighbouring images "
                "share hundreds to thousands of nats, which no storage keeps; what each says about y can be kept.",
                images.seeds + 720 + index,
                _story("decaying_modalities", modalities=10, alpha=alpha, beta=beta),
                images.modalities(10),
                images,
            )
            for index, (alpha, beta) in enumerate(settings)
        ),
    )


def _template_ablation() -> Family:
    return Family(
        "template-ablation",
        "The same information at different places (the paper's eq. 12): two images with a cause that is the target and "
        "a second one that they share without it; only the template of the first varies.",
        tuple(
            Release(
                f"template-ablation-{name}",
                f"The target's cause enters two images {where}; a second cause, which is no part of the target, is "
                f"shared on a smooth random field orthogonal to it (the paper's eq. 12). Each image carries "
                f"{ABLATION_TARGET_INFORMATION} nats about y and {ABLATION_PAIR_INFORMATION} about the other in every "
                "configuration of the family, and all inner products of templates agree: only the place varies.",
                _FASHION_MNIST.seeds + 740 + index,
                _ablation(pattern),
                _FASHION_MNIST.modalities(),
            )
            for index, (name, (where, pattern)) in enumerate(ABLATION_TEMPLATES.items())
        ),
    )


def _ablation(pattern: Callable[[Shape], np.ndarray]) -> Callable[[Shape], CausalModel]:
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


def _image_and_time_series() -> Family:
    return Family(
        "image-and-time-series",
        "Modalities of different kind: an image and a time series.",
        (
            Release(
                "image-and-time-series",
                f"Modalities of different kind with one common cause: an image in which it is homogeneous, and a time "
                f"series of {_SERIES} samples (through the element-wise bijection asinh) in which it is a bump; each "
                "carries one nat about the target y.",
                _FASHION_MNIST.seeds + 760,
                lambda shape: {
                    "story": "common_cause",
                    "shape": [list(shape), [_SERIES]],
                    "mi": 1.0,
                    "template": [["ones"], ["gaussian"]],
                },
                (_FASHION_MNIST.modalities(1)[0], Modality("asinh")),
            ),
        ),
    )


def _missing_modality() -> Family:
    return Family(
        "missing-modality",
        "Three images, of which the third has nothing to do with the rest.",
        (
            Release(
                "missing-modality",
                "Three images: the common cause reaches the first two, with one nat about the target y each; none "
                "reaches the third, which is its own noise only.",
                _FASHION_MNIST.seeds + 770,
                _story("common_cause", modalities=3, mi=[1.0, 1.0, 0.0]),
                _FASHION_MNIST.modalities(3),
            ),
        ),
    )


def _imbalanced_modality() -> Family:
    return Family(
        "imbalanced-modality",
        "Three images, of which one knows far more about the target than the others.",
        (
            Release(
                "imbalanced-modality",
                "Three images with one common cause, unlike in strength: 2, 0.5 and 0.1 nats about the target y.",
                _FASHION_MNIST.seeds + 780,
                _story("common_cause", modalities=3, mi=[2.0, 0.5, 0.1]),
                _FASHION_MNIST.modalities(3),
            ),
        ),
    )


def _at(shape: Sequence[int], *fractions: float) -> list[float]:
    return [fraction * (n - 1) for fraction, n in zip(fractions, shape[-2:], strict=True)]


def _quarter(shape: Sequence[int]) -> int:
    """An even period of about a quarter of the shorter side, at least 2."""
    return max(2, 2 * (min(shape[-2:]) // 8))
