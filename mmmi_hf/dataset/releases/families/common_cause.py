"""One common cause with a homogeneous template, at ten levels of information."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Images, Release, story

COMMON_CAUSE_LEVELS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
"""Nats that each image carries about y."""


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST, 10, "one common cause (eq. 2 of the paper): each of two images carries 0.25 … 2.5 nats about y"
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"common-cause{images.suffix}",
        order,
        summary,
        "One common cause with a homogeneous template (the paper's eq. 2), at ten levels of information."
        + images.remark,
        tuple(
            Release(
                f"common-cause-{level}{images.suffix}",
                f"One common cause with a homogeneous template (the paper's eq. 2): each of two images carries {level} "
                "nats about the target y, and they share information through y alone.",
                images.seeds + 600 + index,
                story("common_cause", mi=level),
                images.modalities(),
                images,
            )
            for index, level in enumerate(COMMON_CAUSE_LEVELS)
        ),
    )
