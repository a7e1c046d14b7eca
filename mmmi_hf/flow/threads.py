"""Threads that run networks side by side.

Owns how many there are and what each may use. On a CPU every operation gets one thread, and as many run at once as
torch has threads: the number of threads of one operation changes the bits of its result, the number of operations at a
time does not, and no operation waits for its slowest thread. On an accelerator one thread feeds it. Knows nothing of
what is computed.

Whoever leaves, by an interrupt for example, waits for one evaluation of a network at most: pipelines ask between
evaluations whether they shall stop. Nothing goes on in the background, where it would undo the settings of a next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

from mmmi_hf.flow.computing.stopping import stop_flag


class CancellingPool(ThreadPoolExecutor):
    """On leaving, work that has not begun is dropped."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


@contextmanager
def network_threads(on_cpu: bool) -> Iterator[tuple[Any, int]]:
    """A pool for networks and how many threads it has.

    On leaving, networks that are running stop, and torch gets its own number of threads back.
    """
    import torch

    before = torch.get_num_threads()
    workers = before if on_cpu else 1
    stop = Event()

    def begin() -> None:
        stop_flag.set(stop)
        if on_cpu:
            torch.set_num_threads(1)

    try:
        with CancellingPool(workers, initializer=begin) as pool:
            try:
                yield pool, workers
            finally:
                stop.set()
    finally:
        torch.set_num_threads(before)
