"""Recovering latents from stored values: the inverse of every modality's bijection, a few rows at a time.

Owns the inversions of the certificate and what a failed one becomes. Imports torch where it computes; knows nothing of
folders or information.

The networks' threads invert a few rows each, see `threads.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, Any

import numpy as np

from mmmi_hf.flow.threads import network_threads

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

TOGETHER = {4: 8, 8: 2}
"""Rows of a part by the bytes of a number: few float64 rows are worth all processors, as each takes long."""
COARSE_TOLERANCE = 1e-4
"""Relative residual of a step when 8-bit images are inverted: far below what 8 bits lose."""


def recover(
    bijection: Bijection,
    class_label: int | None,
    values: np.ndarray,
    *,
    coarse: bool = False,
    tick: Callable[[float], object] = lambda rows: None,
) -> np.ndarray:
    """Latents (n, *shape) in float64 of stored values; NaN in rows that cannot be inverted.

    Args:
        bijection: of the modality; a pipeline of another dtype is used as a copy in that of the values.
        class_label: what the images show; None without classes.
        values: (n, *shape), float32 or float64, in which the inverse is computed.
        coarse: invert steps only as far as 8-bit values deserve.
        tick: told the number of rows each time some are done.
    """
    import torch

    from mmmi_hf.flow import FlowMatchingPipeline

    options: dict[str, Any] = {}
    if isinstance(bijection, FlowMatchingPipeline):
        options = {"on_failure": "nan"}
        if coarse:
            options["tolerance"] = COARSE_TOLERANCE
        dtype = torch.float64 if values.dtype == np.float64 else torch.float32
        if bijection.unet.dtype != dtype:
            bijection = copy.deepcopy(bijection).to(dtype)
    found = np.full(values.shape, np.nan)
    together = TOGETHER[values.dtype.itemsize]

    def recover_part(start: int) -> int:
        part = torch.from_numpy(np.ascontiguousarray(values[start : start + together]))
        finite = part.flatten(1).isfinite().all(dim=1)
        if bool(finite.any()):
            inverse = _inverse(bijection, class_label, part[finite].to(bijection.device), options)
            found[start : start + together][finite.numpy()] = inverse.numpy()
        return len(part)

    with network_threads(bijection.device.type == "cpu") as (pool, _):
        for part in as_completed([pool.submit(recover_part, start) for start in range(0, len(values), together)]):
            tick(part.result())
    return found


def _inverse(bijection: Any, class_label: int | None, values: Any, options: dict[str, Any]) -> Any:
    """The inverse of finite rows; a map without a failure mode of its own is asked row by row once it refuses."""
    import torch

    try:
        return bijection.invert(values, class_label, **options).double().cpu()
    except ValueError:
        if len(values) == 1:
            return torch.full(values.shape, torch.nan, dtype=torch.float64)
        return torch.cat([_inverse(bijection, class_label, row[None], options) for row in values])
