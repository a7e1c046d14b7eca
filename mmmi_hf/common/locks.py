"""Whole folders held by one process at a time.

Owns the lock of a folder, which lies on the folder itself and leaves no file in it; a process that dies lets go.
Imports the failures of this room.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmmi_hf.common.failures import FolderInUseError


@contextmanager
def locked_folder(folder: Path, *, refusal: str = "") -> Iterator[None]:
    """Hold a folder that is there.

    Args:
        folder: which.
        refusal: what to say where another process holds it; by default its turn is waited for.

    Raises:
        FolderInUseError: another process holds the folder, and `refusal` was given.
    """
    from filelock import lock_descriptor

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not lock_descriptor(descriptor, blocking=not refusal):
            raise FolderInUseError(refusal)
        yield
    finally:
        os.close(descriptor)
