"""Three kinds of modality that see one cause ever less: an image, a sound and a time series."""

from __future__ import annotations

from mmmi_hf.dataset.releases.configuration import Modality
from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, SOUND, SOUND_SHAPE, Family, Release

_SERIES = 128
NATS = (2.0, 1.0, 0.5)
"""That the image, the sound and the series carry about y."""


def family() -> Family:
    """The family."""
    images = FASHION_MNIST_2
    return Family(
        "image-sound-series",
        280,
        "three kinds of modality, an image, a sound and a time series, that see one cause ever less",
        "Three kinds of modality that see one cause ever less: an image, a sound and a time series.",
        (
            Release(
                "image-sound-series",
                f"An image, a sound (a quarter of a second of a note of an instrument, 8 kHz) and a time series of "
                f"{_SERIES} samples (through the element-wise bijection asinh, the cause a bump in it) that see one "
                f"cause ever less: they carry {', '.join(map(str, NATS))} nats about the target y.",
                images.seeds + 960,
                lambda shape: {
                    "story": "common_cause",
                    "shape": [list(shape), list(SOUND_SHAPE), [_SERIES]],
                    "modalities": len(NATS),
                    "mi": list(NATS),
                    "template": [["ones"], ["ones"], ["gaussian"]],
                },
                (images.modalities(1)[0], SOUND, Modality("asinh")),
                images,
            ),
        ),
    )
