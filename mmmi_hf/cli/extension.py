"""`install-extension`: the command `hf mmmi` of the Hub's own program.

Owns what is put where `hf` looks for extensions: a folder with a manifest that names our program. May import
huggingface_hub, whose folder and form it takes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mmmi_hf.cli.application import app, print_text

NAME = "hf-mmmi"


@app.command("install-extension")
def install_extension() -> None:
    """Make `hf mmmi …` the same as `mmmi-hf …`. `hf extensions remove mmmi` takes it away again."""
    from datetime import UTC, datetime

    from huggingface_hub.cli.extensions import EXTENSIONS_ROOT, ExtensionManifest

    program = _program()
    folder = EXTENSIONS_ROOT.expanduser() / NAME
    ExtensionManifest(  # no owner on GitHub is called so: nothing can ever be fetched in its place
        owner="mmmi_hf",
        repo=NAME,
        repo_id=f"mmmi_hf/{NAME}",
        short_name="mmmi",
        executable_path=str(program),
        type="binary",
        installed_at=datetime.now(UTC),
        description="Multimodal datasets whose mutual information is known.",
    ).save(folder)
    print_text(f"`hf mmmi` now runs {program} (recorded in {folder}).", indent="  ")


def _program() -> Path:
    """The program `hf-mmmi` of this installation.

    Raises:
        ValueError: there is none.
    """
    beside = shutil.which(NAME, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(NAME)
    if found is None:
        raise ValueError(
            f"there is no program {NAME} beside {sys.executable} or on the PATH; install the package first"
        )
    return Path(found).absolute()
