"""The identity.

Owns this one map. Imports torch where it computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.flow.elementwise._base import ElementwiseBijection

if TYPE_CHECKING:
    import torch


class IdentityBijection(ElementwiseBijection):
    """f(z) = z, exactly, for latents of any shape: images that are the latents themselves."""

    name = "identity"
    definition = "x = z"

    def _forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.clone()

    def _inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()
