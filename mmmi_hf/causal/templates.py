"""Templates: the spatial patterns by which a common cause enters a modality.

Owns the named patterns and their parameters. Imports NumPy and this room's errors only (Pillow inside `image`, where a
file is read). Patterns are unnormalised float64 arrays of the wanted shape.

Shapes are (T,), (H, W) or (C, H, W); a pattern of an image is the same in every channel. Positions are pixel indices,
so that the centre of H × W pixels is ((H - 1) / 2, (W - 1) / 2).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmmi_hf.causal.arguments import MOST_ENTRIES, Array, check_shape, read_finite, read_positive, read_whole, shown
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.common.failures import in_one_line
from mmmi_hf.common.files import MOST_BYTES, check_regular
from mmmi_hf.common.numbers import is_whole

__all__ = [
    "checkerboard",
    "cosine",
    "gaussian",
    "half_plane",
    "image",
    "ones",
    "radial_decay",
    "random_field",
    "ring",
    "single_component",
]


def ones(shape: Sequence[int]) -> Array:
    """The homogeneous template: 1 everywhere.

    >>> ones((1, 2, 2)).sum()
    np.float64(4.0)
    """
    return np.ones(check_shape(shape))


def single_component(shape: Sequence[int], index: Sequence[int] | int | None = None) -> Array:
    """1 at one entry, 0 elsewhere.

    Args:
        shape: of the modality.
        index: one position per axis, or a position in the flattened array; by default the middle of every axis.

    Raises:
        InvalidModelError: the position lies outside the shape.
    """
    shape = check_shape(shape)
    size = math.prod(shape)
    place: tuple[int, ...]
    if index is None:
        place = tuple(n // 2 for n in shape)
    elif is_whole(index):
        index = int(index)
        if not 0 <= index < size:
            raise InvalidModelError(f"index is {index}, expected 0 ≤ index < {size} for shape {shape}")
        place = tuple(int(i) for i in np.unravel_index(index, shape))
    else:
        listed = index if isinstance(index, (Sequence, np.ndarray)) and not isinstance(index, str) else [index]
        place = tuple(read_whole("index", i, 0) for i in listed)
        if len(place) != len(shape) or any(i >= n for i, n in zip(place, shape, strict=True)):
            raise InvalidModelError(f"index is {place}, expected one position inside each axis of shape {shape}")
    template = np.zeros(shape)
    template[place] = 1.0
    return template


def gaussian(shape: Sequence[int], centre: Sequence[float] | float | None = None, width: float | None = None) -> Array:
    """exp(-r² / 2 width²), r the distance from `centre` (default: the middle; width: an eighth of the shorter side)."""
    shape = check_shape(shape, "gaussian")
    width = read_positive("width", max(_side(shape) / 8, 0.5) if width is None else width)
    return _spread(shape, np.exp(-0.5 * (_distance(shape, centre) / width) ** 2))


def ring(
    shape: Sequence[int],
    centre: Sequence[float] | float | None = None,
    radius: float | None = None,
    width: float | None = None,
) -> Array:
    """exp(-(r - radius)² / 2 width²) (default radius: a quarter of the shorter side; width: a sixteenth)."""
    shape = check_shape(shape, "ring")
    radius = read_positive("radius", max(_side(shape) / 4, 0.5) if radius is None else radius)
    width = read_positive("width", max(_side(shape) / 16, 0.5) if width is None else width)
    return _spread(shape, np.exp(-0.5 * ((_distance(shape, centre) - radius) / width) ** 2))


def radial_decay(
    shape: Sequence[int], centre: Sequence[float] | float | None = None, length: float | None = None
) -> Array:
    """exp(-r / length), r the distance from `centre` (default length: a quarter of the shorter side)."""
    shape = check_shape(shape, "radial_decay")
    length = read_positive("length", max(_side(shape) / 4, 0.5) if length is None else length)
    return _spread(shape, np.exp(-_distance(shape, centre) / length))


def half_plane(shape: Sequence[int], angle: float = 0.0, offset: float = 0.0) -> Array:
    """1 on one side of a line, 0 on the other.

    Args:
        shape: of the modality.
        angle: direction of the side that is 1, in degrees: 0 is towards larger column indices, 90 towards larger row
            indices. For a shape (T,) only the sign of its cosine counts.
        offset: distance of the line from the middle along that direction, in pixels.

    Raises:
        InvalidModelError: no pixel lies on the side that is 1.
    """
    shape = check_shape(shape, "half_plane")
    angle, offset = read_finite("angle", angle), read_finite("offset", offset)
    axes = _axes(shape, None)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = axes[-1] * cosine + (axes[0] * sine if len(axes) == 2 else 0.0)
    template = (along > offset).astype(np.float64)
    if not template.any():
        raise InvalidModelError(
            f"offset is {offset}: no pixel of shape {shape} lies beyond it; choose a smaller offset"
        )
    return _spread(shape, template)


def checkerboard(shape: Sequence[int], period: int = 8) -> Array:
    """+1 and -1 in squares; the pattern repeats after `period` pixels, so that a square's side is period / 2.

    Raises:
        InvalidModelError: the period is not an even number of at least 2.
    """
    shape = check_shape(shape, "checkerboard")
    period = read_whole("period", period, 2)
    if period % 2:
        raise InvalidModelError(f"period is {period}, expected an even number of pixels")
    squares = sum(
        np.ogrid[tuple(slice(n) for n in _plane(shape))][axis] // (period // 2) for axis in range(len(_plane(shape)))
    )
    return _spread(shape, 1.0 - 2.0 * (np.asarray(squares) % 2))


def cosine(shape: Sequence[int], waves: Sequence[int] | int = 1) -> Array:
    """A product of cosine waves, one per axis: Π cos(π k (n + ½) / N). Those of different `waves` are orthogonal.

    Args:
        shape: of the modality, of any number of axes.
        waves: k, the number of half periods along every axis, 0 ≤ k < N; one number means the last axis.

    Raises:
        InvalidModelError: not one whole number per axis, or one outside its range.
    """
    shape = check_shape(shape)
    given = list(waves) if isinstance(waves, (Sequence, np.ndarray)) else [0] * (len(shape) - 1) + [waves]
    numbers = [read_whole("waves", k, 0) for k in given]
    if len(numbers) != len(shape) or any(k >= n for k, n in zip(numbers, shape, strict=True)):
        raise InvalidModelError(
            f"waves is {numbers}, expected one number per axis of shape {shape}, each below that axis's length"
        )
    template = np.ones(shape)
    for axis, (k, n) in enumerate(zip(numbers, shape, strict=True)):
        wave = np.cos(np.pi * k * (np.arange(n) + 0.5) / n)
        template *= wave.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return template


def random_field(shape: Sequence[int], seed: int = 0, cutoff: float = 4.0) -> Array:
    """A smooth random pattern with mean square 1: cosine waves of at most `cutoff` half periods per side.

    Amplitudes are independent normals from Philox keyed by `seed`, in increasing order of the wave numbers (row by
    row), so that a seed always gives the same pattern.
    """
    shape = check_shape(shape, "random_field")
    seed = read_whole("seed", seed, 0)
    if seed >= 2**63:
        raise InvalidModelError(f"seed is {seed}, expected less than 2**63")
    cutoff = read_positive("cutoff", cutoff)
    plane = _plane(shape)
    if cutoff > 4 * max(plane):
        raise InvalidModelError(f"cutoff is {cutoff:g}, expected at most four times the longer side, {4 * max(plane)}")
    reach = math.floor(cutoff) + 1
    waves = [np.cos(np.pi * np.outer(np.arange(reach), np.arange(n) + 0.5) / n) for n in plane]
    amplitudes = np.random.Generator(np.random.Philox(key=seed)).standard_normal((reach,) * len(plane))
    numbers = np.sqrt(np.asarray(sum(axis**2 for axis in np.ogrid[(slice(reach),) * len(plane)]), dtype=np.float64))
    amplitudes = np.where(numbers <= cutoff, amplitudes, 0.0)
    field = waves[0].T @ amplitudes if len(plane) == 1 else waves[0].T @ amplitudes @ waves[1]
    return _spread(shape, field / math.sqrt(float(np.mean(field**2))))


def image(path: str | Path, shape: Sequence[int]) -> Array:
    """The brightness of an image file in [0, 1], resized to the shape's height and width (colours for three channels).

    Raises:
        InvalidModelError: the shape is not (H, W) or (C, H, W), or the file is not a readable image.
    """
    shape = check_shape(shape, "image")
    if len(shape) == 1:
        raise InvalidModelError(f"shape is {shape}, expected (H, W) or (C, H, W) for an image template")
    from PIL import Image

    colour = len(shape) == 3 and shape[0] == 3
    try:
        check_regular(Path(path), MOST_BYTES)
        with warnings.catch_warnings(action="ignore"), Image.open(path) as file:
            if math.prod(file.size) > MOST_ENTRIES:
                raise OSError(f"it has {file.size[0]} × {file.size[1]} pixels, at most {MOST_ENTRIES} are read")
            picture = file.convert("RGB" if colour else "L").resize((shape[-1], shape[-2]), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = in_one_line(error)
        raise InvalidModelError(
            f"path {str(path)!r} is not a readable image: {reason}; give a PNG or JPEG file"
        ) from error
    pixels = np.asarray(picture, dtype=np.float64) / 255.0
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if colour else _spread(shape, pixels)


_NAMED: dict[str, Callable[[Sequence[int]], Array]] = {
    "ones": ones,
    "component": single_component,
    "gaussian": gaussian,
    "ring": ring,
    "radial_decay": radial_decay,
    "half_plane": half_plane,
    "checkerboard": checkerboard,
    "random_field": random_field,
}
NAMES = tuple(_NAMED)


def named(name: str, shape: Sequence[int]) -> Array:
    """The template of that name with its default parameters.

    Raises:
        InvalidModelError: no such name.
    """
    if name not in _NAMED:
        raise InvalidModelError(f"templates names {shown(name)}, expected one of {', '.join(NAMES)}, or an array")
    return _NAMED[name](shape)


def _plane(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[-2:]


def _side(shape: tuple[int, ...]) -> int:
    return min(_plane(shape))


def _spread(shape: tuple[int, ...], pattern: Array) -> Array:
    return np.array(np.broadcast_to(pattern, shape), dtype=np.float64)


def _axes(shape: tuple[int, ...], centre: Sequence[float] | float | None) -> list[Array]:
    plane = _plane(shape)
    if centre is None:
        middle = [(n - 1) / 2 for n in plane]
    else:
        given = list(centre) if isinstance(centre, (list, tuple, np.ndarray)) else [centre]
        if len(given) != len(plane):
            raise InvalidModelError(f"centre is {centre!r}, expected {len(plane)} positions for shape {shape}")
        middle = [read_finite("centre", c) for c in given]
    grids = np.ogrid[tuple(slice(n) for n in plane)] if len(plane) > 1 else [np.arange(plane[0])]
    return [np.asarray(grid, dtype=np.float64) - c for grid, c in zip(grids, middle, strict=True)]


def _distance(shape: tuple[int, ...], centre: Sequence[float] | float | None) -> Array:
    return np.asarray(np.sqrt(sum(axis**2 for axis in _axes(shape, centre))))
