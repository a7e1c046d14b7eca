"""What a family of released configurations consists of.

Owns the types, and the images that releases show. A model is a function of the shape that a pipeline makes, so that
nothing is built before it is asked for. The families are files of `families/`; looking them up is the registry's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.pipelines import CIFAR10_PIPELINE, DEFAULT_PIPELINE, SOUND_PIPELINE

Shape = tuple[int, ...]
Model = Callable[[Shape], CausalModel | Mapping[str, Any]]
"""From the shape of one image to a causal model, or to its plain form."""


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
        version: of the configurations that show them.
        earlier: earlier version → the pipeline that it was made by; nothing else differed.
    """

    pipeline: str
    shape: Shape
    suffix: str
    remark: str
    classes: tuple[int, int, int]
    seeds: int
    version: str = "1.0.0"
    earlier: Mapping[str, str] = field(default_factory=dict)

    def modalities(self, count: int = 2) -> tuple[Modality, ...]:
        """Up to three modalities of these classes, or ten of all classes."""
        classes = self.classes[:count] if count <= len(self.classes) else range(count)
        return tuple(Modality(self.pipeline, label) for label in classes)


FASHION_MNIST = Images(
    DEFAULT_PIPELINE,
    (1, 32, 32),
    "",
    "",
    (7, 8, 9),  # sneaker, bag, ankle boot
    2510_2168_000,
    version="2.0.0",
    earlier={"1.0.0": "fashion-mnist"},
)
FASHION_MNIST_2 = replace(FASHION_MNIST, version="1.0.0", earlier={})
"""Of families that no earlier pipeline made."""
CIFAR10 = Images(
    CIFAR10_PIPELINE,
    (3, 32, 32),
    "-cifar10",
    " With images of CIFAR-10's classes.",
    (1, 6, 9),  # automobile, frog, truck
    2510_2169_000,
)


SOUND = Modality(SOUND_PIPELINE, 5)  # strings
SOUND_SHAPE = (2048,)
"""Of a sound: a quarter of a second at 8 kHz."""


@dataclass(frozen=True)
class Release:
    """One released configuration, before a pipeline is chosen.

    Attributes:
        name, description, seed, standardize: as in MMMIConfig.
        model: from the shape of the pipeline's images to the causal model, or to its plain form.
        modalities: one per modality; those of the pipeline of `images` take another pipeline when one is asked for.
        images: the pipeline and shape of its images unless another pipeline is asked for.
    """

    name: str
    description: str
    seed: int
    model: Model
    modalities: tuple[Modality, ...]
    images: Images = FASHION_MNIST
    standardize: Literal["whiten", "rms", "none"] = "whiten"

    def configuration(self, pipeline: str, shape: Shape, version: str | None = None) -> MMMIConfig:
        """The configuration on a pipeline that makes images of that shape; today's version unless another is given."""
        return MMMIConfig(
            name=self.name,
            version=version or self.images.version,
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
        name: of the family; its module in `families/` is called so, with underscores.
        order: where it stands in lists and tables; unlike for every family.
        summary: a line for tables, without a full stop.
        description: one or two sentences.
        releases: its configurations, in order.
    """

    name: str
    order: int
    summary: str
    description: str
    releases: tuple[Release, ...]

    @property
    def configurations(self) -> tuple[str, ...]:
        """Names of the configurations, in order."""
        return tuple(release.name for release in self.releases)

    @property
    def module(self) -> str:
        """The name of its file in `families/`, and of its builder script."""
        return self.name.replace("-", "_")


def weight_for(nats: float, shape: Shape) -> float:
    """The weight of a cause, beside one source of noise, that a homogeneous template makes so many nats."""
    return math.sqrt(math.expm1(2.0 * nats) / math.prod(shape))


def story(name: str, **coefficients: Any) -> Model:
    """The plain form of a story with these coefficients, for any shape."""
    return lambda shape: {"story": name, "shape": list(shape), **coefficients}
