"""Modalities of different kind: an image and a time series."""

from __future__ import annotations

from mmmi_hf.dataset.releases.configuration import Modality
from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Release

_SERIES = 128


def family() -> Family:
    """The family."""
    return Family(
        "image-and-time-series",
        70,
        "modalities of different kind",
        "Modalities of different kind: an image and a time series.",
        (
            Release(
                "image-and-time-series",
                f"Modalities of different kind with one common cause: an image in which it is homogeneous, and a time "
                f"series of {_SERIES} samples (through the element-wise bijection asinh) in which it is a bump; each "
                "carries one nat about the target y.",
                FASHION_MNIST.seeds + 760,
                lambda shape: {
                    "story": "common_cause",
                    "shape": [list(shape), [_SERIES]],
                    "mi": 1.0,
                    "template": [["ones"], ["gaussian"]],
                },
                (FASHION_MNIST.modalities(1)[0], Modality("asinh")),
            ),
        ),
    )
