"""Where a pipeline's files come from: bundled with the package, a local folder, or a Hub repository.

Owns the resolution of a name to a folder and the refusal of anything but JSON and safetensors. Knows nothing of what
is in the network. The bundled checkpoints are the folders beside this module, under `pretrained/`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BUNDLED = Path(__file__).parent / "pretrained"
RELEASED = ("cifar10", "fashion-mnist", "fashion-mnist-2")
"""Pipelines that come with the package; a package without some of the weights works with the others."""

INDEX = "model_index.json"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")
# Everything that is ever downloaded: no code, no pickles.
PATTERNS = [INDEX, "*/config.json", "*/scheduler_config.json", "*/*.safetensors", "*/*.safetensors.index.json"]


def bundled_pipelines() -> tuple[str, ...]:
    """Names of the pipelines that come with the package, sorted."""
    if not BUNDLED.is_dir():
        return ()
    return tuple(sorted(path.name for path in BUNDLED.iterdir() if (path / INDEX).is_file()))


def resolve(
    name_or_path_or_repo: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a pipeline; a repository's configuration and safetensors are downloaded first.

    A bundled name wins over a folder of the same name in the working directory ("./name" means the folder).

    Raises:
        ValueError: neither a bundled name, a folder, nor owner/name of a repository; or a revision of something local.
        OSError: the repository or revision cannot be reached.
    """
    name = os.fspath(name_or_path_or_repo)
    local = BUNDLED / name if name in bundled_pipelines() else Path(name)
    if local.is_dir():
        if revision is not None:
            raise ValueError(f"revision must be None for a bundled or local pipeline, got {revision!r} for {name!r}")
        return local
    if not REPOSITORY.fullmatch(name):
        raise ValueError(unknown(name, bundled_pipelines()))
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            name,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            token=token,
            local_files_only=local_files_only,
            allow_patterns=PATTERNS,
        )
    )


def unknown(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is neither one of the known, a folder, nor owner/name."""
    reason = " (this installation comes without its weights)" if name in RELEASED else ""
    remedy = "a pipeline's folder, or its owner/name on the Hub"
    return f"no pipeline {name!r}{reason}: give one of {', '.join(known) or '(none is bundled)'}, {remedy}"


def latent_shape_of(name_or_path_or_repo: str | os.PathLike[str]) -> tuple[int, int, int]:
    """(channels, height, width) of the images that a pipeline makes, read from its files without loading its weights.

    Raises:
        ValueError: no such pipeline, or files that do not describe one.
        OSError: a repository that cannot be reached.
    """
    folder = resolve(name_or_path_or_repo)
    try:
        index = json.loads((folder / INDEX).read_text())
        unet = json.loads((folder / "unet" / "config.json").read_text())
        patch, channels, size = index["patch_size"], unet["in_channels"], unet["sample_size"]
        height, width = (size, size) if isinstance(size, int) else size
        return channels // patch**2, height * patch, width * patch
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} holds no pipeline whose shape can be read ({type(error).__name__}: {error}); "
            "give a folder made by save_pretrained"
        ) from error


def check_folder(folder: Path, class_name: str) -> None:
    """Refuse a folder that is not a pipeline of `class_name` or that has no safetensors weights.

    Raises:
        ValueError: says what is missing.
    """
    index = folder / INDEX
    if not index.is_file():
        raise ValueError(f"{folder} holds no pipeline: {INDEX} is missing; give a folder made by save_pretrained")
    try:
        stored = json.loads(index.read_text())
    except ValueError as error:
        raise ValueError(f"{index} is not valid JSON ({error}); save the pipeline again") from error
    found = stored.get("_class_name") if isinstance(stored, dict) else None
    if found != class_name:
        raise ValueError(f"{folder} holds a {found}, not a {class_name}; give a folder saved by {class_name}")
    if not any((folder / "unet").glob("*.safetensors")):
        raise ValueError(
            f"{folder / 'unet'} holds no *.safetensors weights; pickled weights are never loaded: save them again "
            "with save_pretrained"
        )
