"""Recovering latents from stored values: the inverse of every modality's bijection, a few rows at a time.

Owns how many rows are inverted at a time, what a failed inversion becomes, and in which form values that a user has
changed can be inverted. Imports torch where it computes; knows nothing of folders or information.

The networks' threads invert a few rows each, see `threads.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmmi_hf.flow.threads import network_threads

if TYPE_CHECKING:
    from mmmi_hf.dataset.format.views import View
    from mmmi_hf.flow.bijection import Bijection

Transform = Callable[[np.ndarray], np.ndarray]
"""From stored values (n, *shape), float32, to what becomes of them, (n, …): each row by itself."""

TOGETHER = {4: 8, 8: 2}
"""Rows of a part by the bytes of a number: few float64 rows are worth all processors, as each takes long."""
TRANSFORMED_TOLERANCE = 1e-4
"""Relative residual of a step when what a transform left is inverted, of a modality without a view."""


@dataclass(frozen=True)
class Stored:
    """Values that are to be inverted.

    Attributes:
        bijection: of the modality; used in the precision of the values.
        class_label: what the images show; None without classes.
        values: (n, *shape), float32 or float64, in which the inverse is computed.
        missing: (n,) rows that lack the modality, which are not looked at.
        tolerance: relative residual of steps, `StoredView.tolerance` for values out of a view; None: rounding.
    """

    bijection: Bijection
    class_label: int | None
    values: np.ndarray
    missing: np.ndarray | None = None
    tolerance: float | None = None

    def parts(self) -> list[slice]:
        """The rows that are inverted together."""
        together = TOGETHER[self.values.dtype.itemsize]
        return [slice(start, start + together) for start in range(0, len(self.values), together)]


@dataclass
class Recovered:
    """What was found.

    Attributes:
        latents: (n, *shape) in float64; NaN in rows that are missing or cannot be inverted.
        seconds: that it took, of all threads at work.
    """

    latents: np.ndarray
    seconds: float = 0.0


def recover(
    bijection: Bijection,
    class_label: int | None,
    values: np.ndarray,
    *,
    missing: np.ndarray | None = None,
    tolerance: float | None = None,
    tick: Callable[[float], object] = lambda rows: None,
) -> np.ndarray:
    """Latents of the values of one modality; arguments and result as of `Stored` and `Recovered`."""
    return recover_all([Stored(bijection, class_label, values, missing, tolerance)], tick)[0].latents


def recover_all(asked: Sequence[Stored], tick: Callable[[float], object] = lambda rows: None) -> list[Recovered]:
    """What was asked for, in its order: the parts of all of it by the same threads, so that none waits for another.

    Args:
        asked: begun in this order.
        tick: told the number of rows each time some are done.
    """
    import torch

    found = [Recovered(np.full(each.values.shape, np.nan)) for each in asked]
    private = [
        each.bijection.in_precision(torch.float64 if each.values.dtype == np.float64 else torch.float32)
        for each in asked
    ]

    def recover_part(number: int, rows: slice) -> tuple[int, int, float]:
        begin, each, bijection = time.perf_counter(), asked[number], private[number]
        part = each.values[rows]
        known = np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if each.missing is not None:
            known &= ~each.missing[rows]
        if known.any():
            given = torch.from_numpy(np.ascontiguousarray(part[known])).to(bijection.device)
            inverse = bijection.invert(given, each.class_label, tolerance=each.tolerance, on_failure="nan")
            found[number].latents[rows][known] = inverse.double().cpu().numpy()
        return number, len(part), time.perf_counter() - begin

    with network_threads(all(bijection.device.type == "cpu" for bijection in private)) as (pool, threads):
        parts = [pool.submit(recover_part, number, rows) for number, each in enumerate(asked) for rows in each.parts()]
        for part in as_completed(parts):
            number, rows, seconds = part.result()
            found[number].seconds += seconds / threads
            tick(rows)
    return found


def invertible(name: str, given: Any, values: np.ndarray, *, image: bool, view: View | None) -> np.ndarray:
    """What a transform made of stored values, in the shape and the range that the inverse takes.

    Images of 8 bits become the values that the view shows so; those of another height or width are brought back to the
    stored one by bilinear interpolation. Both are fixed functions of what the transform left, like the inverse itself,
    so that bounds hold.

    Args:
        name: the modality.
        given: what the transform returned.
        values: (n, *shape), what it was given.
        image: whether the modality's outputs are images.
        view: its view; None where it has none.

    Raises:
        ValueError: what was given has no such form; the message says what has.
    """
    import torch

    left = np.asarray(given)
    if left.shape[:1] != values.shape[:1] or left.dtype.kind not in "fiub":
        raise ValueError(
            f"the transform of {name} must give {len(values)} rows of real numbers, as many as it was given, and gave "
            f"{left.dtype} of shape {left.shape}"
        )
    if left.dtype == np.uint8 and view is not None:
        left = view.stored.values(left, view)
    left = left.astype(np.float32)
    if image and left.ndim == values.ndim and left.shape[1] == values.shape[1] and left.size:
        size = values.shape[2:]
        if left.shape[2:] != size:
            left = torch.nn.functional.interpolate(torch.from_numpy(left), size=size, mode="bilinear").numpy()
    if left.shape != values.shape:
        height = ", of any height and width" if image else ""
        raise ValueError(
            f"the transform of {name} gave the shape {left.shape[1:]}, and the inverse takes {values.shape[1:]}"
            f"{height}: no bound is known for other features; let the transform of an encoder end with a decoder, "
            "made from other data, that gives the modality's shape"
        )
    return left
