"""asinh: shortens the tails.

Owns this one map. Imports torch where it computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.flow.elementwise._base import ElementwiseBijection

if TYPE_CHECKING:
    import torch


class AsinhBijection(ElementwiseBijection):
    """x = asinh(z) = ln(z + √(1 + z²)), z = sinh(x): shortens the tails.

    Every finite latent is valid. Images are refused where sinh overflows: |x| above 89 in float32, 710 in float64.
    """

    name = "asinh"
    definition = "x = asinh(z)"

    def _forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.double().asinh().to(z.dtype)

    def _inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x.double().sinh().to(x.dtype)
