"""The folder of a Space: `app.py`, `requirements.txt` with exact versions, `README.md` with its front matter.

Owns what is in it. All of it follows from the package that writes it and from what is offered.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mmmi_hf.common.cards import environment
from mmmi_hf.common.files import write_text
from mmmi_hf.common.places import is_repository, place
from mmmi_hf.common.yaml_files import front_matter

DISTRIBUTION, EXTRA = "mmmi-hf", "explorer"
PYTHON = "3.11"
_LOOKS = {"title": "mmmi-hf explorer", "emoji": "🔭", "colorFrom": "blue", "colorTo": "green"}
_SHORT = "Play with data of known mutual information"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TAGS = ["mutual-information", "multimodal", "flow-matching", "mmmi-hf", "arxiv:2510.21686"]


def write_space(
    folder: Path, repo: str, *, datasets: Sequence[str] = (), wheel: str | os.PathLike[str] | None = None
) -> Path:
    """Write the folder of a Space; returns it.

    Args:
        folder: is made; must not hold anything.
        repo: owner/name of the Space.
        datasets: owner/name or owner/name@revision of the datasets that it offers.
        wheel: of this package, to be put into the Space; by default it is installed from the package index.

    Raises:
        ValueError: a name that is none, a wheel of something else, or the extra `explorer` is not installed.
    """
    for name in datasets:
        if not is_repository(name.partition("@")[0]):
            raise ValueError(f"dataset must be owner/name or owner/name@revision, got {name!r}")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"the folder of a Space must be empty, and {folder} is not; name another")
    file = None if wheel is None else _wheel(wheel)
    folder.mkdir(parents=True, exist_ok=True)
    if file is not None:
        shutil.copyfile(file, folder / file.name)
    templates = environment(__package__)
    head: dict[str, Any] = {
        **_LOOKS,
        "sdk": "gradio",
        "sdk_version": _version("gradio"),
        "python_version": PYTHON,
        "app_file": "app.py",
        "pinned": False,
        "license": "apache-2.0",
        "short_description": _SHORT,
        "tags": _TAGS,
    }
    named = [name.partition("@")[0] for name in datasets]
    head |= {"datasets": named} if named else {}
    card = templates.get_template("README.md.j2").render(front=front_matter(head), datasets=named)
    write_text(folder / "README.md", card)
    write_text(folder / "app.py", templates.get_template("app.py.j2").render(datasets=tuple(datasets)))
    write_text(folder / "requirements.txt", requirements(repo, None if file is None else file.name))
    return folder


def requirements(repo: str, wheel: str | None) -> str:
    """The package and everything that it asks for, at the versions that are installed here."""
    from huggingface_hub.constants import ENDPOINT

    own = f"{DISTRIBUTION}=={metadata.version(DISTRIBUTION)}"
    if wheel is not None:
        own = f"{DISTRIBUTION} @ {ENDPOINT}/spaces/{repo}/resolve/main/{wheel}"
    return "\n".join([own, *(f"{name}=={_version(name)}" for name in _asked_for())]) + "\n"


def _asked_for() -> list[str]:
    """Names of the distributions that the package and its extra ask for."""
    lines = metadata.requires(DISTRIBUTION) or []
    wanted = [line for line in lines if "extra ==" not in line or re.search(rf"extra == ['\"]{EXTRA}['\"]", line)]
    return sorted(name[0] for line in wanted if (name := _NAME.match(line)))


def _version(name: str) -> str:
    """The public version of a distribution, without what its build is called."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        raise ValueError(f"{name} is not installed: pip install '{DISTRIBUTION}[{EXTRA}]'") from None


def _wheel(given: str | os.PathLike[str]) -> Path:
    path = place(given, "wheel")
    start = f"{DISTRIBUTION.replace('-', '_')}-{metadata.version(DISTRIBUTION)}-"
    if not (path.is_file() and path.name.startswith(start) and path.suffix == ".whl"):
        raise ValueError(f"wheel must be a file {start}….whl, as `make wheel` builds it; got {path}")
    return path
