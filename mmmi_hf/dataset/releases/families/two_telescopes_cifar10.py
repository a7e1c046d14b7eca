"""A black hole seen by two telescopes, the first through an atmosphere, with images of CIFAR-10's classes."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.two_telescopes import with_images
from mmmi_hf.dataset.releases.family import CIFAR10, Family


def family() -> Family:
    """The family."""
    return with_images(CIFAR10, 120, "as `two-telescopes`, likewise")
