"""Labelled images as one uint8 tensor: what the trainer and the evaluation read.

Owns the reading of a dataset folder or Hub dataset with an image and a label column. May import datasets and
torch; knows nothing of pipelines, causal models or generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from mmmi_hf.flow.training.examples import Examples, checked_labels, class_names_in, only_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, UInt8

Fit = Literal["pad", "crop"]


@dataclass(frozen=True)
class LabelledImages(Examples):
    """Images of one size: values are uint8 pixels (n, channels, size, size)."""

    noun = "images"

    def floats(self, values: UInt8[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """In [−1, 1]."""
        return to_float(values)


def to_float(pixels: UInt8[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """uint8 pixels 0 … 255 as float32 in [−1, 1]: the fixed scale of every pipeline of this package."""
    return pixels.to(torch.float32) / 127.5 - 1.0


def load_images(
    source: str,
    *,
    split: str = "train",
    size: int = 32,
    channels: int = 1,
    fit: Fit = "pad",
    image_column: str | None = None,
    label_column: str | None = None,
    revision: str | None = None,
    progress: bool = True,
) -> LabelledImages:
    """Read a split of a dataset folder or Hub dataset into memory.

    Args:
        source: a folder, or a Hub dataset id, that `datasets.load_dataset` accepts.
        split: its split.
        size: side length in pixels of the images returned.
        channels: 1 (grey) or 3 (RGB).
        fit: "pad" centres a smaller image on black; "crop" scales the short side to `size` and cuts the centre.
        image_column, label_column: names; by default the only Image and the only ClassLabel column
            (or a column called `label`).
        revision: of a Hub dataset.
        progress: show a progress bar.

    Raises:
        ValueError: no such column, an ambiguous one, or an image larger than `size` with fit="pad".
    """
    import datasets

    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    data = datasets.load_dataset(source, split=split, revision=revision)
    image_column = image_column or only_column(data.features, datasets.Image, "image", source)
    label_column = label_column or only_column(data.features, datasets.ClassLabel, "label", source)
    for column in (image_column, label_column):
        if column not in data.features:
            raise ValueError(f"{source} has no column {column!r}; it has {sorted(data.features)}")
    names = class_names_in(data, label_column)
    pixels = torch.empty(len(data), channels, size, size, dtype=torch.uint8)
    data = data.select_columns([image_column, label_column])
    labels: list[int] = []
    with tqdm(total=len(data), desc=f"reading {split}", unit="image", disable=not progress) as bar:
        for batch in data.iter(batch_size=1000):
            for row, image in enumerate(batch[image_column], start=len(labels)):
                pixels[row] = torch.from_numpy(_fitted(image, size, channels, fit))
                bar.update()
            labels.extend(batch[label_column])
    return LabelledImages(pixels, checked_labels(labels, names, f"split {split!r} of {source}"), names)


def _fitted(image: Image.Image, size: int, channels: int, fit: Fit) -> np.ndarray:
    """One PIL image as uint8 (channels, size, size)."""
    image = image.convert("L" if channels == 1 else "RGB")
    if fit == "crop" and image.size != (size, size):
        image = _scaled_to_short_side(image, size)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    if image.width > size or image.height > size:
        raise ValueError(f"an image of {image.width}×{image.height} does not fit into {size}×{size}; use fit='crop'")
    array = np.asarray(image, dtype=np.uint8).reshape(image.height, image.width, channels)
    padded = np.zeros((size, size, channels), dtype=np.uint8)
    top, left = (size - image.height) // 2, (size - image.width) // 2
    padded[top : top + image.height, left : left + image.width] = array
    return padded.transpose(2, 0, 1)


def _scaled_to_short_side(image: Image.Image, size: int) -> Image.Image:
    scale = size / min(image.size)
    wanted: Sequence[int] = [max(size, round(side * scale)) for side in image.size]
    return image.resize((wanted[0], wanted[1]), Image.Resampling.LANCZOS)
