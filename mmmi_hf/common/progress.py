"""Progress over all processes of a run: a bar on a terminal, plain lines elsewhere.

Owns how progress looks. Imports no other module of this room.
"""

from __future__ import annotations

import shutil
import sys
from typing import Any, TextIO

from tqdm.auto import tqdm
from tqdm.std import tqdm as terminal_tqdm

SECONDS_BETWEEN_LINES = 5.0
_LEAST, _NUMBERS = 16, 56
"""Characters that a description may have in any case, and those of the numbers beside it."""
_LINE = "{desc}: {n:,.0f} of {total:,} {unit}s, {rate_fmt}, {remaining} left"


def progress_bar(description: str, total: int, *, initial: float = 0, unit: str = "row", shown: bool = True) -> Any:
    """A tqdm bar on stderr; where stderr is not a terminal, a plain line at once and then every few seconds.

    Args:
        description, total, initial, unit: as tqdm has them.
        shown: False for no output at all.
    """
    room = max(_LEAST, shutil.get_terminal_size().columns - _NUMBERS)
    settings: dict[str, Any] = {
        "desc": description if len(description) <= room else f"{description[: room - 1]}…",
        "total": total,
        "initial": initial,
        "unit": unit,
        "disable": not shown,
        "smoothing": 0.0,  # of the whole run: a smoothed rate leaves out the time in which nothing was finished
    }
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return tqdm(**settings, dynamic_ncols=True)
    if shown:
        print(f"{description}: {initial:,.0f} of {total:,} {unit}s", file=sys.stderr)
    return terminal_tqdm(
        **settings | {"desc": description},
        file=_Lines(sys.stderr),
        bar_format=_LINE,
        mininterval=SECONDS_BETWEEN_LINES,
        miniters=0,
        delay=1e-6,
    )


class _Lines:
    """Turns what tqdm draws over and over in one place into lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line and line != self._last:
            self._last = line
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()
