"""Ten images that see the target ever less, for nine pairs of decays, with images of CIFAR-10's classes."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.decaying_modalities import with_images
from mmmi_hf.dataset.releases.family import CIFAR10, Family


def family() -> Family:
    """The family."""
    return with_images(CIFAR10, 130, "as `decaying-modalities`, likewise with all ten classes")
