"""What a network sees of the states of a flow, and what a pipeline makes of where it ends.

Owns the layouts: shape, view, and these ways there and back. What the network sees is a linear isometry of what is
moved; it is a network of images, channels first, and sees of a sound an orthonormal lapped transform, in which tones
are lines and noise N(0, I) stays N(0, I). Imports torch where it computes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mmmi_hf.common.numbers import is_finite, is_whole
from mmmi_hf.common.records import RecordError
from mmmi_hf.common.settings_file import settings
from mmmi_hf.flow.bijection import View

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

HALF_RANGE = 1.0
"""Views of images show −1 … 1, the range of those that networks are trained on."""
MOST_BINS, MOST_RATE = 1 << 12, 1 << 20


class Layout(ABC):
    """How the states of a flow to outputs of one kind are laid out for a network, and how its ends become outputs.

    Attributes:
        patch_size: side of the square patches that become channels of the network.
        companding: what is made of where the flow ends; None: that is the output.
    """

    patch_size: int
    companding: Companding | None = None

    @abstractmethod
    def latent_shape(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        """The shape of an output whose network sees this. Raises ValueError if there is none, as of a network."""

    @abstractmethod
    def network_shape(self, latent_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """The inverse: (channels, height, width), of a shape that can be laid out so."""

    @abstractmethod
    def view(self, latent_shape: tuple[int, ...]) -> View:
        """What outputs of this shape are."""

    @property
    @abstractmethod
    def defining(self) -> dict[str, Any]:
        """What of it a map depends on; it enters the digest."""

    @abstractmethod
    def to_network(self, x: torch.Tensor) -> torch.Tensor:
        """States (n, *latent_shape) → what the network sees of them, (n, channels, height, width)."""

    @abstractmethod
    def to_state(self, v: torch.Tensor) -> torch.Tensor:
        """The inverse."""

    def made(self, x: torch.Tensor) -> torch.Tensor:
        """States where the flow ends (n, *latent_shape) → outputs of the same shape, row by row; a bijection."""
        return x

    def unmade(self, outputs: torch.Tensor) -> torch.Tensor:
        """The inverse."""
        return outputs


@dataclass(frozen=True)
class ImageLayout(Layout):
    """Images (channels, height, width): a pixel-unshuffle."""

    patch_size: int

    def latent_shape(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        patch = self.patch_size
        if channels % patch**2:
            raise ValueError(f"in_channels must be a multiple of patch_size² = {patch**2}, got {channels}")
        return (channels // patch**2, height * patch, width * patch)

    def network_shape(self, latent_shape: tuple[int, ...]) -> tuple[int, int, int]:
        (channels, height, width), patch = latent_shape, self.patch_size
        return (channels * patch**2, height // patch, width // patch)

    def view(self, latent_shape: tuple[int, ...]) -> View:
        return View.of_shape(latent_shape, HALF_RANGE)

    @property
    def defining(self) -> dict[str, Any]:
        return {"patch_size": self.patch_size}

    def to_network(self, x: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import pixel_unshuffle

        return pixel_unshuffle(x, self.patch_size)

    def to_state(self, v: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import pixel_shuffle

        return pixel_shuffle(v, self.patch_size)


Magnitude = Annotated[float, Field(ge=1e-6, le=1e6)]


@settings
class Companding:
    """An odd, rising function of single numbers: u → knee · sinh(u / scale), whose inverse makes large ones small.

    Frequencies of sounds are near 0 but for a few, and a flow from N(0, I) to them has to stretch some directions by
    tens. Numbers far below `knee` stay as they are, up to a factor; of those far above, the logarithm is left.

    Attributes:
        knee: 10⁻⁶ … 10⁶, in units of what is made.
        scale: 10⁻⁶ … 10⁶; of the numbers u.
    """

    knee: Magnitude
    scale: Magnitude

    def expanded(self, u: torch.Tensor) -> torch.Tensor:
        """Of any shape."""
        return self.knee * (u / self.scale).sinh()

    def compressed(self, c: torch.Tensor) -> torch.Tensor:
        """The inverse."""
        return self.scale * (c / self.knee).asinh()


@dataclass(frozen=True)
class SoundLayout(Layout):
    r"""Sounds (length,): a modified discrete cosine transform, then a pixel-unshuffle.

    The sound is cut into frames of N = `bins` samples. At each boundary between two frames, the i-th samples l and r to
    its left and right, i = 0 … N/2 − 1 from the boundary outwards, are rotated,

        (l, r) → (c l − s r, s l + c r),    c = sin(π/4 + (i + ½)π/(2N)),    s = cos(π/4 + (i + ½)π/(2N)),

    and each frame becomes N frequencies by the DCT-IV, √(2/N) cos((k + ½)(n + ½)π/N). So each frame's
    waves reach half a frame beyond both of its ends, under a sine window: the lapped transform of Princen, Johnson and
    Bradley (1987). The two ends of the sound are left as they are. All of it is orthogonal. The network
    sees time along the height and frequency along the width; bin k is around (k + ½) rate/(2N) Hz. With `companding`,
    frequencies u where the flow ends become those of the sound, knee · sinh(u / scale), computed in float64 and rounded
    once: near 0 the inverse magnifies what was rounded.

    Attributes:
        patch_size: see `Layout`.
        bins: frequencies of a frame, an even multiple of patch_size; and its samples.
        rate: samples per second, for those who listen.
        half_range: views show −half_range … half_range.
        companding: what is made of the frequencies where the flow ends; None: they are those of the sound.
    """

    patch_size: int
    bins: int
    rate: int
    half_range: float
    companding: Companding | None = None

    def latent_shape(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        patch = self.patch_size
        if channels != patch**2:
            raise ValueError(f"in_channels must be patch_size² = {patch**2} for sounds, got {channels}")
        if width * patch != self.bins:
            raise ValueError(f"the width of sample_size must be bins / patch_size = {self.bins // patch}, got {width}")
        return (height * patch * self.bins,)

    def network_shape(self, latent_shape: tuple[int, ...]) -> tuple[int, int, int]:
        patch = self.patch_size
        return (patch**2, latent_shape[0] // (self.bins * patch), self.bins // patch)

    def view(self, latent_shape: tuple[int, ...]) -> View:
        del latent_shape
        return View("sound", self.half_range, self.rate)

    @property
    def defining(self) -> dict[str, Any]:
        given = {"patch_size": self.patch_size, "bins": self.bins}
        return given if self.companding is None else {**given, "companding": asdict(self.companding)}

    def to_network(self, x: Float[torch.Tensor, "n length"]) -> Float[torch.Tensor, "n channels height width"]:
        import torch
        from torch.nn.functional import pixel_unshuffle

        with torch.autocast(x.device.type, enabled=False):
            frames = self._rotated(x.reshape(len(x), -1, self.bins), 1.0) @ _dct(self.bins, x.dtype, x.device)
        return pixel_unshuffle(frames[:, None], self.patch_size)

    def to_state(self, v: Float[torch.Tensor, "n channels height width"]) -> Float[torch.Tensor, "n length"]:
        import torch
        from torch.nn.functional import pixel_shuffle

        frames = pixel_shuffle(v, self.patch_size)[:, 0]
        with torch.autocast(v.device.type, enabled=False):
            frames = frames @ _dct(self.bins, v.dtype, v.device)
        return self._rotated(frames, -1.0).reshape(len(v), -1)

    def made(self, x: Float[torch.Tensor, "n length"]) -> Float[torch.Tensor, "n length"]:
        if self.companding is None:
            return x
        return self.to_state(self.companding.expanded(self.to_network(x.double()))).to(x.dtype)

    def unmade(self, outputs: Float[torch.Tensor, "n length"]) -> Float[torch.Tensor, "n length"]:
        if self.companding is None:
            return outputs
        return self.to_state(self.companding.compressed(self.to_network(outputs.double()))).to(outputs.dtype)

    def _rotated(self, frames: torch.Tensor, sign: float) -> torch.Tensor:
        """Frames (n, F, N) with the samples around each boundary rotated; backwards for a sign of −1."""
        import torch

        half = self.bins // 2
        cos, sin = _window(self.bins, frames.dtype, frames.device)
        left, right = frames[:, :-1, half:].flip(-1), frames[:, 1:, :half]
        turned_left = cos * left - sign * sin * right
        turned_right = cos * right + sign * sin * left
        heads = torch.cat([frames[:, :1, :half], turned_right], dim=1)
        tails = torch.cat([turned_left.flip(-1), frames[:, -1:, half:]], dim=1)
        return torch.cat([heads, tails], dim=-1)


def layout_of(patch_size: int, sound: Mapping[str, Any] | None) -> Layout:
    """The layout that a pipeline's configuration states: that of images, or of sounds.

    Args:
        patch_size: at least 1.
        sound: None for images; the fields `bins`, `rate` and `half_range` of a `SoundLayout`, and, where there is one,
            `companding` with `knee` and `scale`.

    Raises:
        ValueError: fields that are none, or values that cannot be; begins with `sound`.
    """
    if sound is None:
        return ImageLayout(patch_size)
    wanted = ["bins", "rate", "half_range"]
    if not isinstance(sound, Mapping) or set(sound) - {"companding"} != set(wanted):
        raise ValueError(f"sound must be null, or have {', '.join(wanted)}, and may have companding, got {sound!r}")
    bins, rate, half_range = (sound[name] for name in wanted)
    companding = sound.get("companding")
    if not (is_whole(bins, 2) and bins <= MOST_BINS and bins % (2 * patch_size) == 0):
        raise ValueError(
            f"sound.bins must be a multiple of 2 × patch_size = {2 * patch_size}, at most {MOST_BINS}, got {bins!r}"
        )
    if not (is_whole(rate, 1) and rate <= MOST_RATE):
        raise ValueError(f"sound.rate must be a whole number of samples per second, 1 … {MOST_RATE}, got {rate!r}")
    if not (is_finite(half_range) and half_range > 0):
        raise ValueError(f"sound.half_range must be a positive number, got {half_range!r}")
    if isinstance(companding, Mapping):
        try:
            companding = Companding(**companding)
        except (RecordError, TypeError) as error:
            raise ValueError(f"sound.companding: {error}") from error
    elif companding is not None:
        raise ValueError(f"sound.companding must be null, or have knee and scale, got {companding!r}")
    return SoundLayout(patch_size, int(bins), int(rate), float(half_range), companding)


@lru_cache(maxsize=16)
def _dct(bins: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The DCT-IV of this length, its own inverse: rounded once from float64."""
    import torch

    places = torch.arange(bins, dtype=torch.float64) + 0.5
    exact = math.sqrt(2 / bins) * torch.cos(places[:, None] * places * (math.pi / bins))
    return exact.to(device, dtype)


@lru_cache(maxsize=16)
def _window(bins: int, dtype: torch.dtype, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the rotations at a boundary, from there outwards."""
    import torch

    angles = math.pi / 4 + (torch.arange(bins // 2, dtype=torch.float64) + 0.5) * (math.pi / (2 * bins))
    return torch.sin(angles).to(device, dtype), torch.cos(angles).to(device, dtype)
