"""One common cause with a homogeneous template, at ten levels of information, with images of CIFAR-10's classes."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.common_cause import with_images
from mmmi_hf.dataset.releases.family import CIFAR10, Family


def family() -> Family:
    """The family."""
    return with_images(
        CIFAR10,
        100,
        "as `common-cause`, in the paper's shape 3×32×32 with its classes automobile and frog, by the pipeline "
        "`cifar10`",
    )
