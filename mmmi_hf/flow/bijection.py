"""The contract of every bijection between latents and images, the identity, and loading a bijection by its name.

Owns the protocol that generation, certificates and diagnostics are written against. Imports neither torch nor
diffusers until a bijection is used; the element-wise bijections and the flow fulfil the contract in their own modules.

The contract, in prose. A bijection f acts on each row of a batch independently: no statistic of a batch, no clamping.
Shape, dtype and device of the images are those of the latents, and f⁻¹(f(z)) = z up to rounding of the *discrete* map
that is used (relative error ‖z − ẑ‖ / ‖z‖ of a row at most 2e-5 in float32 and 1e-10 in float64). Mutual information is
invariant under f, so whatever holds for the latents holds for the images.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mmmi_hf.common.hub_ids import is_repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    Labels = int | Sequence[int] | torch.Tensor | None


@dataclass(frozen=True)
class BijectionOutput:
    """The images (n, *latent_shape) of a bijection; dtype and device of the latents."""

    images: torch.Tensor


@runtime_checkable
class Bijection(Protocol):
    """A row-wise invertible map between latents and images.

    Attributes:
        latent_shape: shape of one latent, and of one image.
        num_classes: number of class labels that the map is conditioned on; None for a map without labels.
        digest: sha256 in hexadecimal of what defines the map; equal digests mean the same map.
        device: where latents and images should be.
    """

    @property
    def latent_shape(self) -> tuple[int, ...]: ...

    @property
    def num_classes(self) -> int | None: ...

    @property
    def digest(self) -> str: ...

    @property
    def device(self) -> torch.device: ...

    def __call__(self, latents: torch.Tensor, class_labels: Labels = None) -> Any:
        """Latents (n, *latent_shape) → an object whose `.images` is (n, *latent_shape)."""
        ...

    def invert(self, images: torch.Tensor, class_labels: Labels = None) -> torch.Tensor:
        """Images (n, *latent_shape) → latents (n, *latent_shape)."""
        ...


class UnlabelledBijection:
    """What bijections without class labels and weights share: shape, digest, and the checks of their input.

    They act wherever their input is, in float32 or float64. A subclass gives `name`, `definition` (its formula, which
    enters the digest) and the two maps `_forward` and `_inverse` of tensors.

    Args:
        latent_shape: shape of one latent, of any number of dimensions: (1, 32, 32), or (128,) for a time series.

    Raises:
        ValueError: latent_shape is not made of positive integers.
    """

    name: str
    definition: str

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

    @property
    def digest(self) -> str:
        record = {"bijection": self.name, "definition": self.definition, "latent_shape": self._shape}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    @property
    def device(self) -> torch.device:
        """The CPU, whose results do not depend on the accelerator at hand; inputs elsewhere stay where they are."""
        import torch

        return torch.device("cpu")

    def __call__(self, latents: torch.Tensor, class_labels: Labels = None) -> BijectionOutput:
        """Images of latents (n, *latent_shape), float32 or float64.

        Raises:
            ValueError: class labels given; latents of another shape or dtype, not finite, or too large for the map.
        """
        return BijectionOutput(self._checked("latents", latents, class_labels, self._forward))

    def invert(self, images: torch.Tensor, class_labels: Labels = None) -> torch.Tensor:
        """Latents of images (n, *latent_shape), float32 or float64.

        Raises:
            ValueError: class labels given; images of another shape or dtype, not finite, or too large for the map.
        """
        return self._checked("images", images, class_labels, self._inverse)

    def _checked(self, argument: str, values: torch.Tensor, class_labels: object, function: Any) -> torch.Tensor:
        if class_labels is not None:
            raise ValueError(
                f"class_labels must be None: the {self.name} bijection has no classes, got {class_labels!r}"
            )
        check_rows(argument, values, self._shape)
        result: torch.Tensor = function(values)
        if not bool(result.isfinite().all()):
            raise ValueError(
                f"{argument} must stay finite under the {self.name} bijection in {values.dtype}, got values up to "
                f"{float(values.abs().max()):.3g} in size; standardize the latents, or use float64"
            )
        return result

    def _forward(self, z: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _inverse(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shape})"


class IdentityBijection(UnlabelledBijection):
    """f(z) = z, exactly, for latents of any shape: images that are the latents themselves."""

    name = "identity"
    definition = "x = z"

    def _forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.clone()

    def _inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()


def load_bijection(
    name: str | os.PathLike[str], latent_shape: Sequence[int], *, device: str | torch.device | None = None
) -> Bijection:
    """The bijection of a name, for latents of a shape.

    Args:
        name: "identity"; an element-wise bijection ("asinh", "normal-cdf", "half-cube"); or a pipeline: a bundled
            name, a folder, or the owner/name of a Hub repository.
        latent_shape: shape of one latent.
        device: where a pipeline is put; by default it stays on the CPU. Bijections without weights act wherever their
            input is.

    Raises:
        ValueError: an unknown name, a repository that cannot be had, or a pipeline that makes another shape.
    """
    from mmmi_hf.flow.bundled import bundled_pipelines, unknown
    from mmmi_hf.flow.elementwise.maps import ELEMENTWISE

    name = os.fspath(name)
    simple: dict[str, type[UnlabelledBijection]] = {"identity": IdentityBijection, **ELEMENTWISE}
    if name in simple:
        return simple[name](latent_shape)
    if not (name in bundled_pipelines() or os.path.isdir(name) or is_repository(name)):
        raise ValueError(unknown(name, [*simple, *bundled_pipelines()]))
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline

    try:
        pipeline = FlowMatchingPipeline.from_pretrained(name)
    except OSError as error:
        reason = " ".join(str(error).split())
        known = ", ".join([*simple, *bundled_pipelines()])
        raise ValueError(f"pipeline {name!r} cannot be loaded ({reason}); available offline: {known}") from error
    if pipeline.latent_shape != tuple(latent_shape):
        raise ValueError(
            f"latent_shape must be {pipeline.latent_shape}: {name!r} makes {pipeline.latent_shape}, "
            f"got {tuple(latent_shape)}; give latents of that shape or another pipeline"
        )
    pipeline.unet.eval().requires_grad_(False)
    pipeline.set_progress_bar_config(disable=True)
    loaded: Bijection = pipeline if device is None else pipeline.to(device)
    return loaded


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
