"""Devices: whether torch can compute on one here, and what it is called.

Imports nothing of this room.
"""

from __future__ import annotations

import torch


def check_device(device: str | torch.device) -> None:
    """Refuse a device that torch does not know or cannot use here.

    Raises:
        ValueError: says why.
    """
    try:
        torch.empty(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"device must be one that torch can use here, got {str(device)!r} ({reason})") from error


def device_name(device: torch.device) -> str:
    """The kind of a GPU, otherwise the type of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
