"""What element-wise bijections share: shape, digest, the checks of their input, and where they compute.

Owns the base class. A map is a file of this folder with one subclass, which `catalogue.py` finds by listing. Knows
nothing of networks; imports torch where it computes.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.flow.bijection import (
    Bijection,
    BijectionOutput,
    NotFiniteError,
    View,
    check_options,
    check_precision,
    check_rows,
)

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

    from mmmi_hf.flow.bijection import Labels, OnFailure

HALF_RANGE = 4.0
"""Views show −4 … 4: of a N(0, 1) latent all but 6e-5 of the values."""


class ElementwiseBijection(Bijection):
    """A strictly increasing map of the real line, applied to every value: no class labels, no weights.

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
        shape = tuple(latent_shape)
        if not shape or not all(is_whole(n, 1) for n in shape):
            raise ValueError(f"latent_shape must be positive integers, got {latent_shape!r}; (1, 32, 32) for example")
        self._shape = tuple(map(int, shape))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def view(self) -> View:
        return View.of_shape(self._shape, HALF_RANGE)

    @property
    def digest(self) -> str:
        record = {"bijection": self.name, "definition": self.definition, "latent_shape": self._shape}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    @property
    def device(self) -> torch.device:
        """The CPU, whose results do not depend on the accelerator at hand; inputs elsewhere stay where they are."""
        import torch

        return torch.device("cpu")

    @property
    def dtype(self) -> None:
        return None

    def __call__(
        self, latents: Float[torch.Tensor, " n *shape"], class_labels: Labels = None, *, batch_size: int | None = None
    ) -> BijectionOutput:
        """Images of latents; a batch_size changes nothing."""
        check_options(batch_size)
        self._check("latents", latents, class_labels)
        return BijectionOutput(self._finite("latents", latents, self._forward(latents)))

    def invert(
        self,
        images: Float[torch.Tensor, " n *shape"],
        class_labels: Labels = None,
        *,
        batch_size: int | None = None,
        tolerance: float | None = None,
        on_failure: OnFailure = "raise",
    ) -> Float[torch.Tensor, " n *shape"]:
        """Latents of images; a batch_size or a tolerance changes nothing."""
        check_options(batch_size, tolerance, on_failure)
        self._check("images", images, class_labels)
        latents = self._inverse(images)
        if on_failure == "raise":
            return self._finite("images", images, latents)
        failed = ~latents.flatten(1).isfinite().all(dim=1)
        return latents.masked_fill(failed.view(-1, *(1,) * len(self._shape)), float("nan"))

    def in_precision(self, dtype: torch.dtype) -> ElementwiseBijection:
        """Itself: it computes in the dtype of its input and has no state."""
        check_precision("dtype", dtype)
        return self

    def _check(self, argument: str, values: torch.Tensor, class_labels: object) -> None:
        if class_labels is not None:
            raise ValueError(
                f"class_labels must be None: the {self.name} bijection has no classes, got {class_labels!r}"
            )
        check_rows(argument, values, self._shape)

    def _finite(self, argument: str, values: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        if not bool(result.isfinite().all()):
            raise NotFiniteError(
                f"{argument} must stay finite under the {self.name} bijection in {values.dtype}, got values up to "
                f"{float(values.abs().max()):.3g} in size; standardize the latents, or use float64"
            )
        return result

    @abstractmethod
    def _forward(self, z: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def _inverse(self, x: torch.Tensor) -> torch.Tensor: ...

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shape})"
