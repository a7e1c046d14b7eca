"""A categorical cause: which of three regimes two images were made in."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Release, story

DISTANCES = (1.0, 2.0, 4.0)
"""Of neighbouring regimes, in standard deviations of the noise."""
PROBABILITIES, NAMES = [0.5, 0.3, 0.2], ["calm", "unsettled", "stormy"]


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        230,
        "a categorical cause: three regimes, unequally frequent, 1, 2 or 4 standard deviations apart; the label is the "
        "regime",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"regimes{images.suffix}",
        order,
        summary,
        "A categorical cause: three regimes of probability 0.5, 0.3 and 0.2, which lie along the templates of two "
        "images in different order. The label is the regime. Latents are a mixture along the template, made Gaussian "
        "by a bijection." + images.remark,
        tuple(
            Release(
                f"regimes-{distance}{images.suffix}",
                "Three regimes of probability 0.5, 0.3 and 0.2: calm, unsettled, stormy in the first image and "
                f"unsettled, calm, stormy in the second, neighbours {distance} standard deviations apart. The label y "
                "is the regime.",
                images.seeds + 850 + index,
                story(
                    "categorical_cause",
                    probabilities=PROBABILITIES,
                    means=[[-distance, 0.0, distance], [0.0, -distance, distance]],
                    target={"category": {"categories": 3, "names": NAMES}},
                ),
                images.modalities(),
                images,
            )
            for index, distance in enumerate(DISTANCES)
        ),
    )
