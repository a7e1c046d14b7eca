"""An image and a sound with one common cause, at four levels of information."""

from __future__ import annotations

from mmmi_hf.dataset.releases.family import FASHION_MNIST_2, SOUND, SOUND_SHAPE, Family, Model, Release

LEVELS = (0.5, 1.0, 1.5, 2.0)
"""Nats that each modality carries about y."""


def family() -> Family:
    """The family."""
    images = FASHION_MNIST_2
    return Family(
        "image-and-sound",
        270,
        "an image and a sound, a note of an instrument: each carries 0.5 … 2 nats about y",
        "An image and a sound, a note of an instrument, with one common cause that is homogeneous in the latents of "
        "both, at four levels of information.",
        tuple(
            Release(
                f"image-and-sound-{level}",
                f"An image and a sound (a quarter of a second of a note of an instrument, 8 kHz) with one common "
                f"cause: each carries {level} nats about the target y, and they share information through y alone.",
                images.seeds + 950 + index,
                _common_cause(level),
                (images.modalities(1)[0], SOUND),
                images,
            )
            for index, level in enumerate(LEVELS)
        ),
    )


def _common_cause(level: float) -> Model:
    return lambda shape: {"story": "common_cause", "shape": [list(shape), list(SOUND_SHAPE)], "mi": level}
