"""Sample sheets: image tensors as one labelled PNG.

Owns the only place of this room where images are clipped and rounded to 8 bits, and only for the picture. May import
torch and Pillow; knows nothing of pipelines, datasets or training.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont

from mmmi_hf.common.files import replacing
from mmmi_hf.flow.computing.spectrogram import spectrogram

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np

    from mmmi_hf.flow.bijection import View

_CELL = 64  # an image is enlarged by the largest whole factor that keeps it within this many pixels
_GAP = 4
_MARGIN = 16
_FONT_SIZE = 15
_STRETCHED = 3.0  # how much larger than its range a wave form is drawn: few sounds are as loud
_STRIP, _WIDTH = 32, 128  # pixels of the height of a wave form, and of the width of a sound


def pictures(outputs: torch.Tensor, view: View) -> torch.Tensor:
    """What a pipeline made, (n, *latent_shape), as images (n, C, H, W) whose range is −1 … 1.

    Of sounds, the wave form over the spectrogram, as wide as that: each column of its strip is black from the smallest
    to the largest of its samples. The strip shows a third of the range.
    """
    if view.kind != "sound":
        return outputs / view.half_range
    spectra = spectrogram(outputs, view.half_range, hop=max(1, outputs.shape[-1] // _WIDTH))
    width = spectra.shape[-1]
    parts = (outputs.float() * (_STRETCHED / view.half_range))[:, : outputs.shape[-1] // width * width].unflatten(
        1, (width, -1)
    )
    levels = torch.linspace(1, -1, _STRIP)[None, :, None]
    half = 1 / _STRIP
    filled = (parts.amin(-1)[:, None] - half <= levels) & (levels <= parts.amax(-1)[:, None] + half)
    return torch.cat([torch.where(filled, -1.0, 1.0)[:, None], spectra], dim=2)


def sample_sheet(
    images: torch.Tensor,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    column_names: Sequence[str] = (),
) -> Path:
    """Draw one row of images per class, its name on the left, on white; write it as PNG and return its path.

    Args:
        images: (classes, per_class, C, H, W), C = 1 or 3, values nominally in [−1, 1]; what lies outside is clipped
            here, for the picture. Images of up to 32 × 32 pixels are enlarged by a whole factor (2 for 32 × 32).
        class_names: one name per row.
        path: the PNG file; its folder is made. The file appears complete or not at all.
        column_names: headings over the first columns; none by default.

    Raises:
        ValueError: `images` has another shape, is not finite, or does not go with the names.
    """
    if images.ndim != 5 or images.shape[2] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"images must be a non-empty tensor (classes, per_class, 1 or 3, H, W), got shape {tuple(images.shape)}"
        )
    if len(class_names) != images.shape[0]:
        raise ValueError(f"class_names must hold one name per row of images: {images.shape[0]}, got {len(class_names)}")
    if len(column_names) > images.shape[1]:
        raise ValueError(
            f"column_names must hold at most one name per column: {images.shape[1]}, got {len(column_names)}"
        )
    if not torch.isfinite(images).all():
        raise ValueError("images must be finite, got NaN or infinity; check the latents and the weights that made them")
    tiles = _enlarged(_to_bytes(images), max(1, _CELL // max(images.shape[-2:])))
    height, width = tiles.shape[2:4]
    font = ImageFont.load_default(size=_FONT_SIZE)
    label_width = _MARGIN + max(int(font.getlength(name)) + 1 for name in class_names)
    top = _MARGIN + (_FONT_SIZE + 2 * _GAP if column_names else 0)
    sheet = Image.new(
        "RGB",
        (
            _MARGIN + label_width + images.shape[1] * (width + _GAP) - _GAP + _MARGIN,
            top + images.shape[0] * (height + _GAP) - _GAP + _MARGIN,
        ),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(column_names):
        left = _MARGIN + label_width + column * (width + _GAP)
        draw.text((left, _MARGIN), name, fill="black", font=font)
    for row, name in enumerate(class_names):
        y = top + row * (height + _GAP)
        draw.text((label_width, y + height // 2), name, fill="black", font=font, anchor="rm")
        for column in range(images.shape[1]):
            x = _MARGIN + label_width + column * (width + _GAP)
            sheet.paste(Image.fromarray(tiles[row, column]), (x, y))
    return _write(sheet, Path(path))


def _to_bytes(images: torch.Tensor) -> np.ndarray:
    """Nominal [−1, 1] as uint8 RGB, channels last; values outside are clipped."""
    scaled = (images.detach().to("cpu", torch.float64) + 1.0) * 127.5
    pixels = scaled.round().clamp(0, 255).to(torch.uint8).movedim(-3, -1)
    return pixels.expand(*pixels.shape[:-1], 3).numpy()


def _enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Each pixel as a square of factor × factor pixels."""
    return pixels.repeat(factor, axis=2).repeat(factor, axis=3)


def _write(sheet: Image.Image, path: Path) -> Path:
    with replacing(path) as partial:
        sheet.save(partial, format="PNG", optimize=True)
    return path
