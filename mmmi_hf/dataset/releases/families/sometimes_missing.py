"""Images that a row lacks by chance, with a flag that says so: a label in ten classes, or a number."""

from __future__ import annotations

from typing import Any

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Release, story

CHANCES = (0.1, 0.3, 0.5)
TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "classes": (
        "the label y says into which of ten equally likely classes that falls",
        {"target": {"classes": {"quantiles": 10}}},
    ),
    "number": ("that number is y", {}),
}


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        260,
        "as `common-cause-1.0` and `common-cause-classes-10-1.0`, but a row lacks each image with probability 0.1, 0.3 "
        "or 0.5, and says so: (1 - p) of the information of each",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"sometimes-missing{images.suffix}",
        order,
        summary,
        "One common cause of 1 nat; a row lacks each of two images with probability 0.1, 0.3 or 0.5, independently of "
        "all else. The columns x1_missing and x2_missing say so; the image is then zeros, grey in the view, so that "
        "rows keep one type and stack into batches. An image tells (1 - p) of what it would, both together the mean "
        "over what is there; no number was filled in." + images.remark,
        tuple(
            Release(
                f"sometimes-missing-{kind}-{chance}{images.suffix}",
                f"One common cause: each of two images carries 1 nat about a number; {said}. A row lacks each image "
                f"with probability {chance}; x1_missing and x2_missing say so, and the image is then zeros.",
                images.seeds + 880 + 3 * place + index,
                story("common_cause", mi=1.0, missing={"x1": chance, "x2": chance}, **more),
                images.modalities(),
                images,
            )
            for place, (kind, (said, more)) in enumerate(TARGETS.items())
            for index, chance in enumerate(CHANCES)
        ),
    )
