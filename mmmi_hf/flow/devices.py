"""Devices: whether torch can compute on one here, what it is called, and what the bits of its results depend on.

Imports nothing of this room.
"""

from __future__ import annotations

import platform
from pathlib import Path

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


def hardware(device: torch.device) -> str:
    """What, besides software, the bits of a network's output depend on: the accelerator's or the processor's kind."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_vendor()} {torch.backends.cpu.get_cpu_capability()}".strip()


def _vendor() -> str:
    """Vendor of the processor: numerical libraries choose their kernels by it."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "vendor_id":
            return value.strip()
    return platform.processor()
