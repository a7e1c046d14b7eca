"""Where a pipeline's files come from: bundled with the package, a local folder, or a Hub repository.

Owns the resolution of a name to a folder and what is ever downloaded: JSON and safetensors. Knows nothing of what is
in the files. The bundled checkpoints are the folders beside this module, under `pretrained/`; what they were trained by
lies under `recipes/`, written from `model_cards/` by `python -m mmmi_hf.cli.cards`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmmi_hf.common.places import is_repository, place
from mmmi_hf.common.terminal import users_hidden

if TYPE_CHECKING:
    from collections.abc import Iterable

BUNDLED = Path(__file__).parent / "pretrained"
RELEASED = ("cifar10", "fashion-mnist", "fashion-mnist-2", "instruments")
"""Pipelines that come with the package; a package without some of the weights works with the others."""

RECIPES = Path(__file__).parent / "recipes"
SettingsKind = Literal["training", "distillation", "classifier"]
INDEX = "model_index.json"
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
    local = BUNDLED / name if name in bundled_pipelines() else place(name, "pipeline")
    if local.is_dir():
        if revision is not None:
            raise ValueError(f"revision must be None for a bundled or local pipeline, got {revision!r} for {name!r}")
        return local
    if not is_repository(name):
        raise ValueError(unknown(name, bundled_pipelines()))
    from huggingface_hub import snapshot_download

    with users_hidden():
        folder = snapshot_download(
            name,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            token=token,
            local_files_only=local_files_only,
            allow_patterns=PATTERNS,
        )
    return Path(folder)


def settings_file(kind: SettingsKind, given: str | os.PathLike[str]) -> Path:
    """The YAML file that is given, or that of a bundled name, which wins over a file ("./name" means the file).

    Raises:
        ValueError: neither; says which names there are.
    """
    bundled = {path.stem: path for path in sorted((RECIPES / kind).glob("*.yaml"))}
    path = place(given, "recipe")
    if os.fspath(given) in bundled:
        return bundled[os.fspath(given)]
    if not path.suffix and not path.exists():
        raise ValueError(f"there is no file {path}; give one (YAML), or the bundled {' or '.join(bundled)}")
    return path


def unknown(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is neither one of the known, a folder, nor owner/name."""
    reason = " (this installation comes without its weights)" if name in RELEASED else ""
    remedy = "a pipeline's folder, or its owner/name on the Hub"
    return f"no pipeline {name!r}{reason}: give one of {', '.join(known) or '(none is bundled)'}, {remedy}"
