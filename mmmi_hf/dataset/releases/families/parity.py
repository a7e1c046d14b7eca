"""Pure synergy: the label is the parity of causes of which every image sees one."""

from __future__ import annotations

import numpy as np

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Model, Release, Shape, weight_for

NATS = (1.0, 2.5)
"""That each image carries about its own cause."""


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        210,
        "pure synergy: y is the parity of the signs of two or three causes, of which each image sees one; any image "
        "left out leaves nothing",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"parity{images.suffix}",
        order,
        summary,
        "Pure synergy: the label is the parity (XOR) of the signs of two or three independent causes, and each image "
        "sees one of them. Every proper subset of the images carries exactly nothing about the label." + images.remark,
        tuple(
            Release(
                f"parity-{count}-{nats}{images.suffix}",
                f"The label y is odd where an odd number of {count} independent causes is positive. Each of {count} "
                f"images carries {nats} nats about one cause; fewer images together carry nothing about y.",
                images.seeds + 830 + 2 * place + index,
                _parity(count, nats),
                images.modalities(count),
                images,
            )
            for place, count in enumerate((2, 3))
            for index, nats in enumerate(NATS)
        ),
    )


def _parity(count: int, nats: float) -> Model:
    def model(shape: Shape) -> dict[str, object]:
        return {
            "eta": [1.0] * count,
            "weights": (weight_for(nats, shape) * np.eye(count)).tolist(),
            "mixing": np.eye(count).tolist(),
            "shape": list(shape),
            "target": {"parity": {"causes": list(range(count))}},
        }

    return model
