"""FlowMatchingPipeline: latents to images by a class-conditional flow, and back.

Owns the pairing of a UNet with a scheduler, the checks of what goes in, micro-batches, and saving and loading. Knows
nothing of causal models or datasets. May import torch and diffusers; no training code. `loading.py` checks its
files, `diffusers_arguments.py` says what of diffusers' arguments is taken.

Nothing here depends on a batch: no clamping, no min–max, no cast. Guidance is off, and there is none: the networks
have no label for "no class", and guidance would buy no mutual information.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import diffusers
import torch
from diffusers import DiffusionPipeline, UNet2DModel
from diffusers.configuration_utils import FrozenDict
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES
from diffusers.utils import BaseOutput

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.flow.bijection import (
    Bijection,
    NotFiniteError,
    View,
    check_options,
    check_precision,
    check_rows,
    rows_not_finite,
)
from mmmi_hf.flow.bundled import INDEX, resolve
from mmmi_hf.flow.computing.labels import labels_of_rows
from mmmi_hf.flow.computing.layouts import Layout, layout_of
from mmmi_hf.flow.computing.precision import exact
from mmmi_hf.flow.computing.stopping import check_stop
from mmmi_hf.flow.description import class_names_of
from mmmi_hf.flow.diffusers_arguments import CALL, LOAD, SAVE, pil_images, refuse
from mmmi_hf.flow.loading import check_folder, silent_loading, without_idle_warnings
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler  # at run time: diffusers resolves annotations

if TYPE_CHECKING:
    import os

    from jaxtyping import Float
    from PIL.Image import Image

    from mmmi_hf.flow.scheduler import Velocity

Labels = int | Sequence[int] | torch.Tensor | None


@dataclass
class FlowMatchingOutput(BaseOutput):
    """The images (n, channels, height, width) of a pipeline: unclamped, dtype and device of the latents."""

    images: torch.Tensor


@dataclass
class PictureOutput(BaseOutput):
    """Pictures for looking, one for each image: clamped to the view, in 8 bits."""

    images: list[Image]


class FlowMatchingPipeline(DiffusionPipeline, Bijection):
    """The discrete flow from latents z ~ N(0, I) to images of a class, and its inverse.

    Args:
        unet: velocity network; sees x_t in the layout of `computing/layouts.py`, the tensor timestep_scale × t of
            shape (B,) and class labels, and returns the velocity in the same layout.
        scheduler: the steps; its configuration fixes the map.
        patch_size: side of the patches that become channels before the network.
        class_names: a name per class, for messages and cards; they do not touch the map. Files have {"0": name, …}.
        sound: of a pipeline that makes sounds: `bins`, `rate`, `half_range` and perhaps `companding`, see
            `layout_of`. None: images.

    Raises:
        ValueError: another kind of network or scheduler, a UNet whose channels or size do not fit the layout, or
            class_names that do not fit its classes.

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
        class_names: list[str] | dict[str, str] | None = None,
        sound: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        without_idle_warnings()
        if not isinstance(unet, UNet2DModel):
            raise ValueError(f"unet must be a UNet2DModel, got {type(unet).__name__}; others see no class labels")
        if not isinstance(scheduler, FlowMatchODEScheduler):
            raise ValueError(
                f"scheduler must be a FlowMatchODEScheduler, got {type(scheduler).__name__}: the steps of others "
                "cannot be undone; FlowMatchODEScheduler(num_inference_steps=8) for example"
            )
        if not is_whole(patch_size, 1):
            raise ValueError(f"patch_size must be a positive integer, got {patch_size!r}")
        channels, size, classes = unet.config.in_channels, unet.config.sample_size, unet.config.num_class_embeds or 0
        if unet.config.out_channels != channels:
            raise ValueError(
                f"unet must have equal in_channels and out_channels, got {channels} and {unet.config.out_channels}"
            )
        if size is None:
            raise ValueError("unet must have a sample_size, got None; set it to the size of its input")
        try:
            self._layout: Layout = layout_of(int(patch_size), sound)
            self._latent_shape = self._layout.latent_shape(channels, *((size,) * 2 if is_whole(size) else size))
        except ValueError as error:
            raise ValueError(f"unet does not fit its layout: {error}; give the one it was trained with") from error
        names = class_names_of(class_names)
        if names is None and class_names is not None:
            raise ValueError(f"class_names must be a name for each class, got {class_names!r}")
        if names is not None and len(names) != classes:
            raise ValueError(f"class_names must name the {classes} classes of the unet, got {len(names)} names")
        self.register_modules(unet=unet, scheduler=scheduler)
        stored = None if names is None else {str(label): name for label, name in enumerate(names)}
        self.register_to_config(patch_size=int(patch_size), class_names=stored, sound=sound and dict(sound))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of a latent and of an image; (length,) of a sound."""
        return self._latent_shape

    @property
    def layout(self) -> Layout:
        """What lies between outputs, the states of the flow and the network."""
        return self._layout

    @property
    def num_classes(self) -> int | None:
        """Number of class labels, 0 … num_classes − 1; None for a network without classes."""
        classes: int | None = self.unet.config.num_class_embeds
        return classes

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """A name per class, or None."""
        return class_names_of(self.config.class_names)

    @property
    def view(self) -> View:
        """Images from −1 to 1, or sounds."""
        return self.layout.view(self.latent_shape)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self.unet.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Of the network's weights; latents and images have the same."""
        dtype: torch.dtype = self.unet.dtype
        return dtype

    @property
    def batch_invariant(self) -> bool:
        """False: the kernels of a network round by the size of a micro-batch, and a row's place in it."""
        return False

    @property
    def network(self) -> torch.nn.Module:
        """The velocity network."""
        network: torch.nn.Module = self.unet
        return network

    @property
    def digest(self) -> str:
        """sha256 of what defines the map: weights as numbers, network and scheduler configuration, layout.

        Independent of the files' layout and of the dtype the weights are held in (each is hashed as the float64 of
        its value), so a checkpoint stored in float16 and used in float32 or float64 keeps its digest.
        """
        configs = {
            name: {key: value for key, value in component.config.items() if not key.startswith("_")}
            for name, component in (("unet", self.unet), ("scheduler", self.scheduler))
        }
        configs["pipeline"] = self.layout.defining
        digest = hashlib.sha256(json.dumps(configs, sort_keys=True, default=list).encode())
        for name, tensor in sorted(self.unet.state_dict().items()):
            digest.update(f"\n{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().to("cpu", torch.float64).contiguous().numpy().astype("<f8").tobytes())
        return digest.hexdigest()

    @overload
    def __call__(
        self,
        latents: torch.Tensor | None = ...,
        class_labels: Labels = ...,
        *,
        output_type: Literal["pt"] = ...,
        **options: Any,
    ) -> FlowMatchingOutput: ...

    @overload
    def __call__(
        self,
        latents: torch.Tensor | None = ...,
        class_labels: Labels = ...,
        *,
        output_type: Literal["pil"],
        **options: Any,
    ) -> PictureOutput: ...

    @torch.no_grad()
    def __call__(
        self,
        latents: torch.Tensor | None = None,
        class_labels: Labels = None,
        *,
        batch_size: int | None = None,
        num_images: int | None = None,
        generator: torch.Generator | None = None,
        output_type: Literal["pt", "pil"] = "pt",
        **others: Any,
    ) -> FlowMatchingOutput | PictureOutput:
        """Images of latents, or of latents that are drawn here.

        Args:
            latents: (n, *latent_shape), float32 or float64, of the pipeline's dtype and on its device; None to draw
                num_images of them from N(0, I).
            class_labels: an int for all rows, or n of them, each in 0 … num_classes − 1; None without classes.
            batch_size: rows per evaluation of the network; a last short micro-batch is padded, so that a row's bits
                depend on its place in its micro-batch only. None evaluates all rows at once.
            num_images: how many latents to draw; by default one for each of class_labels.
            generator: what draws them, on its own device in float32; by default torch's.
            output_type: "pt" for tensors; "pil" for pictures, clamped to the view, which is for looking only.
            others: further arguments of diffusers' pipelines have one meaning here, or none; the message says why.

        Returns:
            `.images`: (n, *latent_shape), or n pictures.

        Raises:
            ValueError: arguments that are not as above; the message says what would be.
            NotFiniteError: images that are not finite.
        """
        refuse(others, CALL)
        if output_type not in ("pt", "pil"):
            raise ValueError(f"output_type must be 'pt' (tensors) or 'pil' (pictures, clamped), got {output_type!r}")
        if latents is None:
            latents = self._drawn(class_labels, num_images, generator)
        elif num_images is not None or generator is not None:
            given = "num_images" if num_images is not None else "generator"
            raise ValueError(f"{given} must be None where latents are given: they are of latents that are drawn here")
        check_options(batch_size)
        labels = self._check("latents", latents, class_labels)
        images = torch.empty_like(latents, memory_format=torch.contiguous_format)
        self.scheduler.set_timesteps(device=latents.device)
        batches = list(_micro_batches(len(latents), batch_size, latents.device))
        steps = len(self.scheduler.times) - 1
        with exact(self.unet, latents.device), self.progress_bar(total=len(batches) * steps) as bar:
            for rows, kept in batches:
                velocity = self.velocity(None if labels is None else labels[rows])
                x = latents[rows]
                for k in range(steps):
                    x = self.scheduler.step(velocity, k, x)
                    bar.update()
                images[rows[:kept]] = self.layout.made(x)[:kept]
        if bad := rows_not_finite(images):
            raise NotFiniteError(
                f"images must be finite, got NaN or infinity in rows {bad} of latents up to "
                f"{float(latents.abs().max()):.3g} in size; give latents of N(0, I), or use float64"
            )
        if output_type == "pil":
            return PictureOutput(images=pil_images(images, self.view))
        return FlowMatchingOutput(images=images)

    @torch.no_grad()
    def invert(
        self,
        images: Float[torch.Tensor, "n channels height width"],
        class_labels: Labels = None,
        *,
        batch_size: int | None = None,
        tolerance: float | None = None,
        on_failure: Literal["raise", "nan"] = "raise",
    ) -> Float[torch.Tensor, "n channels height width"]:
        """Latents of images: every discrete step undone to rounding, last to first.

        Args:
            images: (n, *latent_shape), as `__call__` returned them.
            class_labels, batch_size: as in `__call__`.
            tolerance: relative residual of a step, by default that of the dtype; see the scheduler's `invert_step`.
            on_failure: "raise", or "nan" to return NaN in the rows that could not be inverted.

        Returns:
            Latents (n, *latent_shape).

        Raises:
            InversionError: a row did not converge and on_failure is "raise".
            ValueError: as in `__call__`.
        """
        check_options(batch_size, tolerance, on_failure)
        labels = self._check("images", images, class_labels)
        latents = torch.empty_like(images, memory_format=torch.contiguous_format)
        self.scheduler.set_timesteps(device=images.device)
        batches = list(_micro_batches(len(images), batch_size, images.device))
        steps = len(self.scheduler.times) - 1
        with exact(self.unet, images.device), self.progress_bar(total=len(batches) * steps) as bar:
            for rows, kept in batches:
                velocity = self.velocity(None if labels is None else labels[rows])
                x, after_next = self.layout.unmade(images[rows]), None
                for k in reversed(range(steps)):
                    undone = self.scheduler.invert_step(
                        velocity, k, x, after_next=after_next, tolerance=tolerance, on_failure=on_failure
                    )
                    x, after_next = undone.sample, x
                    bar.update()
                latents[rows[:kept]] = x[:kept]
        return latents

    def in_precision(self, dtype: torch.dtype) -> FlowMatchingPipeline:
        """The same map in `dtype`, silent, with its own scheduler; the network is copied only if it must change."""
        check_precision("dtype", dtype)
        network = self.unet
        if network.dtype != dtype or network.training:
            # diffusers' own `to` warns without cause
            network = torch.nn.Module.to(copy.deepcopy(network).eval(), dtype)
        private = FlowMatchingPipeline(
            network,
            copy.deepcopy(self.scheduler),
            self.config.patch_size,
            self.config.class_names,
            self.config.sound,
        )
        private.set_progress_bar_config(disable=True)
        return private

    def set_up(self, *, channels_last: bool = False, compiled: bool = False) -> None:
        """How the network computes: another layout in memory (channels_last), or compiled at its first call."""
        if channels_last:
            self.unet.to(memory_format=torch.channels_last)
        if compiled:
            import torch._inductor.config as inductor

            if hasattr(inductor, "deterministic"):
                inductor.deterministic = True  # no choice of kernels by timing
            self.unet.compile()

    def warm_up(self, batch_size: int, class_label: int | None = None) -> None:
        """A network that is compiled compiles itself now, for a call with this batch_size and class_label.

        Several threads at once must not ask that of it.
        """
        if self.unet._compiled_call_impl is not None:
            self(torch.zeros(batch_size, *self.latent_shape, dtype=self.dtype, device=self.device), class_label)

    def velocity(self, class_labels: torch.Tensor | None) -> Velocity:
        """The velocity field (x, t) → v of rows with these class_labels, (B,), in the shape of latents."""
        scale = self.scheduler.config.timestep_scale

        def field(x: torch.Tensor, t: float) -> torch.Tensor:
            check_stop()
            timestep = torch.full((len(x),), t * scale, dtype=x.dtype, device=x.device)
            v = self.unet(self.layout.to_network(x), timestep, class_labels=class_labels).sample
            return self.layout.to_state(v)

        return field

    def _drawn(self, class_labels: Labels, num_images: int | None, generator: torch.Generator | None) -> torch.Tensor:
        """N(0, I) latents of the pipeline's dtype and on its device."""
        if num_images is None:
            many = isinstance(class_labels, Sequence) or (isinstance(class_labels, torch.Tensor) and class_labels.ndim)
            num_images = len(class_labels) if many else 1  # type: ignore[arg-type]
        if not is_whole(num_images, 1):
            raise ValueError(f"num_images must be a positive integer, got {num_images!r}")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator must be one torch.Generator for all images, got {type(generator).__name__}")
        where = self.device if generator is None else generator.device
        drawn = torch.randn(num_images, *self.latent_shape, generator=generator, device=where)
        return drawn.to(self.device, self.dtype)

    def _check(self, argument: str, values: torch.Tensor, class_labels: Labels) -> torch.Tensor | None:
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
        return labels_of_rows(class_labels, len(values), self.num_classes, values.device)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Save configuration and weights, as safetensors only. Where a pipeline was loaded from is not stored.

        Args:
            save_directory: a folder; made if it is not there.
            safe_serialization: True.
            kwargs: of diffusers.

        Raises:
            ValueError: safe_serialization is False, or a variant: what would be saved could not be loaded.
        """
        if not safe_serialization:
            raise ValueError("safe_serialization must be True, got False: weights are saved as safetensors only")
        refuse({name: kwargs.pop(name) for name in SAVE if name in kwargs}, SAVE)
        for part in (self, self.unet, self.scheduler):
            part._internal_dict = FrozenDict({k: v for k, v in part.config.items() if k != "_name_or_path"})
        super().save_pretrained(save_directory, safe_serialization=True, **kwargs)
        folder = Path(save_directory)
        mode = (folder / INDEX).stat().st_mode  # safetensors writes for the owner alone, whatever the umask
        for weights in folder.rglob("*.safetensors"):
            weights.chmod(mode)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path_or_repo: str | os.PathLike[str],
        *,
        revision: str | None = None,
        dtype: torch.dtype | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        torch_dtype: torch.dtype | None = None,
        **others: Any,
    ) -> FlowMatchingPipeline:
        """Load a bundled pipeline ("fashion-mnist"), a folder, or a Hub repository; safetensors only, no remote code.

        Args:
            name_or_path_or_repo: a bundled name wins over a folder of that name, a folder over a repository.
            revision: commit, tag or branch of a repository.
            dtype: what the weights are converted to, by default float32; they may be stored in less.
            cache_dir, token, local_files_only: of the Hub's client.
            torch_dtype: what diffusers calls dtype as well.
            others: further arguments of diffusers have one meaning here, or none; the message says why.

        Raises:
            ValueError: an unknown name, arguments that are not as above, or a folder that holds no pipeline of this
                class; names the file and the field.
            OSError: a repository or revision that cannot be reached.
        """
        refuse(others, LOAD)
        if dtype is not None and torch_dtype is not None and dtype != torch_dtype:
            raise ValueError(f"torch_dtype must be dtype, or be left out, got {torch_dtype} and {dtype}")
        dtype = dtype or torch_dtype or torch.float32
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ValueError(f"dtype must be a floating-point torch.dtype, got {dtype!r}; torch.float32 for example")
        folder = resolve(
            name_or_path_or_repo,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
        with silent_loading():
            check_folder(folder)
            pipe: FlowMatchingPipeline = super().from_pretrained(str(folder), dtype=dtype, use_safetensors=True)
        return pipe


# diffusers looks for the class that a model_index.json names among its own attributes. With this one there,
# DiffusionPipeline.from_pretrained(folder) finds it; the scheduler is found through the module that it names.
diffusers.FlowMatchingPipeline = FlowMatchingPipeline
# From the Hub it downloads components of libraries that it knows only.
LOADABLE_CLASSES[FlowMatchODEScheduler.__module__] = {"SchedulerMixin": ["save_pretrained", "from_pretrained"]}


def _micro_batches(n: int, batch_size: int | None, device: torch.device) -> Iterator[tuple[torch.Tensor, int]]:
    """(row indices, how many of them to keep): the last micro-batch is filled up with copies of the last row."""
    size = batch_size or n
    for start in range(0, n, size):
        rows = torch.arange(start, start + size, device=device).clamp(max=n - 1)
        yield rows, min(size, n - start)
