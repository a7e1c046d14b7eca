"""Pairs as tensors."""

from __future__ import annotations

import numpy as np
import torch

from mmmi_hf.benchmark.pairs import Pairs


def tensors(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Both blocks in float32; a block of single numbers becomes (n, 1)."""
    blocks = [torch.from_numpy(np.ascontiguousarray(block, dtype=np.float32)) for block in (pairs.a, pairs.b)]
    a, b = (block[:, None] if block.ndim == 1 else block for block in blocks)
    return a, b
