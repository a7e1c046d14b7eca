"""Stopping a computation that runs in a thread: a flag that is asked before every evaluation of a network.

Owns the flag; whoever starts a thread sets it there. Imports nothing of this room.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextvars import ContextVar
from threading import Event

stop_flag: ContextVar[Event | None] = ContextVar("stop_flag", default=None)


def check_stop() -> None:
    """Raise CancelledError if the flag of this thread is set."""
    flag = stop_flag.get()
    if flag is not None and flag.is_set():
        raise CancelledError("the computation was stopped from outside")
