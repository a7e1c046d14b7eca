"""Two images that tell of a label in four ways, the same amount together: redundant, unique, synergistic, and mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Model, Release, Shape, story, weight_for

NATS_TOGETHER = 0.25
"""I(x1,x2;y) of every configuration, met to 1e-9 by the numbers below."""
FLIP, UNIQUE, SYNERGISTIC, MIXED = 0.16210692215, 0.471560120979, 0.934144798412, 0.561849843517
"""The share of wrong labels, and the nats about each cause."""
APART = 7.5
"""Means of the two categories, ±: each image tells them apart but for 1e-13 nats."""
SQUARES = {"checkerboard": {"period": 4}}
"""Orthogonal to the homogeneous template."""


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        220,
        "two images carry 0.25 nats about a label together: all redundant, all unique, all synergistic, or mixed",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    stories: Mapping[str, tuple[str, Model]] = {
        "redundant": (
            "Both images tell the category of a common cause for certain; the label is that category, some labels "
            "wrong: all of it is redundant.",
            story(
                "categorical_cause",
                means=[[-APART, APART], [-APART, APART]],
                target={"category": {"categories": 2, "flip": FLIP}},
            ),
        ),
        "unique": (
            "The first image shows a cause and the second does not; the label is the cause's sign: all of it is unique "
            "to the first.",
            _unique,
        ),
        "synergistic": (
            "Each image shows a cause of its own; the label is the parity of both signs: all of it is synergy.",
            _synergistic,
        ),
        "mixed": (
            "Both images show one cause, and each shows another of its own; the label is the majority of the three "
            "signs: redundant, unique and synergistic side by side.",
            _mixed,
        ),
    }
    return Family(
        f"interactions{images.suffix}",
        order,
        summary,
        "Two images that carry 0.25 nats about a label of two classes together, in four ways: all redundant, all "
        "unique to the first, all synergistic, or mixed. Fusion methods can be told apart by which they see."
        + images.remark,
        tuple(
            Release(
                f"interactions-{name}{images.suffix}",
                f"{text} I(x1,x2;y) = {NATS_TOGETHER} nats.",
                images.seeds + 840 + index,
                model,
                images.modalities(),
                images,
            )
            for index, (name, (text, model)) in enumerate(stories.items())
        ),
    )


def _unique(shape: Shape) -> dict[str, Any]:
    weights = [[weight_for(UNIQUE, shape)], [0.0]]
    return _of_causes(shape, weights, {"classes": {"quantiles": 2}}, "ones")


def _synergistic(shape: Shape) -> dict[str, Any]:
    loud = weight_for(SYNERGISTIC, shape)
    return _of_causes(shape, [[loud, 0.0], [0.0, loud]], {"parity": {"causes": [0, 1]}}, "ones")


def _mixed(shape: Shape) -> dict[str, Any]:
    loud = weight_for(MIXED, shape)
    majority = {"boolean": {"causes": [0, 1, 2], "table": [0, 0, 0, 1, 0, 1, 1, 1]}}
    templates = [["ones", SQUARES, None], ["ones", None, SQUARES]]
    return _of_causes(shape, [[loud, loud, 0.0], [loud, 0.0, loud]], majority, templates)


def _of_causes(shape: Shape, weights: list[list[float]], target: dict[str, Any], templates: Any) -> dict[str, Any]:
    return {
        "eta": [1.0] * len(weights[0]),
        "weights": weights,
        "mixing": [[1.0, 0.0], [0.0, 1.0]],
        "shape": list(shape),
        "templates": templates,
        "target": target,
    }
