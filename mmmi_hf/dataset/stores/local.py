"""A local folder as a store, or one that several machines share.

Owns how a file gets its name there: written elsewhere on the same file system, synced, and linked.
"""

from __future__ import annotations

import os
from io import BufferedReader
from pathlib import Path

from mmmi_hf.common.files import sync, unique
from mmmi_hf.dataset.stores.store import Store


class LocalStore(Store):
    """A local folder, or a folder that several machines share.

    Args:
        folder: where the names are; it must be there.
        partial: a folder on the same file system for what is being written; a kill may leave files in it.
    """

    def __init__(self, folder: Path, partial: Path) -> None:
        self.folder = folder
        self.partial = partial

    def open(self, name: str) -> BufferedReader:
        return (self.folder / name).open("rb")

    def put_if_absent(self, name: str, content: bytes | Path) -> bool:
        if isinstance(content, bytes):
            partial = unique(self.partial)
            partial.write_bytes(content)
        else:
            partial = content
        target = self.folder / name
        try:
            sync(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(partial, target)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        sync(target.parent)
        return True

    def list(self, prefix: str) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self.folder / prefix):
            for name in names:
                path = Path(folder, name)
                try:
                    found[path.relative_to(self.folder).as_posix()] = path.stat().st_size
                except FileNotFoundError:  # removed meanwhile
                    continue
        return found

    def remove(self, name: str) -> None:
        path = self.folder / name
        if path.exists():
            path.unlink(missing_ok=True)
            sync(path.parent)


def _link(source: Path, target: Path) -> None:
    """A second name for a file, unless it is taken: FileExistsError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links; what two put there at once is equal
        if target.exists():
            raise FileExistsError(target) from None
        source.replace(target)
