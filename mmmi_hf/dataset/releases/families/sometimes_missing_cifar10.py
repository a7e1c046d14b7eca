"""As `sometimes-missing`, with images of CIFAR-10's classes."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.sometimes_missing import with_images
from mmmi_hf.dataset.releases.family import CIFAR10, Family


def family() -> Family:
    """The family."""
    return with_images(CIFAR10, 360, "as `sometimes-missing`, with CIFAR-10's classes")
