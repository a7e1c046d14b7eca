"""Three images, of which one knows far more about the target than the others."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Release, story


def family() -> Family:
    """The family."""
    return Family(
        "imbalanced-modality",
        90,
        "three images with 2, 0.5 and 0.1 nats about y",
        "Three images, of which one knows far more about the target than the others.",
        (
            Release(
                "imbalanced-modality",
                "Three images with one common cause, unlike in strength: 2, 0.5 and 0.1 nats about the target y.",
                FASHION_MNIST.seeds + 780,
                story("common_cause", modalities=3, mi=[2.0, 0.5, 0.1]),
                FASHION_MNIST.modalities(3),
            ),
        ),
    )
