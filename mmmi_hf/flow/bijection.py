"""The contract of every bijection between latents and images, series or sounds; abstract only.

Owns the base class that generation, certificates and diagnostics are written against, what a bijection says of its
output, and the check of its input. Imports common/ and nothing of this room, and torch only where it computes.
The bijections are in modules of their own; `catalogue.py` finds one by its name.

The contract, in prose. A bijection f acts on each row of a batch independently: no statistic of a batch, no clamping.
Shape, dtype and device of the images are those of the latents, and f⁻¹(f(z)) = z up to rounding of the *discrete* map
that is used: the relative error ‖ẑ − z‖ / ‖z‖ of a row is at most `ROUND_TRIP`. Mutual information is invariant under
f, so whatever holds for the latents holds for the images.

`mmmi_hf.testing.bijections` checks all of it. Nothing outside this room asks of what class a bijection is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmmi_hf.common.numbers import is_whole

if TYPE_CHECKING:
    import torch

    Labels = int | Sequence[int] | torch.Tensor | None
    OnFailure = Literal["raise", "nan"]


Kind = Literal["image", "series", "sound", "array"]

ROUND_TRIP = {"float32": 2e-5, "float64": 1e-10}
"""Largest ‖ẑ − z‖ / ‖z‖ of a row that was made and inverted in this precision."""


class NotFiniteError(ValueError, ArithmeticError):
    """Finite values became NaN or infinite under a bijection; the message names rows and a remedy."""


class InversionError(RuntimeError):
    """A row could not be inverted to its tolerance; the message names where, the residual and a remedy."""


@dataclass(frozen=True)
class BijectionOutput:
    """The images (n, *latent_shape) of a bijection; dtype and device of the latents."""

    images: torch.Tensor


@dataclass(frozen=True)
class View:
    """What the values of a bijection are, and the range in which they are shown. The values themselves are unbounded.

    Attributes:
        kind: "image" (grey or RGB, channels first: shown in 8 bits), "series" (one-dimensional: a curve), "sound", or
            "array" (anything else: not shown). Which kinds a data set stores for people to see, and how, stands in
            `dataset/format/views.py`.
        half_range: h; a view shows −h … h and clips the rest. A constant of the map, never of data.
        rate: samples per second of a sound; None of all else.
    """

    kind: Kind
    half_range: float
    rate: int | None = None

    @classmethod
    def of_shape(cls, shape: Sequence[int], half_range: float) -> View:
        """The view of values about which nothing is known but their shape."""
        if len(shape) == 3 and shape[0] in (1, 3):
            return cls("image", half_range)
        return cls("series" if len(shape) == 1 else "array", half_range)


class Bijection(ABC):
    """A row-wise invertible map between latents and images (or series, or sounds: `view` says what they are)."""

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent, and of one image."""

    @property
    @abstractmethod
    def view(self) -> View:
        """What the output is, and the fixed range in which it is shown."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """sha256 in hexadecimal of what defines the map; equal digests mean the same map."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where latents and images should be."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype | None:
        """The only dtype that latents and images may have; None for float32 and float64 alike."""

    @property
    def num_classes(self) -> int | None:
        """Number of class labels that the map is conditioned on, 0 … num_classes − 1; None for a map without labels."""
        return None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """A name per class, for messages and cards; None if there are no classes or they have no names."""
        return None

    @property
    def batch_invariant(self) -> bool:
        """Whether the bits of a row are the same in every batch; otherwise they depend on batch_size and its place."""
        return True

    @property
    def network(self) -> torch.nn.Module | None:
        """What is evaluated, several times for each row; None for a map that is a formula."""
        return None

    @abstractmethod
    def __call__(self, latents: torch.Tensor, class_labels: Labels = None, *, batch_size: int | None = None) -> Any:
        """Latents (n, *latent_shape) → an object whose `.images` is (n, *latent_shape), finite.

        Args:
            latents: finite, of `dtype` and on `device`.
            class_labels: an int for all rows, or n of them; None without classes.
            batch_size: rows that are computed together; None: all of them.

        Raises:
            ValueError: arguments that are not as above.
            NotFiniteError: images that would not be finite.
        """

    @abstractmethod
    def invert(
        self,
        images: torch.Tensor,
        class_labels: Labels = None,
        *,
        batch_size: int | None = None,
        tolerance: float | None = None,
        on_failure: OnFailure = "raise",
    ) -> torch.Tensor:
        """Images (n, *latent_shape) → latents (n, *latent_shape).

        Args:
            images, class_labels, batch_size: as in `__call__`.
            tolerance: relative residual at which an iteration may stop; by default rounding. A formula needs none.
            on_failure: "raise", or "nan" to return NaN in the rows that cannot be inverted.

        Raises:
            ValueError: arguments that are not as above.
            InversionError, NotFiniteError: a row cannot be inverted and on_failure is "raise".
        """

    @abstractmethod
    def in_precision(self, dtype: torch.dtype) -> Bijection:
        """The same map for values of `dtype`, float32 or float64: silent, with no state that this one shares.

        Weights are copied only if they must change. ValueError for another dtype.
        """

    def set_up(self, *, channels_last: bool = False, compiled: bool = False) -> None:
        """How a network is to compute: `channels_last` in memory, `compiled`. It changes the last bits of the output.

        Does nothing without a network.
        """
        del channels_last, compiled

    def warm_up(self, batch_size: int, class_label: int | None = None) -> None:
        """Do now, in one thread, what the first call on batch_size rows of a class_label would do once, if anything."""
        del batch_size, class_label


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
    check_precision(argument, values.dtype)
    if rows := rows_not_finite(values):
        raise ValueError(f"{argument} must be finite, got NaN or infinity in rows {rows}; remove or repair those rows")


def check_precision(argument: str, dtype: torch.dtype) -> None:
    """Refuse a dtype in which an inverse cannot be had."""
    import torch

    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{argument} must be float32 or float64, got {dtype}; cast with .to(torch.float32)")


def check_options(batch_size: int | None, tolerance: float | None = None, on_failure: str = "raise") -> None:
    """Refuse options of a call or an inverse that are none."""
    if batch_size is not None and not is_whole(batch_size, 1):
        raise ValueError(f"batch_size must be a positive integer or None, got {batch_size!r}")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}; leave it out for the default of the dtype")
    if on_failure not in ("raise", "nan"):
        raise ValueError(f"on_failure must be 'raise' or 'nan', got {on_failure!r}")


def rows_not_finite(values: torch.Tensor) -> list[int]:
    """The first eight rows that hold NaN or infinity."""
    finite = values.flatten(1).isfinite().all(dim=1)
    return [] if bool(finite.all()) else (~finite).nonzero()[:8, 0].tolist()
