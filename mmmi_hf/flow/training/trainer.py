"""The flow-matching trainer: `mmmi-hf train`.

Owns the loop on Accelerate, its resumable checkpoints and the sample sheets drawn on the way. The only module of this
room that may import accelerate. It knows nothing of causal models.

Checkpoints are safetensors (weights, moving average, both AdamW moments); because every draw is addressed by
(seed, step) no generator state is stored, and a resumed run makes the steps that the undisturbed run would have made:
bit for bit on a CPU without dropout and fp16; a GPU may round otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import statistics
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import TypeAdapter
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from mmmi_hf.common.files import read_regular, replacing, write_json, write_text
from mmmi_hf.common.places import folder_to_write
from mmmi_hf.flow.devices import device_name
from mmmi_hf.flow.training.prefetching import ahead
from mmmi_hf.flow.training.recipe import AnyFlowRecipe, Draws, draws_of_step, flow_matching_batch
from mmmi_hf.flow.training.record import TRAINING, Initial, TrainingRecord, record_beside
from mmmi_hf.flow.training.sheets import pictures, sample_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accelerate import Accelerator
    from diffusers import UNet2DModel

    from mmmi_hf.common.records import Record
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline
    from mmmi_hf.flow.training.examples import Examples
    from mmmi_hf.flow.training.record import AnyRecipe

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
RECIPE = "recipe.json"
INITIAL = "initial.json"
LOG_EVERY = 25
SAMPLES_PER_CLASS = 6
SHARD_SIZE = "15MB"
"""Of stored weights, so that a repository without large-file storage takes them."""


def train(recipe: AnyFlowRecipe, out: str | os.PathLike[str], *, cpu: bool = False, progress: bool = True) -> Path:
    """Train a flow by `recipe` and save it as a pipeline; continue an interrupted run found in `out`.

    Args:
        recipe: what to train on, and how.
        out: folder for the checkpoint, log, sample sheets and, at the end and every `pipeline_every` steps,
            `pipeline/` and `training.json`.
        cpu: stay on the CPU although an accelerator is present.
        progress: show progress bars.

    Returns:
        The folder of the finished pipeline: the float16-rounded moving average of the weights.

    Raises:
        ValueError: `out` holds a run of another recipe or something else, or the data or the initial pipeline do not
            fit the recipe.
        ArithmeticError: a loss or a weight is not finite.
    """
    from accelerate import Accelerator

    out = folder_to_write(out)
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision, cpu=cpu)
    check_folder(out, recipe)
    examples = recipe.load(progress=progress and accelerator.is_main_process)
    recipe.check_data(examples)
    initial = None
    if recipe.initial_pipeline is not None:
        again = (out / CHECKPOINT).exists()
        initial = FirstWeights.recorded(out) if again else FirstWeights.of(recipe, len(examples.class_names))
    begin(out, recipe, accelerator, {} if initial is None else {INITIAL: initial.record})
    return _Run(recipe, out, examples, accelerator, initial).finish(progress=progress)


def check_folder(out: Path, recipe: AnyRecipe) -> None:
    """Refuse a folder that holds another recipe's run, or something else."""
    stored = out / RECIPE
    if stored.exists():
        try:
            found = TypeAdapter(type(recipe)).validate_json(read_regular(stored))
        except ValueError:
            found = None
        if found != recipe:
            raise ValueError(f"{out} holds a run of another recipe ({stored}); give another folder or the same recipe")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty and holds no training run; give a new folder")


def begin(out: Path, recipe: AnyRecipe, accelerator: Accelerator, started: dict[str, Record]) -> None:
    """Make a run's folder once all processes have seen what is there; `started`: file → what it holds at the start."""
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / RECIPE, dataclasses.asdict(recipe))
        for name, content in started.items():
            content.write(out / name)
    accelerator.wait_for_everyone()


@dataclass(frozen=True)
class FirstWeights:
    """Those of a trained pipeline that a run goes on from.

    Attributes:
        weights: of its network, float32, by name; None where a checkpoint holds what became of them.
        record: what the run's own record says of the pipeline.
    """

    weights: dict[str, torch.Tensor] | None
    record: Initial

    @classmethod
    def of(cls, recipe: AnyFlowRecipe, num_classes: int) -> FirstWeights:
        """Load the recipe's initial pipeline; ValueError if it cannot be had or is no network of this recipe."""
        from mmmi_hf.flow.bundled import resolve
        from mmmi_hf.flow.pipeline import FlowMatchingPipeline

        name = str(recipe.initial_pipeline)
        try:
            folder = resolve(name)
            pipeline = FlowMatchingPipeline.from_pretrained(folder)
        except OSError as error:
            raise ValueError(f"initial_pipeline {name!r} cannot be loaded: {' '.join(str(error).split())}") from error
        with torch.random.fork_rng(devices=[]):
            wanted = recipe.network(num_classes)
        path = {"sigma_min": recipe.sigma_min, "timestep_scale": recipe.timestep_scale}
        found = {key: pipeline.scheduler.config[key] for key in path}
        if (
            structure(pipeline.unet) != structure(wanted)
            or pipeline.latent_shape != recipe.latent_shape
            or found != path
            or pipeline.layout.companding != recipe.layout.companding
        ):
            raise ValueError(
                f"initial_pipeline {name!r} has another network, path or companding than the recipe (it makes "
                f"{pipeline.latent_shape} of {pipeline.num_classes} classes with {found}); give the recipe it was "
                "trained by, with other steps, learning rates and seed"
            )
        training = record_beside(folder, pipeline.digest)
        return cls(pipeline.unet.state_dict(), Initial(pipeline=name, digest=pipeline.digest, training=training))

    @classmethod
    def recorded(cls, out: Path) -> FirstWeights:
        """What a run that has a checkpoint recorded when it began: the pipeline itself is not needed again."""
        return cls(None, Initial.read(out / INITIAL))


def structure(network: UNet2DModel) -> dict[str, Any]:
    """What two networks must share for weights of the one to mean the same in the other."""
    kept = {key: value for key, value in network.config.items() if not key.startswith("_") and key != "dropout"}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()}


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """cuDNN tries its algorithms when it sees a shape for the first time; a training sees few.

    Another run may choose another one, which rounds otherwise. Nothing on a CPU.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class Run(ABC):
    """One process's state of a run: network, moving average, optimizer, and the next step.

    What is learned, and from what, is said by `draws`, `loss`, `empty_pipeline` and `learned_from`.
    """

    def __init__(
        self,
        recipe: AnyRecipe,
        out: Path,
        network: UNet2DModel,
        accelerator: Accelerator,
    ) -> None:
        self.recipe, self.out, self.accelerator = recipe, out, accelerator
        self.network = network.to(accelerator.device)
        if recipe.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.network.named_parameters()}
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.step, self.seconds = 0, 0.0
        self.unlogged: list[float] = []
        if (out / CHECKPOINT).exists():
            self._load()
            self._check_weights()
        trained = torch.compile(self.network) if recipe.compile else self.network
        self.trained, self.stepper = accelerator.prepare(trained, self.optimizer)

    def finish(self, *, progress: bool) -> Path:
        """Make the remaining steps and store the pipeline, whose folder is returned."""
        main = self.accelerator.is_main_process
        self.make_steps(progress=progress and main)
        self.accelerator.wait_for_everyone()
        if main:
            self.store()
        self.accelerator.wait_for_everyone()
        return self.out / "pipeline"

    def make_steps(self, *, progress: bool) -> None:
        """Make the remaining steps; the main process logs, stores checkpoints and draws sheets."""
        recipe, main = self.recipe, self.accelerator.is_main_process
        started, before = time.monotonic(), self.seconds
        unread: list[torch.Tensor] = []
        draws = ahead(self.draws, range(self.step, recipe.steps))
        self.trained.train()
        with (
            closing(draws),
            tqdm(total=recipe.steps, initial=self.step, desc="training", unit="step", disable=not progress) as bar,
        ):
            for drawn in draws:
                with _fastest_convolutions():
                    unread.append(self._make_step(drawn))
                self.step += 1
                bar.update()
                last = self.step == recipe.steps
                log, save = self.step % LOG_EVERY == 0, self.step % recipe.checkpoint_every == 0 or last
                draw = self.step % recipe.sample_every == 0 or last
                store = recipe.pipeline_every > 0 and self.step % recipe.pipeline_every == 0 and not last
                if log or save or draw or store:
                    self.unlogged += self._read(unread)
                    unread.clear()
                self.seconds = before + time.monotonic() - started
                if log:
                    mean = statistics.fmean(self.unlogged)
                    self.unlogged.clear()
                    bar.set_postfix(loss=f"{mean:.4f}")
                    if main:
                        self._log(mean)
                if save or draw or store:
                    self._check_weights()
                if main and save:
                    self._save()
                if main and draw:
                    self.draw(self.out / "samples" / f"step-{self.step:06d}.png")
                if main and store:
                    self.store()

    @abstractmethod
    def draws(self, step: int) -> Any:
        """This process's random draws of a step, a function of (seed, step)."""

    @abstractmethod
    def loss(self, drawn: Any) -> torch.Tensor:
        """The loss of what was drawn for step `self.step`."""

    @abstractmethod
    def empty_pipeline(self) -> FlowMatchingPipeline:
        """A pipeline in float32 whose weights will be replaced by the averaged ones."""

    @abstractmethod
    def learned_from(self) -> dict[str, Any]:
        """The fields of the record that are of this kind of run."""

    def _make_step(self, drawn: Any) -> torch.Tensor:
        """One step; its loss stays on the device, so that the next one is prepared while this one is computed."""
        recipe, accelerator = self.recipe, self.accelerator
        for group in self.stepper.param_groups:
            group["lr"] = recipe.learning_rate_at(self.step)
        loss = self.loss(drawn)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.trained.parameters(), recipe.max_gradient_norm)
        self.stepper.step()
        self.stepper.zero_grad(set_to_none=True)
        with torch.no_grad():
            current = [parameter.detach() for parameter in self.network.parameters()]
            torch._foreach_lerp_(list(self.average.values()), current, 1 - recipe.ema_decay_at(self.step))
        return loss.detach()

    def _read(self, losses: list[torch.Tensor]) -> list[float]:
        """The losses of the last steps, means over all processes; ArithmeticError in each if one is not finite."""
        everywhere: torch.Tensor = self.accelerator.gather(torch.stack(losses))
        values: list[float] = everywhere.view(-1, len(losses)).mean(0).tolist()
        for step, value in enumerate(values, start=self.step - len(values)):
            if not math.isfinite(value):
                raise ArithmeticError(f"the loss is {value} at step {step}; lower the learning rate")
        return values

    def attention(self) -> AbstractContextManager[None]:
        """On a CPU, plain attention: the fused kernel's backward pass takes a fifth of a step of 64 tokens there."""
        if self.accelerator.device.type != "cpu":
            return nullcontext()
        return sdpa_kernel(SDPBackend.MATH)

    def _check_weights(self) -> None:
        """Refuse weights that are not finite as they will be stored; the last loss is that of those before the step.

        Every process does so, on weights that are the same in all.
        """
        for name, parameter in self.network.named_parameters():
            for kind, value in (("weights", parameter), ("average", self.average[name].half())):
                if not bool(value.isfinite().all()):
                    raise ArithmeticError(
                        f"{kind}/{name} is not finite after {self.step} steps; lower the learning rate, in a new folder"
                    )

    def _save(self) -> None:
        tensors: dict[str, torch.Tensor] = {}
        for name, parameter in self.network.named_parameters():
            moments = self.optimizer.state[parameter]
            tensors |= {
                f"weights/{name}": parameter.detach(),
                f"average/{name}": self.average[name],
                f"exp_avg/{name}": moments["exp_avg"],
                f"exp_avg_sq/{name}": moments["exp_avg_sq"],
            }
        tensors = {name: value.contiguous().cpu() for name, value in tensors.items()}
        path = self.out / CHECKPOINT
        metadata = {"step": str(self.step), "seconds": f"{self.seconds:.3f}", "unlogged": json.dumps(self.unlogged)}
        with replacing(path) as partial:
            save_file(tensors, partial, metadata=metadata)

    @torch.no_grad()
    def _load(self) -> None:
        with safe_open(self.out / CHECKPOINT, framework="pt") as stored:
            metadata = stored.metadata()
            self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
            self.unlogged = json.loads(metadata.get("unlogged", "[]"))
            for name, parameter in self.network.named_parameters():
                parameter.copy_(stored.get_tensor(f"weights/{name}"))
                self.average[name].copy_(stored.get_tensor(f"average/{name}"))
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.step), device=parameter.device),
                    "exp_avg": torch.empty_like(parameter).copy_(stored.get_tensor(f"exp_avg/{name}")),
                    "exp_avg_sq": torch.empty_like(parameter).copy_(stored.get_tensor(f"exp_avg_sq/{name}")),
                }
        if self.accelerator.is_main_process:
            # What a killed run logged after its last checkpoint is made, and logged, again.
            kept = [line for line in self._logged() if json.loads(line)["step"] <= self.step]
            write_text(self.out / LOG, "".join(line + "\n" for line in kept))

    def _logged(self) -> list[str]:
        return (self.out / LOG).read_text().splitlines() if (self.out / LOG).exists() else []

    def _log(self, loss: float) -> None:
        entry = {"step": self.step, "seconds": round(self.seconds, 1), "loss": round(loss, 6)}
        with (self.out / LOG).open("a") as stream:
            stream.write(json.dumps(entry) + "\n")

    def pipeline(self) -> FlowMatchingPipeline:
        """The pipeline of the averaged weights, rounded to float16 as they are stored, in float32."""
        pipeline = self.empty_pipeline()
        with torch.no_grad():
            for name, parameter in pipeline.unet.named_parameters():
                parameter.copy_(self.average[name].half().float())
        pipeline.unet.eval()
        return pipeline

    def draw(self, path: Path) -> None:
        """A sheet of samples from the averaged weights, from the same latents each time."""
        device = self.accelerator.device
        pipeline = self.pipeline().to(device)
        pipeline.set_progress_bar_config(disable=True)
        names = class_names(pipeline)
        generator = torch.Generator().manual_seed(self.recipe.seed)
        count = len(names) * SAMPLES_PER_CLASS
        latents = torch.randn(count, *pipeline.latent_shape, generator=generator).to(device)
        labels = torch.arange(len(names), device=device).repeat_interleave(SAMPLES_PER_CLASS)
        given = None if pipeline.num_classes is None else labels
        shown = pictures(pipeline(latents, given, batch_size=len(names)).images.cpu(), pipeline.view)
        path.parent.mkdir(parents=True, exist_ok=True)
        sample_sheet(shown.reshape(len(names), SAMPLES_PER_CLASS, *shown.shape[1:]), names, path)

    def store(self) -> None:
        """Save the pipeline of the steps so far, and what its model card needs to know of the training.

        They take the place of those of an earlier step as a whole, the record last: its digest is the pipeline's unless
        the run was killed in between.
        """
        pipeline = self.pipeline()
        digest = pipeline.digest
        folder, partial, old = (self.out / name for name in ("pipeline", "pipeline.partial", "pipeline.old"))
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
        pipeline.to(torch.float16).save_pretrained(partial, max_shard_size=SHARD_SIZE)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        log, device = [json.loads(line) for line in self._logged()], self.accelerator.device
        TrainingRecord(
            recipe=self.recipe,
            steps=self.step,
            images_seen=self.step * self.recipe.batch_size,
            seconds=round(self.seconds, 1),
            final_loss=log[-1]["loss"] if log else None,
            parameters=sum(parameter.numel() for parameter in self.network.parameters()),
            weights_bytes=sum(file.stat().st_size for file in folder.rglob("*.safetensors")),
            digest=digest,
            world_size=self.accelerator.num_processes,
            device=device.type,
            device_name=device_name(device),
            class_names=None if pipeline.class_names is None else tuple(pipeline.class_names),
            versions={name: installed_version(name) for name in ("torch", "diffusers", "accelerate", "datasets")},
            **self.learned_from(),
        ).write(self.out / TRAINING)


class _Run(Run):
    """A run that learns the velocity of the path to examples."""

    recipe: AnyFlowRecipe

    def __init__(
        self,
        recipe: AnyFlowRecipe,
        out: Path,
        examples: Examples,
        accelerator: Accelerator,
        initial: FirstWeights | None,
    ) -> None:
        self.initial = initial
        self.examples = examples.on(accelerator.device)
        network = recipe.network(len(examples.class_names))
        if initial is not None and initial.weights is not None:
            network.load_state_dict(initial.weights)
        super().__init__(recipe, out, network, accelerator)

    def draws(self, step: int) -> Draws:
        place = {"rank": self.accelerator.process_index, "world_size": self.accelerator.num_processes}
        return draws_of_step(self.recipe, self.examples, step, **place)

    def loss(self, drawn: Draws) -> torch.Tensor:
        x_t, t, labels, velocity = flow_matching_batch(self.recipe, self.examples, drawn)
        with self.attention():
            predicted = self.trained(x_t, t * self.recipe.timestep_scale, class_labels=labels).sample
        return torch.nn.functional.mse_loss(predicted.float(), velocity)

    def empty_pipeline(self) -> FlowMatchingPipeline:
        from mmmi_hf.flow.pipeline import FlowMatchingPipeline
        from mmmi_hf.flow.scheduler import FlowMatchODEScheduler

        with torch.random.fork_rng(devices=[]):
            network = self.recipe.network(len(self.examples.class_names))
        scheduler = FlowMatchODEScheduler(sigma_min=self.recipe.sigma_min, timestep_scale=self.recipe.timestep_scale)
        return FlowMatchingPipeline(
            network,
            scheduler,
            patch_size=self.recipe.patch_size,
            class_names=list(self.examples.class_names),
            sound=self.recipe.sound,
        )

    def learned_from(self) -> dict[str, Any]:
        return {
            "num_images": len(self.examples),
            "initial": None if self.initial is None else self.initial.record,
        }


def class_names(pipeline: FlowMatchingPipeline) -> tuple[str, ...]:
    """Of a pipeline: numbers where it has no names, one name where it has no classes."""
    return tuple(pipeline.class_names or map(str, range(pipeline.num_classes or 1)))
