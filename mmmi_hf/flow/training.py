"""The flow-matching trainer: `mmmi-hf train`.

Owns the loop on Accelerate, its resumable checkpoints and the sample sheets drawn on the way. The only module of this
room that may import accelerate. It knows nothing of causal models.

Checkpoints are safetensors (weights, moving average, both AdamW moments); because every draw is addressed by
(seed, step) no generator state is stored, and a resumed run makes the steps that the undisturbed run would have made.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tqdm.auto import tqdm

from mmmi_hf.flow.recipe import TrainingRecipe, flow_matching_batch
from mmmi_hf.flow.training_images import LabelledImages, load_images

if TYPE_CHECKING:
    from diffusers import UNet2DModel

    from mmmi_hf.flow.pipeline import FlowMatchingPipeline

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
LOG_EVERY = 25


@dataclass
class _Progress:
    """Where a run stands: the next step, and the seconds of training so far."""

    step: int = 0
    seconds: float = 0.0


def train(recipe: TrainingRecipe, out: str | os.PathLike[str], *, cpu: bool = False, progress: bool = True) -> Path:
    """Train a flow by `recipe` and save it as a pipeline; continue an interrupted run found in `out`.

    Args:
        recipe: what to train on, and how.
        out: folder for the checkpoint, log, sample sheets and, at the end, `pipeline/` and `training.json`.
        cpu: stay on the CPU although an accelerator is present.
        progress: show a progress bar.

    Returns:
        The folder of the finished pipeline: the float16-rounded moving average of the weights.

    Raises:
        ValueError: `out` holds a run of another recipe, or data that do not fit the recipe.
    """
    from accelerate import Accelerator

    out = Path(out)
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision, cpu=cpu)
    _claim(out, recipe, main=accelerator.is_main_process)
    accelerator.wait_for_everyone()
    images = load_images(
        recipe.dataset,
        split=recipe.split,
        size=recipe.image_size,
        channels=recipe.channels,
        fit=recipe.fit,
        image_column=recipe.image_column,
        label_column=recipe.label_column,
        revision=recipe.revision,
        progress=progress and accelerator.is_main_process,
    )
    images = dataclasses.replace(
        images, pixels=images.pixels.to(accelerator.device), labels=images.labels.to(accelerator.device)
    )
    network = recipe.network(len(images.class_names)).to(accelerator.device)
    if recipe.channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    state = _Progress()
    if (out / CHECKPOINT).exists():
        state = _load_checkpoint(out / CHECKPOINT, network, average, optimizer)
        if accelerator.is_main_process:
            _cut_log(out / LOG, state.step)
    prepared, optimizer = accelerator.prepare(torch.compile(network) if recipe.compile else network, optimizer)
    bar = tqdm(
        total=recipe.steps,
        initial=state.step,
        desc="training",
        unit="step",
        disable=not (progress and accelerator.is_main_process),
    )
    started, before, loss_sum = time.monotonic(), state.seconds, 0.0
    prepared.train()
    while state.step < recipe.steps:
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(state.step)
        x_t, t, labels, velocity = flow_matching_batch(
            recipe, images, state.step, rank=accelerator.process_index, world_size=accelerator.num_processes
        )
        predicted = prepared(x_t, t * recipe.timestep_scale, class_labels=labels).sample
        loss = torch.nn.functional.mse_loss(predicted.float(), velocity)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(prepared.parameters(), recipe.max_gradient_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _move_average(average, network, recipe.ema_decay_at(state.step))
        loss_sum += float(loss.detach())
        state.step += 1
        state.seconds = before + time.monotonic() - started
        bar.update()
        if not accelerator.is_main_process:
            continue
        if state.step % LOG_EVERY == 0:
            bar.set_postfix(loss=f"{loss_sum / LOG_EVERY:.4f}")
            _append_log(out / LOG, state, loss_sum / LOG_EVERY)
            loss_sum = 0.0
        if state.step % recipe.checkpoint_every == 0 or state.step == recipe.steps:
            _save_checkpoint(out / CHECKPOINT, network, average, optimizer, state)
        if state.step % recipe.sample_every == 0 or state.step == recipe.steps:
            sheet = out / "samples" / f"step-{state.step:06d}.png"
            draw_samples(sheet, recipe, average, images.class_names, device=accelerator.device)
    bar.close()
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _finish(out, recipe, average, images, state, accelerator.num_processes)
    accelerator.wait_for_everyone()
    return out / "pipeline"


def _claim(out: Path, recipe: TrainingRecipe, *, main: bool) -> None:
    """Store the recipe in `out`; refuse a folder that holds another recipe's run, or something else."""
    stored, wanted = out / "recipe.json", json.dumps(dataclasses.asdict(recipe), indent=2)
    if stored.exists():
        if json.loads(stored.read_text()) != json.loads(wanted):
            raise ValueError(f"{out} holds a run of another recipe ({stored}); give another folder or the same recipe")
    elif main:
        if out.exists() and any(out.iterdir()):
            raise ValueError(f"{out} is not empty and holds no training run; give a new folder")
        out.mkdir(parents=True, exist_ok=True)
        stored.write_text(wanted)


@torch.no_grad()
def _move_average(average: dict[str, torch.Tensor], network: UNet2DModel, decay: float) -> None:
    current = [parameter.detach() for _, parameter in network.named_parameters()]
    torch._foreach_lerp_(list(average.values()), current, 1 - decay)


def _save_checkpoint(
    path: Path,
    network: UNet2DModel,
    average: dict[str, torch.Tensor],
    optimizer: Any,
    state: _Progress,
) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in network.named_parameters():
        moments = optimizer.state[parameter]
        tensors |= {
            f"weights/{name}": parameter.detach(),
            f"average/{name}": average[name],
            f"exp_avg/{name}": moments["exp_avg"],
            f"exp_avg_sq/{name}": moments["exp_avg_sq"],
        }
    tensors = {name: value.contiguous().cpu() for name, value in tensors.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"step": str(state.step), "seconds": f"{state.seconds:.3f}"})
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def _load_checkpoint(
    path: Path,
    network: UNet2DModel,
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> _Progress:
    with safe_open(path, framework="pt") as stored, torch.no_grad():
        metadata = stored.metadata()
        step = int(metadata["step"])
        for name, parameter in network.named_parameters():
            parameter.copy_(stored.get_tensor(f"weights/{name}"))
            average[name].copy_(stored.get_tensor(f"average/{name}"))
            optimizer.state[parameter] = {
                "step": torch.tensor(float(step), device=parameter.device),
                "exp_avg": torch.empty_like(parameter).copy_(stored.get_tensor(f"exp_avg/{name}")),
                "exp_avg_sq": torch.empty_like(parameter).copy_(stored.get_tensor(f"exp_avg_sq/{name}")),
            }
    return _Progress(step, float(metadata["seconds"]))


def _append_log(path: Path, state: _Progress, loss: float) -> None:
    with path.open("a") as stream:
        stream.write(json.dumps({"step": state.step, "seconds": round(state.seconds, 1), "loss": round(loss, 6)}) + "\n")


def _cut_log(path: Path, step: int) -> None:
    """Drop what a killed run logged after its last checkpoint; those steps are made again."""
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept))


def average_pipeline(
    recipe: TrainingRecipe, average: dict[str, torch.Tensor], num_classes: int, *, device: torch.device | str = "cpu"
) -> FlowMatchingPipeline:
    """The pipeline of the averaged weights, rounded to float16 as they are stored, in float32."""
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline
    from mmmi_hf.flow.scheduler import FlowMatchODEScheduler

    with torch.random.fork_rng(devices=[]):
        network = recipe.network(num_classes)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(average[name].half().float())
    scheduler = FlowMatchODEScheduler(sigma_min=recipe.sigma_min, timestep_scale=recipe.timestep_scale)
    pipeline = FlowMatchingPipeline(network.eval(), scheduler, patch_size=recipe.patch_size)
    return pipeline.to(device)


def draw_samples(
    path: Path,
    recipe: TrainingRecipe,
    average: dict[str, torch.Tensor],
    class_names: tuple[str, ...],
    *,
    device: torch.device | str = "cpu",
    per_class: int = 6,
) -> None:
    """A sheet of samples from the averaged weights, from the same latents each time."""
    from mmmi_hf.flow.sheets import sample_sheet

    pipeline = average_pipeline(recipe, average, len(class_names), device=device)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(recipe.seed)
    latents = torch.randn(len(class_names) * per_class, *recipe.latent_shape, generator=generator).to(device)
    labels = torch.arange(len(class_names), device=device).repeat_interleave(per_class)
    images = pipeline(latents, labels, batch_size=len(class_names)).images.cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    sample_sheet(images.reshape(len(class_names), per_class, *recipe.latent_shape), class_names, path)


def _finish(
    out: Path,
    recipe: TrainingRecipe,
    average: dict[str, torch.Tensor],
    images: LabelledImages,
    state: _Progress,
    world_size: int,
) -> None:
    """Save the pipeline and what its model card needs to know of the training."""
    pipeline = average_pipeline(recipe, average, len(images.class_names))
    pipeline.register_to_config(class_names=list(images.class_names))
    digest = pipeline.digest
    parameters = sum(parameter.numel() for parameter in pipeline.unet.parameters())
    pipeline.to(torch.float16).save_pretrained(out / "pipeline", safe_serialization=True)
    weights = sum(file.stat().st_size for file in (out / "pipeline").rglob("*.safetensors"))
    log = [json.loads(line) for line in (out / LOG).read_text().splitlines()] if (out / LOG).exists() else []
    training = {
        "recipe": dataclasses.asdict(recipe),
        "steps": state.step,
        "images_seen": state.step * recipe.batch_size,
        "num_images": len(images),
        "seconds": round(state.seconds, 1),
        "final_loss": log[-1]["loss"] if log else None,
        "parameters": parameters,
        "weights_bytes": weights,
        "digest": digest,
        "world_size": world_size,
        "class_names": list(images.class_names),
        "versions": {name: installed_version(name) for name in ("torch", "diffusers", "accelerate", "datasets")},
    }
    (out / "training.json").write_text(json.dumps(training, indent=2) + "\n")
