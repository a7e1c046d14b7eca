"""Threads that run networks side by side.

Owns how many there are and what each may use. On a CPU every operation gets one thread, and as many run at once as
torch has threads: the number of threads of one operation changes the bits of its result, the number of operations at a
time does not, and no operation waits for its slowest thread. On an accelerator one thread feeds it. Knows nothing of
what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class CancellingPool(ThreadPoolExecutor):
    """On leaving, work that has not begun is dropped."""

    def __exit__(self, *error: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


@contextmanager
def network_threads(on_cpu: bool) -> Iterator[tuple[Any, int]]:
    """A pool for networks and how many threads it has; torch gets its own number of threads back on leaving."""
    import torch

    before = torch.get_num_threads()
    workers = before if on_cpu else 1
    try:
        with CancellingPool(workers, initializer=(lambda: torch.set_num_threads(1)) if on_cpu else None) as pool:
            yield pool, workers
    finally:
        torch.set_num_threads(before)
