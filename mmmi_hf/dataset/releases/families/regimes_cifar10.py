"""As `regimes`, with images of CIFAR-10's classes."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.regimes import with_images
from mmmi_hf.dataset.releases.family import CIFAR10, Family


def family() -> Family:
    """The family."""
    return with_images(CIFAR10, 330, "as `regimes`, with CIFAR-10's classes")
