"""The null: images and a target that have nothing in common."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Images, Release, story


def family() -> Family:
    """The family."""
    return with_images(FASHION_MNIST, 30, "the null: every information is zero")


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"independent{images.suffix}",
        order,
        summary,
        "The null: images and a target that have nothing in common." + images.remark,
        (
            Release(
                f"independent{images.suffix}",
                "The null: two images and a target without a common cause; every information quantity is zero.",
                images.seeds + 700,
                story("independent"),
                images.modalities(),
                images,
            ),
        ),
    )
