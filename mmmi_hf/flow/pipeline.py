"""FlowMatchingPipeline: latents to images by a class-conditional flow, and back.

Owns the pairing of a UNet with a scheduler, the checks of what goes in, micro-batches, and saving and loading. Knows
nothing of causal models or datasets. May import torch and diffusers; no training code.

Nothing here depends on a batch: no clamping, no min–max, no cast. Guidance is off, and there is none: the networks
have no label for "no class", and guidance would buy no mutual information.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import diffusers
import torch
from diffusers import DiffusionPipeline, UNet2DModel
from diffusers.utils import BaseOutput
from diffusers.utils import logging as diffusers_logging
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from mmmi_hf.flow.bijection import check_rows
from mmmi_hf.flow.bundled import check_folder, resolve
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler  # at run time: diffusers resolves annotations
from mmmi_hf.flow.stopping import check_stop

if TYPE_CHECKING:
    import os

    from mmmi_hf.flow.scheduler import Velocity

Labels = int | Sequence[int] | torch.Tensor | None


@dataclass
class FlowMatchingOutput(BaseOutput):
    """The images (n, channels, height, width) of a pipeline: unclamped, dtype and device of the latents."""

    images: torch.Tensor


class FlowMatchingPipeline(DiffusionPipeline):
    """The discrete flow from latents z ~ N(0, I) to images of a class, and its inverse.

    Args:
        unet: velocity network; sees pixel_unshuffle(x_t, patch_size), the tensor timestep_scale × t of shape (B,) and
            class labels, and returns the velocity in the same unshuffled layout.
        scheduler: the steps; its configuration fixes the map.
        patch_size: side of the patches that become channels before the network.
        class_names: a name per class, for messages and cards; they do not touch the map.

    Raises:
        ValueError: a UNet whose channels do not fit patch_size, or class_names that do not fit its classes.

    Example:
        >>> from mmmi_hf import FlowMatchingPipeline                                        # doctest: +SKIP
        >>> pipe = FlowMatchingPipeline.from_pretrained("fashion-mnist")                    # doctest: +SKIP
        >>> images = pipe(torch.randn(4, *pipe.latent_shape), class_labels=3).images        # doctest: +SKIP
        >>> latents = pipe.invert(images, class_labels=3)                                   # doctest: +SKIP
    """

    model_cpu_offload_seq = "unet"

    def __init__(
        self,
        unet: UNet2DModel,
        scheduler: FlowMatchODEScheduler,
        patch_size: int = 1,
        class_names: list[str] | None = None,
    ) -> None:
        super().__init__()
        channels, size = unet.config.in_channels, unet.config.sample_size
        if patch_size < 1 or channels % patch_size**2 or unet.config.out_channels != channels:
            raise ValueError(
                f"unet must have equal in_channels and out_channels, a multiple of patch_size² = {patch_size**2}, "
                f"got {channels} and {unet.config.out_channels}; give the patch_size that it was trained with"
            )
        if size is None:
            raise ValueError("unet must have a sample_size, got None; set it to the size of its input")
        if class_names is not None and len(class_names) != (unet.config.num_class_embeds or 0):
            raise ValueError(
                f"class_names must name the {unet.config.num_class_embeds or 0} classes of the unet, "
                f"got {len(class_names)} names"
            )
        self.register_modules(unet=unet, scheduler=scheduler)
        self.register_to_config(patch_size=patch_size, class_names=class_names)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of a latent and of an image."""
        unet, patch = self.unet.config, self.config.patch_size
        height, width = (unet.sample_size,) * 2 if isinstance(unet.sample_size, int) else unet.sample_size
        return (unet.in_channels // patch**2, height * patch, width * patch)

    @property
    def num_classes(self) -> int | None:
        """Number of class labels, 0 … num_classes − 1; None for a network without classes."""
        classes: int | None = self.unet.config.num_class_embeds
        return classes

    @property
    def digest(self) -> str:
        """sha256 of what defines the map: weights as numbers, network and scheduler configuration, patch size.

        Independent of the files' layout and of the dtype the weights are held in (each is hashed as the float64 of
        its value), so a checkpoint stored in float16 and used in float32 or float64 keeps its digest.
        """
        configs = {
            name: {key: value for key, value in component.config.items() if not key.startswith("_")}
            for name, component in (("unet", self.unet), ("scheduler", self.scheduler))
        }
        configs["pipeline"] = {"patch_size": self.config.patch_size}
        digest = hashlib.sha256(json.dumps(configs, sort_keys=True, default=list).encode())
        for name, tensor in sorted(self.unet.state_dict().items()):
            digest.update(f"\n{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().to("cpu", torch.float64).contiguous().numpy().astype("<f8").tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def __call__(
        self, latents: torch.Tensor, class_labels: Labels = None, *, batch_size: int | None = None
    ) -> FlowMatchingOutput:
        """Images of latents.

        Args:
            latents: (n, *latent_shape), float32 or float64, of the pipeline's dtype and on its device.
            class_labels: an int for all rows, or n of them, each in 0 … num_classes − 1; None without classes.
            batch_size: rows per evaluation of the network; a last short micro-batch is padded, so that a row's bits
                depend on its place in its micro-batch only. None evaluates all rows at once.

        Returns:
            `.images` (n, *latent_shape).

        Raises:
            ValueError: latents, labels or batch_size that are not as above; the message says what would be.
        """
        labels = self._check("latents", latents, class_labels, batch_size)
        images = torch.empty_like(latents, memory_format=torch.contiguous_format)
        self.scheduler.set_timesteps(device=latents.device)
        batches = list(_micro_batches(len(latents), batch_size, latents.device))
        steps = len(self.scheduler.times) - 1
        with _exact(self.unet), self.progress_bar(total=len(batches) * steps) as bar:
            for rows, kept in batches:
                velocity = self.velocity(None if labels is None else labels[rows])
                x = latents[rows]
                for k in range(steps):
                    x = self.scheduler.step(velocity, k, x)
                    bar.update()
                images[rows[:kept]] = x[:kept]
        return FlowMatchingOutput(images=images)

    @torch.no_grad()
    def invert(
        self,
        images: torch.Tensor,
        class_labels: Labels = None,
        *,
        batch_size: int | None = None,
        tolerance: float | None = None,
        on_failure: Literal["raise", "nan"] = "raise",
    ) -> torch.Tensor:
        """Latents of images: every discrete step undone to rounding, last to first.

        Args:
            images: (n, *latent_shape), as `__call__` returned them; the other arguments are those of `__call__`.
            tolerance: relative residual of a step, by default that of the dtype; see the scheduler's `invert_step`.
            on_failure: "raise", or "nan" to return NaN in the rows that could not be inverted.

        Returns:
            Latents (n, *latent_shape).

        Raises:
            InversionError: a row did not converge and on_failure is "raise".
            ValueError: as in `__call__`.
        """
        labels = self._check("images", images, class_labels, batch_size)
        latents = torch.empty_like(images, memory_format=torch.contiguous_format)
        self.scheduler.set_timesteps(device=images.device)
        batches = list(_micro_batches(len(images), batch_size, images.device))
        steps = len(self.scheduler.times) - 1
        with _exact(self.unet), self.progress_bar(total=len(batches) * steps) as bar:
            for rows, kept in batches:
                velocity = self.velocity(None if labels is None else labels[rows])
                x, after_next = images[rows], None
                for k in reversed(range(steps)):
                    undone = self.scheduler.invert_step(
                        velocity, k, x, after_next=after_next, tolerance=tolerance, on_failure=on_failure
                    )
                    x, after_next = undone.sample, x
                    bar.update()
                latents[rows[:kept]] = x[:kept]
        return latents

    def velocity(self, class_labels: torch.Tensor | None) -> Velocity:
        """The velocity field (x, t) → v of rows with these labels (B,), in the layout of images."""
        scale, patch = self.scheduler.config.timestep_scale, self.config.patch_size

        def field(x: torch.Tensor, t: float) -> torch.Tensor:
            check_stop()
            timestep = torch.full((len(x),), t * scale, dtype=x.dtype, device=x.device)
            v = self.unet(pixel_unshuffle(x, patch), timestep, class_labels=class_labels).sample
            return pixel_shuffle(v, patch)

        return field

    def _check(
        self, argument: str, values: torch.Tensor, class_labels: Labels, batch_size: int | None
    ) -> torch.Tensor | None:
        """Labels as an int64 tensor on the device, or None; ValueError for anything that does not fit."""
        check_rows(argument, values, self.latent_shape)
        if values.dtype != self.unet.dtype:
            raise ValueError(
                f"{argument} must have the pipeline's dtype {self.unet.dtype}, got {values.dtype}; "
                f"convert the pipeline with .to({values.dtype}) or the {argument} with .to({self.unet.dtype})"
            )
        if values.device != self.unet.device:
            raise ValueError(
                f"{argument} must be on the pipeline's device {self.unet.device}, got {values.device}; "
                f"move the pipeline with .to('{values.device}')"
            )
        if batch_size is not None and (isinstance(batch_size, bool) or batch_size < 1):
            raise ValueError(f"batch_size must be a positive integer or None, got {batch_size!r}")
        return self._labels(class_labels, len(values), values.device)

    def _labels(self, class_labels: Labels, n: int, device: torch.device) -> torch.Tensor | None:
        if self.num_classes is None:
            if class_labels is not None:
                raise ValueError(f"class_labels must be None: this pipeline has no classes, got {class_labels!r}")
            return None
        valid = f"integers in 0 … {self.num_classes - 1}, one for all rows or one for each of the {n}"
        if class_labels is None:
            raise ValueError(f"class_labels must be {valid}, got None")
        labels = torch.as_tensor(class_labels)
        if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
            raise ValueError(f"class_labels must be {valid}, got dtype {labels.dtype}")
        if labels.ndim > 1 or (labels.ndim == 1 and len(labels) != n):
            raise ValueError(f"class_labels must be {valid}, got shape {tuple(labels.shape)}")
        outside = labels[(labels < 0) | (labels >= self.num_classes)]
        if outside.numel():
            raise ValueError(f"class_labels must be {valid}, got {int(outside.reshape(-1)[0])}")
        return labels.to(device, torch.int64).expand(n)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Save configuration and weights, as safetensors only; further arguments are those of diffusers.

        Raises:
            ValueError: safe_serialization is False.
        """
        if not safe_serialization:
            raise ValueError("safe_serialization must be True, got False: weights are saved as safetensors only")
        super().save_pretrained(save_directory, safe_serialization=True, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path_or_repo: str | os.PathLike[str],
        *,
        revision: str | None = None,
        dtype: torch.dtype = torch.float32,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> FlowMatchingPipeline:
        """Load a bundled pipeline ("fashion-mnist"), a folder, or a Hub repository; safetensors only, no remote code.

        Args:
            name_or_path_or_repo: a bundled name wins over a folder of that name, a folder over a repository.
            revision: commit, tag or branch of a repository.
            dtype: what the weights are converted to; they may be stored in less.
            cache_dir: download cache of the Hub client; so are the remaining arguments the Hub client's.

        Raises:
            ValueError: an unknown name, or a folder without a pipeline of this class or without safetensors weights.
            OSError: a repository or revision that cannot be reached.
        """
        folder = resolve(
            name_or_path_or_repo,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        check_folder(folder, cls.__name__)
        with _silent_loading():
            pipe: FlowMatchingPipeline = super().from_pretrained(str(folder), dtype=dtype, use_safetensors=True)
        return pipe


# diffusers looks for the class that a model_index.json names among its own attributes. With this one there,
# DiffusionPipeline.from_pretrained(folder) finds it; the scheduler is found through the module that it names.
diffusers.FlowMatchingPipeline = FlowMatchingPipeline

# diffusers 0.42 warns at every change of dtype of modules to be kept in float32, even where it has none to name.
logging.getLogger("diffusers.models.modeling_utils").addFilter(
    lambda record: "should be kept in float32: []" not in record.getMessage()
)


@contextlib.contextmanager
def _silent_loading() -> Iterator[None]:
    """No progress bar for two small components."""
    shown = diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            diffusers_logging.enable_progress_bar()


def _micro_batches(n: int, batch_size: int | None, device: torch.device) -> Iterator[tuple[torch.Tensor, int]]:
    """(row indices, how many of them to keep): the last micro-batch is filled up with copies of the last row."""
    size = batch_size or n
    for start in range(0, n, size):
        rows = torch.arange(start, start + size, device=device).clamp(max=n - 1)
        yield rows, min(size, n - start)


@contextlib.contextmanager
def _exact(network: torch.nn.Module) -> Iterator[None]:
    """The network in evaluation mode and, on CUDA, no TF32 and no choice of kernels by timing; restored after."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    settings: list[tuple[Any, str, Any]] = [(cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    if hasattr(cudnn, "conv"):
        settings += [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
    else:  # torch before 2.9
        settings += [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    before = [getattr(module, name) for module, name, _ in settings]
    training = network.training
    network.eval()
    try:
        for module, name, value in settings:
            setattr(module, name, value)
        yield
    finally:
        for (module, name, _), value in zip(settings, before, strict=True):
            setattr(module, name, value)
        network.train(training)
