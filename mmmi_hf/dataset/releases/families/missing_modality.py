"""Three images, of which the third has nothing to do with the rest."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Release, story


def family() -> Family:
    """The family."""
    return Family(
        "missing-modality",
        80,
        "three images, of which the third has nothing to do with the rest",
        "Three images, of which the third has nothing to do with the rest.",
        (
            Release(
                "missing-modality",
                "Three images: the common cause reaches the first two, with one nat about the target y each; none "
                "reaches the third, which is its own noise only.",
                FASHION_MNIST.seeds + 770,
                story("common_cause", modalities=3, mi=[1.0, 1.0, 0.0]),
                FASHION_MNIST.modalities(3),
            ),
        ),
    )
