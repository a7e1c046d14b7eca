"""The contract of every bijection between latents and images, and the identity.

Owns the protocol that generation, certificates and diagnostics are written against, and the registry of bijections
that are named in a configuration. Imports nothing heavy; the element-wise bijections and the flow fulfil the contract
in their own modules.

The contract, in prose. A bijection f acts on each row of a batch independently: no statistic of a batch, no clamping,
no casting. Shape, dtype and device of the images are those of the latents, and f⁻¹(f(z)) = z up to rounding of the
*discrete* map that is used (relative error at most 2e-5 in float32 and 1e-10 in float64). Mutual information is
invariant under f, so whatever holds for the latents holds for the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch


class HasImages(Protocol):
    """What a bijection returns: an object with `.images`."""

    @property
    def images(self) -> torch.Tensor: ...


@dataclass(frozen=True)
class BijectionOutput:
    """The images (n, *latent_shape) of a bijection; dtype and device of the latents."""

    images: torch.Tensor


@runtime_checkable
class Bijection(Protocol):
    """A row-wise invertible map between latents and images.

    Attributes:
        latent_shape: shape of one latent, and of one image.
        num_classes: number of class labels the map is conditioned on; None for a map without labels.
    """

    @property
    def latent_shape(self) -> tuple[int, ...]: ...

    @property
    def num_classes(self) -> int | None: ...

    def __call__(self, latents: torch.Tensor, class_labels: int | Sequence[int] | torch.Tensor | None = None) -> Any:
        """Latents (n, *latent_shape) → an object with `.images` (n, *latent_shape); see `HasImages`."""
        ...

    def invert(
        self, images: torch.Tensor, class_labels: int | Sequence[int] | torch.Tensor | None = None
    ) -> torch.Tensor:
        """Images (n, *latent_shape) → latents (n, *latent_shape)."""
        ...


class UnlabelledBijection:
    """What bijections without class labels share: their shape and the checks of their input."""

    name: str

    def __init__(self, latent_shape: Sequence[int]) -> None:
        self._shape = tuple(latent_shape)
        if not self._shape or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self._shape):
            raise ValueError(f"latent_shape must be positive integers, got {latent_shape!r}; (1, 32, 32) for example")

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def num_classes(self) -> None:
        return None

    def config(self) -> dict[str, Any]:
        """JSON-able description; `bijection(**config)` makes an equal one."""
        return {"name": self.name, "latent_shape": list(self._shape)}

    def _check(self, argument: str, values: torch.Tensor, class_labels: object) -> None:
        if class_labels is not None:
            raise ValueError(
                f"class_labels must be None: the {self.name} bijection has no classes, got {class_labels!r}"
            )
        check_rows(argument, values, self._shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shape})"


class IdentityBijection(UnlabelledBijection):
    """f(z) = z: images that are the latents themselves, for any shape.

    Raises:
        ValueError: class labels given, or latents of another shape, dtype or with values that are not finite.
    """

    name = "identity"

    def __call__(self, latents: torch.Tensor, class_labels: None = None) -> BijectionOutput:
        self._check("latents", latents, class_labels)
        return BijectionOutput(latents.clone())

    def invert(self, images: torch.Tensor, class_labels: None = None) -> torch.Tensor:
        self._check("images", images, class_labels)
        return images.clone()


def bijection(name: str, latent_shape: Sequence[int]) -> Bijection:
    """The bijection of a registered name: "identity", "asinh", "normal-cdf" or "half-cube".

    Raises:
        ValueError: an unknown name, or a latent_shape that is not of positive integers.
    """
    from mmmi_hf.flow.elementwise import ELEMENTWISE

    known: dict[str, type[UnlabelledBijection]] = {"identity": IdentityBijection, **ELEMENTWISE}
    if name not in known:
        raise ValueError(f"bijection name must be one of {', '.join(sorted(known))}, got {name!r}")
    made = known[name](latent_shape)
    if not isinstance(made, Bijection):
        raise TypeError(f"{type(made).__name__} does not fulfil the contract of a bijection")
    return made


def check_rows(argument: str, values: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Refuse anything but a finite float32 or float64 tensor (n, *shape) with n ≥ 1."""
    import torch

    if not isinstance(values, torch.Tensor):
        raise ValueError(f"{argument} must be a torch tensor, got {type(values).__name__}; use torch.from_numpy")
    wanted = ("n", *shape)
    if values.ndim != len(wanted) or tuple(values.shape[1:]) != shape or len(values) == 0:
        raise ValueError(
            f"{argument} must have shape ({', '.join(map(str, wanted))}) with n ≥ 1, got {tuple(values.shape)}; "
            f"reshape to {math.prod(shape)} values per row"
        )
    if values.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{argument} must be float32 or float64, got {values.dtype}; cast with .to(torch.float32)")
    finite = values.flatten(1).isfinite().all(dim=1)
    if not bool(finite.all()):
        rows = (~finite).nonzero()[:8, 0].tolist()
        raise ValueError(f"{argument} must be finite, got NaN or infinity in rows {rows}; remove or repair those rows")
