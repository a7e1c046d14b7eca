"""As `common-cause-classes`, with images of CIFAR-10's classes."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.common_cause_classes import with_images
from mmmi_hf.dataset.releases.family import CIFAR10, Family


def family() -> Family:
    """The family."""
    return with_images(CIFAR10, 300, "as `common-cause-classes`, with CIFAR-10's classes")
