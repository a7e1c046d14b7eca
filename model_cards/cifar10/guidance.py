#!/usr/bin/env python3
"""Choose how far a teacher is led away from its guide: the guidance whose images are nearest to real ones.

    python model_cards/cifar10/guidance.py --dataset data/cifar10 --classifier model_cards/cifar10/classifier.yaml \
        --recipe model_cards/cifar10/student.yaml --teacher runs/cifar10 --guide runs/cifar10-guide \
        --cache runs/evaluation --out runs/distillation.yaml

Samples of every guidance, from the same latents, are judged by the classifier that `evaluate-flow` keeps in --cache:
class accuracy, and the Fréchet distance of its features to those of as many *training* images, so that test images
stay unseen. The smallest distance is chosen and written into the recipe; the table lies in --cache as guidance.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
import yaml

from mmmi_hf.flow.evaluation.classifier import ClassifierSettings, cached_classifier, judge
from mmmi_hf.flow.evaluation.metrics import frechet_distance
from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.training.images import load_images
from mmmi_hf.flow.training.trajectories import Guide, journey

GUIDANCES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5)


def pipeline_of(run: Path, device: torch.device, before: FlowMatchingPipeline | None = None) -> FlowMatchingPipeline:
    """The pipeline of a training's folder, in evaluation mode on a device.

    `before` is another one with the same network: it gets these weights, and what was compiled for it stays.
    """
    pipeline = FlowMatchingPipeline.from_pretrained(str(run / "pipeline")).to(device)
    if before is not None:
        before.unet.load_state_dict(pipeline.unet.state_dict())
        pipeline = before
    pipeline.unet.eval()
    pipeline.scheduler.set_timesteps(device=device)
    return pipeline


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dataset", "classifier"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("recipe", "teacher", "guide", "cache", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--wait-for", type=Path, help="a file that says that teacher and guide are there")
    parser.add_argument("--compile-with", type=Path, nargs=2, help="teacher and guide to compile with while waiting")
    parser.add_argument("--samples", type=int, default=5120)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--cpu", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Print the table, write the recipe."""
    chosen = arguments()
    device = torch.device("cuda" if torch.cuda.is_available() and not chosen.cpu else "cpu")
    chosen.cache.mkdir(parents=True, exist_ok=True)
    recipe = yaml.safe_load(chosen.recipe.read_text())

    images = load_images(chosen.dataset, channels=3, progress=False)
    classes = len(images.class_names)
    settings = ClassifierSettings.from_yaml(chosen.classifier)
    begin = time.monotonic()
    classifier = cached_classifier(
        chosen.cache, images.values, images.labels, classes, settings, device=device, progress=False
    )
    print(f"classifier after {time.monotonic() - begin:.0f} s", flush=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[: chosen.samples]
    real = judge(classifier, images.values[order], progress=False)[1].to(device)
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(chosen.samples) % classes
    networks: list[FlowMatchingPipeline | None] = [None, None]
    if chosen.compile_with is not None:
        networks = []
        for run in chosen.compile_with:
            pipeline = pipeline_of(run, device)
            if recipe["compile"]:
                pipeline.unet.compile()
            z = torch.randn(chosen.batch_size, *pipeline.latent_shape)
            journey(pipeline, z, labels[: chosen.batch_size], bf16=device.type == "cuda")
            networks.append(pipeline)
        print(f"compiled after {time.monotonic() - begin:.0f} s", flush=True)
    while chosen.wait_for is not None and not chosen.wait_for.exists():
        time.sleep(0.2)

    teacher, guide = (
        pipeline_of(run, device, before) for run, before in zip((chosen.teacher, chosen.guide), networks, strict=True)
    )
    z = torch.randn(chosen.samples, *teacher.latent_shape, generator=draw)
    table = []
    for guidance in GUIDANCES:
        led = None if guidance == 1.0 else Guide(guide, guidance, recipe["guidance_start"])
        made, times = [], []
        for start in range(0, len(z), chosen.batch_size):
            here = slice(start, start + chosen.batch_size)
            begin = time.monotonic()
            made.append(journey(teacher, z[here], labels[here], guide=led, bf16=device.type == "cuda")[:, -1].cpu())
            times.append(time.monotonic() - begin)
        predicted, features = judge(classifier, torch.cat(made), progress=False)
        row = {
            "guidance": guidance,
            "accuracy": float((predicted == labels).double().mean()),
            "frechet_distance": frechet_distance(features.to(device), real),
            "seconds_per_journey": sorted(times)[len(times) // 2] / min(chosen.batch_size, len(z)),
        }
        table.append(row)
        print(json.dumps(row), flush=True)
    best = min(table, key=lambda row: row["frechet_distance"])
    result = {
        "samples": chosen.samples,
        "guidance": best["guidance"],
        "seconds_per_journey": table[-1]["seconds_per_journey"],
        "teacher": teacher.digest,
        "guide": guide.digest,
        "table": table,
    }
    (chosen.cache / "guidance.json").write_text(json.dumps(result, indent=2) + "\n")
    recipe |= {"teacher": str(chosen.teacher / "pipeline"), "guide": None, "guidance": best["guidance"]}
    if best["guidance"] == 1.0:
        recipe["guidance_start"] = 0.0
    else:
        recipe["guide"] = str(chosen.guide / "pipeline")
    chosen.out.write_text(yaml.safe_dump(recipe, sort_keys=False))


if __name__ == "__main__":
    main()
