"""Arrays of one modality as small pictures: images as images, time series as curves, sounds as they are heard.

Owns how a template, a map or a datum is shown inside an Axes. Imports matplotlib and this room only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import mlab
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from mmmi_hf.figures import style

Array = NDArray[np.float64]

_WINDOW = 256  # samples of a frame of a spectrogram


def bare(axes: Axes, *, frame: bool = True) -> None:
    """No ticks; a thin grey frame, or none."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(frame)
        spine.set_color(style.GREY)
        spine.set_linewidth(0.6)


def plane(values: Array) -> Array:
    """(H, W) of a pattern with two axes or more: the mean over all but the last two, such as channels."""
    return np.asarray(values.reshape(-1, *values.shape[-2:]).mean(axis=0))


def show_pattern(
    axes: Axes, values: Array, *, limit: float | None = None, colours: Any = style.SIGNED
) -> AxesImage | None:
    """A template or map: a signed one from −limit to limit, another from 0 to limit (default: its largest size).

    Returns the image, for a colour bar; None for a one-dimensional pattern, which is drawn as a curve.
    """
    top = (float(np.abs(values).max()) if limit is None else limit) or 1.0
    low = -top if colours is style.SIGNED else 0.0
    bare(axes)
    if values.ndim == 1:
        axes.plot(np.arange(len(values)), values, color=style.BLUE, linewidth=1.0)
        axes.axhline(0.0, color=style.GREY, linewidth=0.5)
        axes.set_ylim(1.1 * min(low, float(values.min())) - 0.02 * top, 1.1 * top)
        return None
    return axes.imshow(plane(values), cmap=colours, vmin=low, vmax=top, interpolation="nearest")


def show_datum(axes: Axes, values: Array, half_range: float, kind: str | None = None) -> None:
    """One datum: an image from −half_range to half_range, clipped for the picture, a sound, or a series as a curve.

    What is missing is NaN, and drawn as an empty frame that says so. A sound, by its kind "sound", is its wave form, a
    third of the range, over its spectrogram, the highest frequency on top.
    """
    bare(axes)
    if np.isnan(values).all():
        axes.text(
            0.5, 0.5, "missing", ha="center", va="center", fontsize=7.5, color=style.GREY, transform=axes.transAxes
        )
    elif kind == "sound":
        _show_sound(axes, values, half_range)
    elif values.ndim == 1:
        axes.plot(np.arange(len(values)), values, color=style.BLUE, linewidth=0.7)
        axes.set_ylim(-1.05 * half_range, 1.05 * half_range)
    elif values.ndim == 3 and values.shape[0] == 3:
        pixels = np.clip((values.transpose(1, 2, 0) / half_range + 1.0) / 2.0, 0.0, 1.0)
        axes.imshow(pixels, interpolation="nearest")
    else:
        axes.imshow(plane(values), cmap="gray", vmin=-half_range, vmax=half_range, interpolation="nearest")


def _show_sound(axes: Axes, values: Array, half_range: float) -> None:
    """The wave form in the upper third of the axes, the spectrogram below it."""
    window = max(2, min(_WINDOW, len(values) // 4))
    power, _, _ = mlab.specgram(
        values, NFFT=window, noverlap=window - max(1, window // 8), mode="psd", scale_by_freq=False
    )
    loudest = 20.0 * np.log10(half_range)
    levels = 10.0 * np.log10(np.maximum(power, 10.0 ** (loudest / 10.0 - 12.0)))
    axes.imshow(
        levels,
        origin="lower",
        extent=(0.0, 1.0, 0.0, 0.66),
        aspect="auto",
        cmap="gray",
        vmin=loudest - 60.0,
        vmax=loudest,
    )
    shown = np.clip(3.0 * values / half_range, -1.0, 1.0)
    axes.plot(np.linspace(0.0, 1.0, len(values)), 0.83 + 0.16 * shown, color=style.BLUE, linewidth=0.3)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
