"""One common cause whose value falls into equally likely classes, two or ten, at ten levels of information."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.common_cause import COMMON_CAUSE_LEVELS
from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, Family, Images, Release, story

CLASSES = (2, 10)


def family() -> Family:
    """The family."""
    return with_images(
        FASHION_MNIST_2,
        200,
        "as `common-cause` with a label: the number falls into two or ten equally likely classes; Bayes accuracies are "
        "exact",
    )


def with_images(images: Images, order: int, summary: str) -> Family:
    """The family with these images."""
    return Family(
        f"common-cause-classes{images.suffix}",
        order,
        summary,
        "One common cause with a homogeneous template (the paper's eq. 2) whose value falls into two or ten equally "
        "likely classes, at ten levels of information. The posterior of the classes is known exactly." + images.remark,
        tuple(
            Release(
                f"common-cause-classes-{classes}-{level}{images.suffix}",
                f"One common cause with a homogeneous template: each of two images carries {level} nats about a "
                f"number, and the label y says into which of {classes} equally likely classes that falls.",
                images.seeds + 800 + 10 * place + index,
                story("common_cause", mi=level, target={"classes": {"quantiles": classes}}),
                images.modalities(),
                images,
            )
            for place, classes in enumerate(CLASSES)
            for index, level in enumerate(COMMON_CAUSE_LEVELS)
        ),
    )
