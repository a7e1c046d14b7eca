"""A small image classifier: the yardstick for samples of a flow.

Owns the network, its training and its cache on disk. It is trained on real images only, so that it can say how many
samples show the class that was asked for, and its penultimate features are the space of the Fréchet distance and of
precision and recall. May import torch and safetensors; knows nothing of pipelines, reports or cards.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from mmmi_hf.common.files import replacing
from mmmi_hf.common.records import Amount, Count, Positive
from mmmi_hf.common.settings_file import read_settings, settings
from mmmi_hf.flow.bundled import settings_file
from mmmi_hf.flow.training.images import to_float

if TYPE_CHECKING:
    import os

    from jaxtyping import Float

_LAYOUT = 1  # part of the digest; to be raised when network or training change their meaning


@settings
class ClassifierSettings:
    """What a classifier depends on besides its images.

    The learning rate rises over the first fifth of the steps and falls to zero on a cosine. Augmentation: shifts of up
    to `max_shift` pixels (edges reflected) and, if `horizontal_flips`, mirror images.
    """

    widths: tuple[Positive, Positive, Positive] = (32, 64, 128)
    epochs: Positive = 10
    batch_size: Positive = 256
    learning_rate: Annotated[float, Field(gt=0.0)] = 0.2
    momentum: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    weight_decay: Amount = 5e-4
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    max_shift: Count = 2
    horizontal_flips: bool = False
    mixed_precision: bool = True
    seed: Count = 0

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str], *, seed: int = 0) -> ClassifierSettings:
        """Read a file of settings, or bundled ones by their name; `seed` is taken unless they have one.

        See `settings_file` and `read_settings` for errors.
        """
        return read_settings(cls, settings_file("classifier", path), "a classifier", defaults={"seed": seed})


class ImageClassifier(nn.Module):
    """A residual network of three stages behind a pixel-unshuffle; images (n, C, H, W) in [−1, 1], H and W even."""

    def __init__(self, channels: int, num_classes: int, widths: tuple[int, int, int] = (32, 64, 128)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * channels, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
        )
        self.stages = nn.Sequential(
            _Block(widths[0], widths[0], 1), _Block(widths[0], widths[1], 2), _Block(widths[1], widths[2], 2)
        )
        self.head = nn.Linear(widths[2], num_classes)

    def features(self, images: Float[torch.Tensor, "n channels height width"]) -> Float[torch.Tensor, "n d"]:
        """The penultimate layer, (n, widths[2]): the last stage averaged over positions."""
        return self.stages(F.relu(self.stem(images))).mean((2, 3))  # type: ignore[no-any-return]

    def forward(self, images: Float[torch.Tensor, "n channels height width"]) -> Float[torch.Tensor, "n classes"]:
        """Logits, (n, num_classes)."""
        return self.head(self.features(images))  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Two 3 × 3 convolutions with batch normalisation and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def train_classifier(
    images: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    settings: ClassifierSettings | None = None,
    *,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> ImageClassifier:
    """Train a classifier.

    On a given machine the result is a function of images, labels and settings; on a GPU up to rounding.

    Args:
        images: (n, C, H, W), uint8 in 0 … 255 or float in [−1, 1].
        labels: (n,) integers in 0 … num_classes − 1.
        num_classes: number of classes.
        settings: how to train.
        device: where to train; images and labels are copied to it.
        progress: show a progress bar.

    Raises:
        ValueError: images and labels do not go together.
    """
    settings = settings or ClassifierSettings()
    _check(images, labels, num_classes)
    device = torch.device(device)
    images, labels = images.to(device), labels.to(device)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        model = ImageClassifier(images.shape[1], num_classes, settings.widths)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=True,
    )
    per_epoch = -(-len(images) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=max(2, settings.epochs * per_epoch),
        pct_start=0.2,
        cycle_momentum=False,
    )
    draw = torch.Generator().manual_seed(settings.seed)
    model.train()
    with tqdm(total=settings.epochs * per_epoch, desc="classifier", unit="step", disable=not progress) as bar:
        for _ in range(settings.epochs):
            # Equal parts, so that no batch is too small for batch normalisation.
            for rows in torch.randperm(len(images), generator=draw).tensor_split(per_epoch):
                here = rows.to(device)
                batch = _augmented(_as_float(images[here]), settings, draw)
                with torch.autocast(device.type, torch.bfloat16, enabled=settings.mixed_precision):
                    logits = model(batch)
                loss = F.cross_entropy(logits.float(), labels[here], label_smoothing=settings.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
    return model.eval()


def cached_classifier(
    folder: str | os.PathLike[str],
    images: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    settings: ClassifierSettings | None = None,
    *,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> ImageClassifier:
    """`train_classifier`, or the weights that a call with equal images, labels and settings left in `folder`."""
    settings = settings or ClassifierSettings()
    _check(images, labels, num_classes)
    digest = classifier_digest(images, labels, num_classes, settings)
    path = Path(folder) / f"classifier-{digest[:16]}.safetensors"
    if not path.exists():
        model = train_classifier(images, labels, num_classes, settings, device=device, progress=progress)
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        with replacing(path) as partial:
            save_file(tensors, partial, metadata={"digest": digest})
    model = ImageClassifier(images.shape[1], num_classes, settings.widths)
    with safe_open(path, framework="pt") as stored:
        if stored.metadata().get("digest") != digest:
            raise ValueError(f"{path} does not belong to these images and settings; delete it")
        model.load_state_dict({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    return model.to(device).eval()


def classifier_digest(
    images: torch.Tensor, labels: torch.Tensor, num_classes: int, settings: ClassifierSettings
) -> str:
    """SHA-256 over settings, images and labels: the name under which weights are kept."""
    stated = {"layout": _LAYOUT, "classes": num_classes, "shape": list(images.shape), "dtype": str(images.dtype)}
    digest = hashlib.sha256(json.dumps(stated | dataclasses.asdict(settings), sort_keys=True).encode())
    for tensor in (images, labels):
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


@torch.no_grad()
def judge(
    model: ImageClassifier, images: torch.Tensor, *, batch_size: int = 500, description: str = "", progress: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted classes (n,) and float64 features (n, d) of images, uint8 or float in [−1, 1], on the CPU."""
    device = next(model.parameters()).device
    predicted, features = [], []
    with tqdm(total=len(images), desc=description or "classifying", unit="image", disable=not progress) as bar:
        for part in images.split(batch_size):
            found = model.features(_as_float(part).to(device))
            predicted.append(model.head(found).argmax(1).cpu())
            features.append(found.double().cpu())
            bar.update(len(part))
    return torch.cat(predicted), torch.cat(features)


def _check(images: torch.Tensor, labels: torch.Tensor, num_classes: int) -> None:
    if images.ndim != 4 or len(images) < 2 or images.shape[2] % 2 or images.shape[3] % 2:
        raise ValueError(
            f"images must be at least two of shape (n, C, H, W) with H and W even, got shape {tuple(images.shape)}"
        )
    if labels.shape != (len(images),):
        raise ValueError(f"labels must have one entry per image: ({len(images)},), got shape {tuple(labels.shape)}")
    if int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        raise ValueError(
            f"labels must lie in 0 … {num_classes - 1} for num_classes={num_classes}, "
            f"got {int(labels.min())} … {int(labels.max())}"
        )


def _as_float(images: torch.Tensor) -> torch.Tensor:
    return to_float(images) if images.dtype == torch.uint8 else images.to(torch.float32)


def _augmented(images: torch.Tensor, settings: ClassifierSettings, draw: torch.Generator) -> torch.Tensor:
    """Shift every image by its own whole number of pixels, and mirror half of them if asked."""
    n, channels, height, width = images.shape
    shift = settings.max_shift
    padded = F.pad(images, (shift,) * 4, mode="reflect") if shift else images
    moves = torch.randint(0, 2 * shift + 1, (2, n, 1), generator=draw).to(images.device)
    rows = moves[0] + torch.arange(height, device=images.device)
    columns = moves[1] + torch.arange(width, device=images.device)
    if settings.horizontal_flips:
        mirrored = (torch.rand(n, generator=draw) < 0.5).to(images.device)
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    image = torch.arange(n, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
