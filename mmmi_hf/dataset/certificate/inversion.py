"""Recovering latents from stored values: the inverse of every modality's bijection, a few rows at a time.

Owns how many rows are inverted at a time, what a failed inversion becomes, and in which form values that a user has
changed can be inverted. Imports torch where it computes; knows nothing of folders or information.

The networks' threads invert a few rows each, see `threads.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
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


def recover(
    bijection: Bijection,
    class_label: int | None,
    values: np.ndarray,
    *,
    missing: np.ndarray | None = None,
    tolerance: float | None = None,
    tick: Callable[[float], object] = lambda rows: None,
) -> np.ndarray:
    """Latents (n, *shape) in float64 of stored values; NaN in rows that are missing or cannot be inverted.

    Args:
        bijection: of the modality; used in the precision of the values.
        class_label: what the images show; None without classes.
        values: (n, *shape), float32 or float64, in which the inverse is computed.
        missing: (n,) rows that lack the modality, which are not looked at.
        tolerance: relative residual of steps, `StoredView.tolerance` for values out of a view; None: rounding.
        tick: told the number of rows each time some are done.
    """
    import torch

    private = bijection.in_precision(torch.float64 if values.dtype == np.float64 else torch.float32)
    found, there = np.full(values.shape, np.nan), np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if missing is not None:
        there &= ~missing
    together = TOGETHER[values.dtype.itemsize]

    def recover_part(start: int) -> int:
        part, known = values[start : start + together], there[start : start + together]
        if known.any():
            given = torch.from_numpy(np.ascontiguousarray(part[known])).to(private.device)
            inverse = private.invert(given, class_label, tolerance=tolerance, on_failure="nan")
            found[start : start + together][known] = inverse.double().cpu().numpy()
        return len(part)

    with network_threads(private.device.type == "cpu") as (pool, _):
        for part in as_completed([pool.submit(recover_part, start) for start in range(0, len(values), together)]):
            tick(part.result())
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
