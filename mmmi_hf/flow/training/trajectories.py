"""What a teacher did with its latents: the nodes of its journeys, kept on disk for a student to learn from.

Owns the files and how they are made; knows nothing of students. May import torch, safetensors and the flow's pipeline.

A store is a folder of shards `trajectories-00000.safetensors`, each with `nodes` (n, K + 1, *latent_shape) in
float16 (x_0 … x_K: the latents and the states after each of the teacher's K steps, the last of which are images, or
what sounds are made of) and `labels` (n,) int64. Shard i is a function of (teacher, seed, i) up to the rounding of the
device, so an interrupted making goes on with the shard that is missing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tqdm.auto import tqdm

from mmmi_hf.common.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline

SHARD = 512
DESCRIPTION = "trajectories.json"
_PATH = ("sigma_min", "timestep_scale")


@dataclass(frozen=True)
class Guide:
    """A worse pipeline than the teacher, from which its journeys are led away.

    Attributes:
        pipeline: of the teacher's latents, classes and path, on its device and in its dtype.
        guidance: the velocity is v_guide + guidance · (v_teacher − v_guide) (Karras et al., 2024, arXiv 2406.02507,
            eq. 3); 1 is the teacher's own.
        start: the time from which it is; before, it is the teacher's own.
    """

    pipeline: FlowMatchingPipeline
    guidance: float
    start: float = 0.0

    def check(self, teacher: FlowMatchingPipeline) -> None:
        """ValueError unless both go on the same path from the same latents to ends of the same classes and meaning."""
        told = [
            (
                pipeline.latent_shape,
                pipeline.num_classes,
                pipeline.class_names and tuple(pipeline.class_names),
                *(pipeline.scheduler.config[key] for key in _PATH),
                pipeline.layout.companding and pipeline.layout.defining,
            )
            for pipeline in (teacher, self.pipeline)
        ]
        if told[0] != told[1]:
            raise ValueError(
                f"guide and teacher must have the same latents, classes, {', '.join(_PATH)} and companding, got "
                f"{told[1]} and {told[0]}"
            )


@dataclass(frozen=True)
class Trajectories:
    """All trajectories of a store, in memory.

    Attributes:
        nodes: (n, K + 1, *latent_shape) float16.
        labels: (n,) int64.
        times: K + 1 floats, when the nodes were passed.
    """

    nodes: torch.Tensor
    labels: torch.Tensor
    times: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.labels)


def make_trajectories(
    teacher: FlowMatchingPipeline,
    folder: str | os.PathLike[str],
    *,
    count: int,
    seed: int = 0,
    guide: Guide | None = None,
    batch_size: int = 64,
    bf16: bool = False,
    progress: bool = True,
) -> None:
    """Send `count` latents N(0, I), classes in turn, through the teacher and store the nodes; what is there stays.

    Args:
        teacher: on the device and in the dtype that it shall compute in (float32).
        folder: of the store; new, or that of an earlier making with the same teacher, seed and precision.
        count: at least that many trajectories, in whole shards.
        seed: of the latents.
        guide: what the journeys are led away from.
        batch_size: trajectories per evaluation of the network.
        bf16: evaluate the network in bfloat16 autocast; the steps themselves stay in float32.
        progress: show a progress bar.

    Raises:
        ValueError: the folder holds trajectories of another teacher, guide, seed or precision, or something else, or
            the guide is of another kind than the teacher.
    """
    folder = Path(folder)
    teacher.scheduler.set_timesteps(device=teacher.device)
    times = teacher.scheduler.times
    wanted = {"teacher": teacher.digest, "times": list(times), "seed": seed, "bf16": bf16, "shard": SHARD}
    if guide is not None:
        guide.check(teacher)
        wanted |= {"guide": guide.pipeline.digest, "guidance": guide.guidance}
        wanted |= {"guidance_start": guide.start} if guide.start else {}
    description = folder / DESCRIPTION
    if description.exists():
        if read_json(description) != wanted:
            raise ValueError(
                f"{folder} holds trajectories of another teacher, guide, seed or precision; give another folder"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty and holds no trajectories; give a new folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(description, wanted)
    shards = -(-count // SHARD)
    missing = [index for index in range(shards) if not _shard(folder, index).exists()]
    with tqdm(
        total=shards * SHARD,
        initial=(shards - len(missing)) * SHARD,
        desc="trajectories",
        unit="trajectory",
        disable=not progress,
    ) as bar:
        for index in missing:
            nodes, labels = [], []
            z, shard_labels = _latents(teacher, seed, index)
            for x, y in zip(z.split(batch_size), shard_labels.split(batch_size), strict=True):
                nodes.append(journey(teacher, x, y, guide=guide, bf16=bf16).to("cpu", torch.float16))
                labels.append(y)
                bar.update(len(y))
            path = _shard(folder, index)
            with replacing(path) as partial:
                save_file({"nodes": torch.cat(nodes), "labels": torch.cat(labels)}, partial)


def load_trajectories(folder: str | os.PathLike[str], count: int | None = None) -> Trajectories:
    """Read a store, or the first `count` trajectories of it.

    Raises:
        ValueError: the folder holds no trajectories, or fewer than `count`.
    """
    folder = Path(folder)
    files = sorted(folder.glob("trajectories-*.safetensors"))
    if not files or not (folder / DESCRIPTION).exists():
        raise ValueError(f"{folder} holds no trajectories")
    times = read_json(folder / DESCRIPTION)["times"]
    found = len(files) * SHARD
    if count is not None and found < count:
        raise ValueError(f"{folder} holds {found} trajectories, not {count}; make them first")
    files = files if count is None else files[: -(-count // SHARD)]
    nodes, labels = [], []
    for file in files:
        with safe_open(file, framework="pt") as stored:
            nodes.append(stored.get_tensor("nodes"))
            labels.append(stored.get_tensor("labels"))
    return Trajectories(torch.cat(nodes)[:count], torch.cat(labels)[:count], tuple(times))


def _shard(folder: Path, index: int) -> Path:
    return folder / f"trajectories-{index:05d}.safetensors"


def _latents(teacher: FlowMatchingPipeline, seed: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and labels of a shard, the latents rounded to float16: what is stored is where the journey began."""
    stream = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, index))))
    z = torch.from_numpy(stream.standard_normal((SHARD, *teacher.latent_shape), dtype=np.float32))
    classes = teacher.num_classes or 1
    return z.half().float(), (torch.arange(SHARD) + index * SHARD) % classes


@torch.no_grad()
def journey(
    teacher: FlowMatchingPipeline, z: torch.Tensor, labels: torch.Tensor, *, guide: Guide | None = None, bf16: bool
) -> torch.Tensor:
    """(B, K + 1, …), float32: the states that the teacher passes on its way from latents z (B, …) to its ends.

    `labels` (B,) are ignored by a teacher without classes.
    """
    device = teacher.device
    x, y = z.to(device), None if teacher.num_classes is None else labels.to(device)
    field = teacher.velocity(y)
    away = None if guide is None else guide.pipeline.velocity(y)

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            v = field(x, t).float()
            if guide is None or away is None or t < guide.start:
                return v
            return torch.lerp(away(x, t).float(), v, guide.guidance)

    nodes = [x]
    for k in range(len(teacher.scheduler)):
        nodes.append(teacher.scheduler.step(velocity, k, nodes[-1]))
    return torch.stack(nodes, dim=1)
