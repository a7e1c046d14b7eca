"""What a classifier and people see of outputs: images as they are, sounds by their spectrograms.

Owns that translation, and what is measured of sounds alone: their spectra, and the sheet of these. Knows nothing of
classifiers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont

from mmmi_hf.common.files import replacing
from mmmi_hf.flow.computing.spectrogram import spectrogram
from mmmi_hf.flow.evaluation.record import BandLevels, Spectra
from mmmi_hf.flow.training.images import LabelledImages

if TYPE_CHECKING:
    from pathlib import Path

    from mmmi_hf.flow.bijection import View
    from mmmi_hf.flow.training.examples import Examples

_TOGETHER = 500
BANDS = 16
"""Of equal width, from 0 to half the rate."""
RANGE_SHOWN = 80
"""Decibels."""


def seen(outputs: torch.Tensor, view: View) -> torch.Tensor:
    """Outputs (n, *latent_shape) as images (n, C, H, W) whose range is −1 … 1."""
    if view.kind == "sound":
        return torch.cat([spectrogram(part, view.half_range) for part in outputs.split(_TOGETHER)])
    return outputs / view.half_range


def seen_examples(examples: Examples, view: View) -> LabelledImages:
    """Real examples likewise, with 256 levels."""
    if isinstance(examples, LabelledImages):
        return examples
    levels = [
        ((seen(examples.floats(part), view) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        for part in examples.values.split(_TOGETHER)
    ]
    return LabelledImages(torch.cat(levels), examples.labels, examples.class_names)


def spectra(samples: torch.Tensor, train: Examples, test: Examples, view: View) -> Spectra | None:
    """Mean levels of frequency bands, of samples (classes, per_class, length) and of real sounds; None of no sounds."""
    if view.kind != "sound" or view.rate is None:
        return None
    real = [(examples.floats(examples.values), examples.labels) for examples in (train, test)]
    levels = {}
    for label, name in enumerate(test.class_names):
        here = [samples[label], *(values[labels == label] for values, labels in real)]
        of_samples, of_train, of_test = (_band_levels(sounds) for sounds in here)
        levels[name] = BandLevels(samples=of_samples, training_sounds=of_train, test_sounds=of_test)
    width = view.rate / (2 * BANDS)
    return Spectra(bands_to=tuple(width * (band + 1) for band in range(BANDS)), per_class=levels)


def _band_levels(sounds: torch.Tensor) -> tuple[float, ...]:
    """Decibels of the mean power of each band; 0 dB is a root mean square of 1 within the band."""
    if not len(sounds):
        return ()
    power = torch.zeros(sounds.shape[-1] // 2 + 1, dtype=torch.float64)
    for part in sounds.split(_TOGETHER):
        power += torch.fft.rfft(part.double(), norm="forward").abs().square().sum(0)
    bands = [2 * float(band.sum()) / len(sounds) for band in power[1:].tensor_split(BANDS)]
    return tuple(round(float(10 * torch.tensor(max(band, 1e-12)).log10()), 2) for band in bands)


def spectra_sheet(found: Spectra, path: Path) -> None:
    """Draw the spectra of every class, samples in blue over real test sounds in grey, as a PNG file."""
    width, height, margin, columns = 220, 120, 34, 5
    font = ImageFont.load_default(size=13)
    rows = -(-len(found.per_class) // columns)
    sheet = Image.new("RGB", (columns * (width + margin) + margin, rows * (height + 2 * margin) + margin), "white")
    draw = ImageDraw.Draw(sheet)
    shown = [levels for of in found.per_class.values() for levels in (of.samples, of.test_sounds) if levels]
    top = math.ceil(max(map(max, shown)) / 10) * 10
    for index, (name, of) in enumerate(found.per_class.items()):
        left = margin + index % columns * (width + margin)
        upper = margin + index // columns * (height + 2 * margin)
        draw.rectangle((left, upper, left + width, upper + height), outline="silver")
        draw.text((left, upper - 18), name, fill="black", font=font)
        draw.text((left, upper + height + 2), "0", fill="gray", font=font)
        draw.text((left + width, upper + height + 2), f"{found.bands_to[-1]:g} Hz", fill="gray", font=font, anchor="ra")
        for levels, colour, thick in ((of.test_sounds, "darkgray", 5), (of.samples, "#1f5fa8", 2)):
            places = [
                (left + (band + 0.5) * width / len(levels), upper + min(1.0, (top - level) / RANGE_SHOWN) * height)
                for band, level in enumerate(levels)
            ]
            draw.line(places, fill=colour, width=thick)
    draw.text(
        (margin, sheet.height - 18),
        f"mean level of bands, {top} to {top - RANGE_SHOWN} dB; blue: samples, grey: real test sounds",
        fill="black",
        font=font,
    )
    with replacing(path) as partial:
        sheet.save(partial, format="PNG", optimize=True)
