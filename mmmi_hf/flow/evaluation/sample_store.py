"""Samples of a pipeline, kept in a folder while they are being drawn.

Owns latents addressed by (seed, class, row), and a folder of safetensors chunks that a killed run continues. Knows
what a pipeline is called with, and nothing of data sets, classifiers or reports.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tqdm.auto import tqdm

from mmmi_hf.common.files import replacing

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from mmmi_hf.flow.pipeline import FlowMatchingPipeline


def latents_of_class(
    seed: int, label: int, rows: Iterable[int], shape: tuple[int, ...], *, purpose: str = "samples"
) -> torch.Tensor:
    """N(0, I) latents (n, *shape), float64; row r depends on (seed, purpose, label, r) and on nothing else."""
    key = list(purpose.encode())
    drawn = []
    for row in rows:
        state = np.random.SeedSequence((seed, label, row, *key)).generate_state(1, "uint64")[0]
        generator = torch.Generator().manual_seed(int(state >> 1))
        drawn.append(torch.randn(shape, generator=generator, dtype=torch.float64))
    return torch.stack(drawn)


def latents_of_all_classes(
    pipeline: FlowMatchingPipeline, seed: int, per_class: int, *, purpose: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `per_class` latents of every class, (classes × per_class, *shape) float64, and their labels."""
    classes = pipeline.num_classes or 0
    latents = [
        latents_of_class(seed, label, range(per_class), pipeline.latent_shape, purpose=purpose)
        for label in range(classes)
    ]
    return torch.cat(latents), torch.arange(classes).repeat_interleave(per_class)


def stored_samples(
    pipeline: FlowMatchingPipeline,
    per_class: int,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    batch_size: int = 50,
    progress: bool = True,
) -> torch.Tensor:
    """Samples of every class from N(0, I) latents; what `folder` already holds is not drawn again.

    Args:
        pipeline: a class-conditional pipeline; images are made in its dtype and on its device.
        per_class: number of samples per class. A later call with more continues with the rows after them.
        folder: where the chunks are kept, in a subfolder of its own for each pipeline, seed and batch size.
        seed: row r of class c comes from the latent `latents_of_class(seed, c, [r], …)`.
        batch_size: images per chunk and per evaluation of the network. The last chunk is drawn whole, too, so that an
            image does not depend on `per_class`.
        progress: show a progress bar.

    Returns:
        (classes, per_class, C, H, W) float32, unclamped, on the CPU.

    Raises:
        ValueError: a number below 1, or a chunk in `folder` that is not what its name says.
    """
    if per_class < 1 or batch_size < 1:
        raise ValueError(f"per_class and batch_size must be at least 1, got {per_class} and {batch_size}")
    classes = pipeline.num_classes or 0
    digest = pipeline.digest
    place = Path(folder) / f"samples-{digest[:12]}-seed-{seed}-batch-{batch_size}"
    place.mkdir(parents=True, exist_ok=True)
    starts = range(0, per_class, batch_size)
    images = torch.empty(classes, len(starts) * batch_size, *pipeline.latent_shape)
    with (
        tqdm(total=classes * images.shape[1], desc="samples", unit="image", disable=not progress) as bar,
        silent(pipeline),
    ):
        for start in starts:
            for label in range(classes):
                rows = range(start, start + batch_size)
                path = place / f"class-{label:03d}-row-{start:06d}.safetensors"
                identity = {"pipeline": digest, "seed": str(seed), "label": str(label), "start": str(start)}
                if not path.exists():
                    latents = latents_of_class(seed, label, rows, pipeline.latent_shape)
                    latents = latents.to(pipeline.device, pipeline.unet.dtype)
                    drawn = pipeline(latents, label, batch_size=batch_size).images
                    _save(path, drawn.float().cpu(), identity)
                images[label, start : start + batch_size] = _load(path, identity, batch_size)
                bar.update(batch_size)
    return images[:, :per_class]


@contextmanager
def silent(pipeline: FlowMatchingPipeline) -> Iterator[None]:
    """No progress bar of the pipeline's own inside the block."""
    before: dict[str, Any] = dict(getattr(pipeline, "_progress_bar_config", {}))
    pipeline.set_progress_bar_config(disable=True)
    try:
        yield
    finally:
        pipeline.set_progress_bar_config(**before)


def _save(path: Path, images: torch.Tensor, identity: dict[str, str]) -> None:
    with replacing(path) as partial:
        save_file({"images": images.contiguous()}, partial, metadata=identity)


def _load(path: Path, identity: dict[str, str], rows: int) -> torch.Tensor:
    with safe_open(path, framework="pt") as stored:
        images: torch.Tensor = stored.get_tensor("images")
        if stored.metadata() != identity or len(images) != rows:
            raise ValueError(f"{path} holds samples of another pipeline, seed or class; delete it")
    return images
