"""Computing exactly: what a network's precision must not depend on while a bijection is computed.

Owns the switches of torch that trade bits for speed. Imports nothing of this room.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def exact(network: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """The network in evaluation mode, autocast off and, on CUDA, no TF32 and no choice of kernels by timing.

    Whatever the caller has set is restored after.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    settings: list[tuple[Any, str, Any]] = [(cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    if hasattr(cudnn, "conv"):
        settings += [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
    else:  # torch before 2.9
        settings += [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    before = [getattr(module, name) for module, name, _ in settings]
    training = network.training
    network.eval()
    try:
        for module, name, value in settings:
            setattr(module, name, value)
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for (module, name, _), value in zip(settings, before, strict=True):
            setattr(module, name, value)
        network.train(training)
