"""Sounds as pictures of their spectra: for sheets that people look at, and for classifiers.

Owns the one spectrogram of this room. Its decibels are fixed by the view of the sounds, so that nothing depends on what
else is shown. Imports torch where it computes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

WINDOW = 256
LOUDEST, RANGE = 4.0, 60.0
"""White is this many times the half range of the view, in units of the root mean square of noise; black so many
decibels below."""


def spectrogram(
    sounds: Float[torch.Tensor, "n length"], half_range: float, hop: int = 64
) -> Float[torch.Tensor, "n 1 frequencies frames"]:
    """Loudness over frequency, the highest on top, and time, as a grey image in [−1, 1].

    Frames of 256 samples under a Hann window, `hop` apart, so that there are length / hop of them; silence lies beyond
    both ends. The number of frames is made even.

    Args:
        sounds: at least two samples each.
        half_range: of their view.
        hop: between frames, in samples; less if there are not two frames otherwise.
    """
    import torch

    hop = min(hop, sounds.shape[-1] // 2)
    frames = sounds.shape[-1] // (2 * hop) * 2
    before = (WINDOW - hop) // 2
    after = (frames - 1) * hop + WINDOW - before - sounds.shape[-1]
    padded = torch.nn.functional.pad(sounds.float(), (before, after))
    window = torch.hann_window(WINDOW, device=sounds.device)
    spectra = torch.fft.rfft(padded.unfold(-1, WINDOW, hop) * window, dim=-1)[..., : WINDOW // 2]
    power = spectra.abs().square() / window.square().sum()
    top = 20 * math.log10(LOUDEST * half_range)
    level = 10 * torch.log10(power + 10 ** ((top - RANGE) / 10))
    return ((level - top + RANGE) * (2 / RANGE) - 1).transpose(-1, -2).flip(-2)[:, None]
