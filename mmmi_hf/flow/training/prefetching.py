"""Computing the next items of a sequence in threads while the last one is used.

Owns the order and the number of items kept ready. Imports nothing of this room.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

T = TypeVar("T")
S = TypeVar("S")


def ahead(
    function: Callable[[S], T], arguments: Iterable[S], *, threads: int = 4, ready: int = 8
) -> Generator[T, None, None]:
    """function(a) of every argument, in order; up to `ready` of them are computed before they are asked for.

    An error is raised where its result would have come. Close the generator when it is left early: what has not begun
    is given up.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[Future[T]] = deque()
    try:
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) > ready:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
