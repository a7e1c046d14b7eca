"""What storing an image costs its latent.

Owns the storage formats that are compared and the measurement. May import torch; knows nothing of data sets or files.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from mmmi_hf.flow.evaluation.record import StorageLoss, StorageLosses
from mmmi_hf.flow.evaluation.sample_store import latents_of_all_classes, silent

if TYPE_CHECKING:
    from jaxtyping import Float

    from mmmi_hf.flow.bijection import View
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline


def quantised(images: Float[torch.Tensor, "*shape"], bits: int, limit: float) -> Float[torch.Tensor, "*shape"]:
    """Images clipped to ±limit and rounded to 2^bits equally spaced values, the ends included."""
    top = 2**bits - 1
    levels = ((images.clamp(-limit, limit) + limit) * (top / (2 * limit))).round()
    values: torch.Tensor = levels * (2 * limit / top) - limit
    return values


Format = tuple[Callable[[torch.Tensor], torch.Tensor], float]
"""How outputs are stored, and the relative residual to which a step is inverted: far below what the format loses."""


def formats_of(view: View) -> dict[str, Format]:
    """The formats that are compared for outputs of a view: those of all kinds, and integers over two ranges."""

    def integers(bits: int, limit: float) -> Format:
        return lambda outputs: quantised(outputs.double(), bits, limit), 1e-7

    found: dict[str, Format] = {
        "float32": (lambda outputs: outputs.float().double(), 1e-10),
        "float16": (lambda outputs: outputs.half().double(), 1e-7),
    }
    h = view.half_range
    if view.kind == "sound":
        return found | {
            f"16 bits over ±{h:g} (a WAV file)": integers(16, h),
            f"8 bits over ±{h:g}": integers(8, h),
        }
    wide = 1.6 * h  # the values of a flow seldom lie further out than this
    return found | {
        f"8 bits over ±{wide:g}": integers(8, wide),
        f"8 bits over ±{h:g} (an ordinary PNG)": integers(8, h),
    }


def storage_losses(
    pipeline: FlowMatchingPipeline, per_class: int, *, seed: int = 0, batch_size: int = 5, progress: bool = True
) -> StorageLosses:
    """Relative error of the latents after their images were stored in each of `formats_of`.

    Images are made in the pipeline's dtype, stored, and inverted in float64. With ẑ the recovered latents, d their
    dimension and t̂ = 1_d/√d, the error is ‖ẑ − z‖/‖z‖ over all rows, and along the mean direction the root mean
    square of t̂ᵀ(ẑ − z), whose unit is the standard deviation of t̂ᵀz, which is 1. A row that cannot be inverted is
    counted and left out of both.

    Args:
        pipeline: a class-conditional pipeline.
        per_class: images per class.
        seed: of the latents.
        batch_size: images inverted at a time; a batch takes as long as its hardest image.
        progress: show a progress bar.
    """
    latents, labels = latents_of_all_classes(pipeline, seed, per_class, purpose="storage")
    z = latents.to(pipeline.device, pipeline.unet.dtype)
    exact = copy.deepcopy(pipeline).to(torch.float64)
    found: dict[str, StorageLoss] = {}
    formats = formats_of(pipeline.view)
    with (
        silent(pipeline),
        silent(exact),
        tqdm(total=len(formats) * len(z), desc="storage", unit="image", disable=not progress) as bar,
    ):
        images = pipeline(z, labels, batch_size=batch_size).images
        for name, (store, tolerance) in formats.items():
            stored, parts = store(images), []
            for rows in torch.arange(len(z)).split(batch_size):
                given = {"batch_size": batch_size, "tolerance": tolerance, "on_failure": "nan"}
                parts.append(exact.invert(stored[rows], labels[rows], **given))
                bar.update(len(rows))
            found[name] = _errors(z.double(), torch.cat(parts))
    return StorageLosses(rows=len(z), formats=found)


def _errors(z: torch.Tensor, recovered: torch.Tensor) -> StorageLoss:
    kept = recovered.flatten(1).isfinite().all(dim=1)
    if not bool(kept.any()):
        return StorageLoss(failed=len(z))
    z, difference = z[kept].flatten(1), (recovered - z)[kept].flatten(1)
    along = difference.sum(1) / math.sqrt(z.shape[1])
    return StorageLoss(
        relative_error=float(difference.norm() / z.norm()),
        mean_direction_error=float(along.square().mean().sqrt()),
        failed=int((~kept).sum()),
    )
