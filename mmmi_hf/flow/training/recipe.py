"""The training recipe and the training examples that it defines.

Owns what a training run depends on (data, network, path, schedule, seed) and the draws of every step,
for one process of any number. Knows nothing of the loop, and of no file other than the recipe's own YAML.

What is learned is the velocity of the path x_t = (1 − (1−σ) t) z + t x_1 with independent z ~ N(0, I): the network
sees (x_t, t, label) and is regressed on x_1 − (1−σ) z. Every random draw is addressed by (seed, step) and the order of
the examples by (seed, epoch), so that a run that was killed continues with exactly the draws it would have had.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import KW_ONLY, asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field

from mmmi_hf.common.places import place
from mmmi_hf.common.records import Amount, Count, Positive
from mmmi_hf.common.settings_file import read_settings, settings
from mmmi_hf.common.yaml_files import parse_file
from mmmi_hf.flow.bundled import SettingsKind, settings_file
from mmmi_hf.flow.computing.layouts import Companding, Layout, layout_of
from mmmi_hf.flow.training.images import Fit, load_images
from mmmi_hf.flow.training.signals import load_signals

if TYPE_CHECKING:
    import os

    from diffusers import UNet2DModel
    from jaxtyping import Float, Int

    from mmmi_hf.flow.training.examples import Examples


Precision = Literal["no", "bf16", "fp16"]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


@settings
class Schedule:
    """What recipes of all kinds have: the optimizer, its course, how it is computed, and when what is stored.

    The learning rate rises over `warmup_steps` to `learning_rate` and falls on a cosine to `final_learning_rate`; the
    moving average's decay goes from `ema_start` to `ema_end` (geometrically in 1 − decay). Every `pipeline_every` steps
    the pipeline of the average so far is stored (0: only at the end), so that a run that cannot be continued leaves
    something. `initial_pipeline`, a bundled name, a folder or a Hub id, is a trained pipeline to go on from: its
    weights are the first ones, the optimizer's moments start anew. Give another `seed` then, as a draw is a function
    of (seed, step).
    """

    kind: ClassVar[SettingsKind]
    _: KW_ONLY
    steps: Positive = 7000
    batch_size: Positive = 128
    learning_rate: Amount = 1e-3
    final_learning_rate: Amount = 2e-5
    warmup_steps: Count = 50
    weight_decay: Amount = 0.01
    max_gradient_norm: Amount = 1.0
    ema_start: Decay = 0.998
    ema_end: Decay = 0.9995
    mixed_precision: Precision = "bf16"
    compile: bool = False
    channels_last: bool = False
    seed: Count = 0
    initial_pipeline: str | None = None
    checkpoint_every: Positive = 250
    sample_every: Positive = 500
    pipeline_every: Count = 0

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str], **overrides: Any) -> Self:
        """Read a recipe file, or a bundled one by its name; arguments that are not None replace its fields.

        See `settings_file` and `read_settings` for errors.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        return read_settings(cls, settings_file(cls.kind, path), f"a {cls.kind} recipe", overrides=given)

    def learning_rate_at(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + 0.5 * span * (1 + math.cos(math.pi * min(done, 1.0)))

    def ema_decay_at(self, step: int) -> float:
        start, end = math.log(1 - self.ema_start), math.log(1 - self.ema_end)
        decay = 1 - math.exp(start + (end - start) * min(1.0, step / self.steps))
        return min(decay, (1 + step) / (10 + step))


@settings
class FlowRecipe(Schedule):
    """What recipes of flows have, whatever they make: the data set, the network and the path.

    The network is diffusers' UNet2DModel behind the `layout`, whose patches have a side of `patch_size`; `sigma_min`
    and `timestep_scale` belong to the path and are stored with the pipeline. The rest is that of every `Schedule`.

    `middle_attention` sees features that scale_shift leaves unnormalised: its logits may grow without bound, and then
    steps are not gentle at single points (an h‖J‖ of 117 was met, 1.9 with its weights held). False is the safe choice.
    """

    kind = "training"
    dataset: str
    split: str = "train"
    revision: str | None = None
    label_column: str | None = None
    block_out_channels: tuple[Positive, ...] = (64, 96, 128)
    layers_per_block: Positive = 1
    attention: tuple[bool, ...] = (False, False, False)
    middle_attention: bool = True
    attention_head_dim: Positive = 32
    norm_num_groups: Positive = 16
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "scale_shift"
    dropout: Decay = 0.0
    patch_size: Positive = 2
    sigma_min: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.02
    timestep_scale: float = 10.0

    def check_network(self) -> None:
        """Refuse sides that cannot be halved as often as the network does, and attention that is not said everywhere.

        Called once all fields are there.
        """
        if len(self.attention) != len(self.block_out_channels):
            raise ValueError(
                f"attention needs one entry per level: {len(self.block_out_channels)}, got {len(self.attention)}"
            )

    def check_data(self, examples: Examples) -> None:
        """Refuse examples too few to fill one batch."""
        if len(examples) < self.batch_size:
            raise ValueError(
                f"{len(examples)} {examples.noun} do not fill one batch of {self.batch_size}; lower batch_size"
            )

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Of one example."""

    @property
    @abstractmethod
    def sound(self) -> dict[str, Any] | None:
        """What the pipeline is told of its sounds; None of images."""

    @abstractmethod
    def load(self, *, progress: bool) -> Examples:
        """The training examples. ValueError if they do not fit."""

    def augmented(self, target: torch.Tensor, drawn: Draws) -> torch.Tensor:
        """Examples (n, *latent_shape) as they are learned from."""
        del drawn
        return target

    @property
    def layout(self) -> Layout:
        """Between examples, the states of the flow and the network."""
        return layout_of(self.patch_size, self.sound)

    def network(self, num_classes: int) -> UNet2DModel:
        """The untrained network of this recipe (initialised from `seed`)."""
        from diffusers import UNet2DModel

        torch.default_generator.manual_seed(self.seed)
        down = tuple("AttnDownBlock2D" if here else "DownBlock2D" for here in self.attention)
        up = tuple("AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(self.attention))
        channels, height, width = self.layout.network_shape(self.latent_shape)
        return UNet2DModel(
            sample_size=height if height == width else (height, width),
            in_channels=channels,
            out_channels=channels,
            down_block_types=down,
            up_block_types=up,
            block_out_channels=self.block_out_channels,
            layers_per_block=self.layers_per_block,
            norm_num_groups=self.norm_num_groups,
            add_attention=self.middle_attention,
            attention_head_dim=self.attention_head_dim,
            resnet_time_scale_shift=self.resnet_time_scale_shift,
            dropout=self.dropout,
            num_class_embeds=num_classes,
        )


@settings
class TrainingRecipe(FlowRecipe):
    """Everything that a training on images depends on; stored beside the weights.

    The image columns and sizes are those of `load_images`, the rest is that of every `FlowRecipe`.
    """

    image_column: str | None = None
    image_size: Positive = 32
    channels: Positive = 1
    fit: Fit = "pad"
    horizontal_flips: bool = False

    def __post_init__(self) -> None:
        factor = self.patch_size * 2 ** (len(self.block_out_channels) - 1)
        if self.image_size % factor:
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of patch_size × 2^(levels − 1) = {factor}"
            )
        self.check_network()

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (self.channels, self.image_size, self.image_size)

    @property
    def sound(self) -> None:
        return None

    def load(self, *, progress: bool) -> Examples:
        return load_images(
            self.dataset,
            split=self.split,
            size=self.image_size,
            channels=self.channels,
            fit=self.fit,
            image_column=self.image_column,
            label_column=self.label_column,
            revision=self.revision,
            progress=progress,
        )

    def augmented(self, target: torch.Tensor, drawn: Draws) -> torch.Tensor:
        if not self.horizontal_flips:
            return target
        return torch.where(drawn.flip[:, None, None, None], target.flip(-1), target)


@settings
class SignalRecipe(FlowRecipe):
    """Everything that a training on one-dimensional signals with labels, such as sounds, depends on.

    `signal_column`, `length` and `gain` are those of `load_signals`: every number of the data set times the gain, one
    for all rows, is a value of the pipeline; a root mean square near 0.5 over all of them learns best. `rate`, in
    samples per second, and `half_range` say how its outputs are heard; `bins` how the network sees them, see
    `SoundLayout`. With `companding` (`knee` and `scale`, see `Companding`) the flow ends at compressed frequencies, and
    their root mean square is best 1. `sigma_min` is the noise that remains where the flow ends: less of it makes
    inverses less exact.
    """

    _: KW_ONLY
    signal_column: str
    rate: Positive
    length: Positive = 2048
    gain: Annotated[float, Field(gt=0.0)] = 1.0
    half_range: Annotated[float, Field(gt=0.0)] = 1.0
    bins: Positive = 64
    companding: Companding | None = None

    def __post_init__(self) -> None:
        self.check_network()
        levels = 2 ** (len(self.block_out_channels) - 1)
        layout_of(self.patch_size, self.sound)
        if self.bins % (self.patch_size * levels):
            raise ValueError(
                f"bins must be a multiple of patch_size × 2^(levels − 1) = {self.patch_size * levels}, got {self.bins}"
            )
        if self.length % (self.bins * self.patch_size * levels):
            raise ValueError(
                f"length must be a multiple of bins × patch_size × 2^(levels − 1) = "
                f"{self.bins * self.patch_size * levels}, got {self.length}"
            )

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def sound(self) -> dict[str, Any]:
        given = {"bins": self.bins, "rate": self.rate, "half_range": self.half_range}
        return given if self.companding is None else {**given, "companding": asdict(self.companding)}

    def load(self, *, progress: bool) -> Examples:
        return load_signals(
            self.dataset,
            split=self.split,
            length=self.length,
            gain=self.gain,
            signal_column=self.signal_column,
            label_column=self.label_column,
            revision=self.revision,
            progress=progress,
        )


AnyFlowRecipe = TrainingRecipe | SignalRecipe


def read_recipe(path: str | os.PathLike[str], **overrides: Any) -> AnyFlowRecipe:
    """The recipe in a file, or a bundled one by its name: of signals if it has a `signal_column`, else of images.

    Arguments that are not None replace its fields. See `Schedule.from_yaml` for errors.
    """
    kind: type[AnyFlowRecipe] = TrainingRecipe
    try:
        given = parse_file(place(settings_file("training", path), "a training recipe")).data
        kind = SignalRecipe if isinstance(given, dict) and "signal_column" in given else TrainingRecipe
    except (OSError, ValueError):
        pass  # said below
    return kind.from_yaml(path, **overrides)


@dataclass(frozen=True)
class Draws:
    """What one process draws for one step, on the CPU; see `draws_of_step`.

    Attributes:
        rows: (n,) int64, which images.
        z: (n, *latent_shape), the latents.
        t: (n,), the times.
        flip: (n,) bool, which images are mirrored if the recipe wants that.
    """

    rows: torch.Tensor
    z: torch.Tensor
    t: torch.Tensor
    flip: torch.Tensor

    def to(self, device: torch.device) -> Draws:
        """On a device; a copy to a GPU does not wait for the work there."""
        moved = (value.to(device, non_blocking=value.is_pinned()) for value in (self.rows, self.z, self.t, self.flip))
        return Draws(*moved)


def draws_of_step(recipe: FlowRecipe, examples: Examples, step: int, *, rank: int = 0, world_size: int = 1) -> Draws:
    """All random numbers of one step for one process; examples on a GPU get them in pinned memory.

    t is half uniform, half logit-normal(0, 1). All draws are functions of (seed, step); rank r takes every
    world_size-th example, so the batch of a step does not depend on the number of processes.
    """
    pinned = examples.values.is_cuda
    epoch_length = len(examples) // recipe.batch_size
    epoch, position = divmod(step, epoch_length)
    order = torch.randperm(len(examples), generator=generator_of(recipe.seed, 0, epoch))
    rows = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
    draw = generator_of(recipe.seed, 1, step)
    z = torch.randn(len(rows), *examples.values.shape[1:], generator=draw, pin_memory=pinned)
    uniform, normal = torch.rand(len(rows), generator=draw), torch.randn(len(rows), generator=draw)
    t = torch.where(torch.arange(len(rows)) % 2 == 0, uniform, torch.sigmoid(normal))
    flip = torch.rand(len(rows), generator=draw) < 0.5
    mine = [value[rank::world_size].contiguous() for value in (rows, z, t, flip)]
    return Draws(*(value.pin_memory() if pinned else value for value in mine))


def flow_matching_batch(
    recipe: FlowRecipe, examples: Examples, drawn: Draws
) -> tuple[
    Float[torch.Tensor, "n c h w"], Float[torch.Tensor, " n"], Int[torch.Tensor, " n"], Float[torch.Tensor, "n c h w"]
]:
    """What a network learns of a step's draws: (x_t, t, labels, velocity), x_t and velocity as it sees them."""
    drawn = drawn.to(examples.values.device)
    target, labels = examples.batch(drawn.rows)
    layout = recipe.layout
    target = layout.unmade(recipe.augmented(target, drawn))
    z, t = drawn.z, drawn.t
    each = (-1, *(1,) * len(recipe.latent_shape))
    x_t = (1 - (1 - recipe.sigma_min) * t).view(each) * z + t.view(each) * target
    velocity = target - (1 - recipe.sigma_min) * z
    return layout.to_network(x_t), t, labels, layout.to_network(velocity)


def generator_of(*key: int) -> torch.Generator:
    """A CPU generator whose stream depends on every part of the key."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, "uint64")[0] >> 1))
