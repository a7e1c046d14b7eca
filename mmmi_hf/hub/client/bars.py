"""The progress bars of huggingface_hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars


@contextlib.contextmanager
def progress_bars_of_the_client(shown: bool) -> Iterator[None]:
    """Show or hide the upload bars of huggingface_hub."""
    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
