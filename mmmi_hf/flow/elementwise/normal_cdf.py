"""The normal distribution function, continued along its tangent: near-uniform margins.

Owns this one map. Imports torch where it computes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mmmi_hf.flow.elementwise._base import ElementwiseBijection

if TYPE_CHECKING:
    import torch

KNEE = 3.5  # |z| from which the normal distribution function goes on along its tangent.
_DENSITY_AT_KNEE = math.exp(-(KNEE**2) / 2) / math.sqrt(2 * math.pi)
_TAIL_AT_KNEE = math.erfc(KNEE / math.sqrt(2)) / 2


class NormalCdfBijection(ElementwiseBijection):
    r"""x = Φ(z) for |z| ≤ 3.5, continued along its tangent beyond: near-uniform margins that can be inverted.

    With c = 3.5 and φ the standard normal density,

        x = Φ(z)                        for |z| ≤ c,
        x = 1 − Φ(−c) + φ(c) (z − c)    for z > c,
        x = Φ(−c) + φ(c) (z + c)        for z < −c.

    The distribution function itself cannot be stored: in float32 it is 1 from z = 5.42 on, and already at z = 4.3 the
    spacing of its values leaves z uncertain by 8e-4, while a data set of 10⁷ latents reaches 5.3. With the tangent the
    map is a C¹ diffeomorphism of the whole line with slope at least φ(c) = 8.7e-4, nothing saturates, every finite
    latent and image is valid, and rounding to float32 costs at most 7e-5 in any one |z| below 1000 (float64: 1.3e-13).
    The price: 4.7e-4 of the values of a N(0, 1) latent lie beyond the knees, 1.7e-4 of the images lie outside [0, 1],
    and their distribution function differs from the uniform one by at most 8.3e-5.
    """

    name = "normal-cdf"
    definition = f"x = Φ(z) for |z| <= {KNEE}, tangent beyond"

    def _forward(self, z: torch.Tensor) -> torch.Tensor:
        import torch

        wide = z.double()
        beyond = (wide.abs() - KNEE).clamp(min=0)
        tail = torch.special.ndtr(-wide.abs().clamp(max=KNEE)) - _DENSITY_AT_KNEE * beyond
        return torch.where(wide > 0, 1 - tail, tail).to(z.dtype)

    def _inverse(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        wide = x.double()
        tail = torch.minimum(wide, 1 - wide)
        inside = torch.special.ndtri(tail.clamp(min=_TAIL_AT_KNEE))
        z = inside - (_TAIL_AT_KNEE - tail).clamp(min=0) / _DENSITY_AT_KNEE
        return torch.where(wide > 0.5, -z, z).to(x.dtype)
