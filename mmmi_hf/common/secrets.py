"""Calls of the Hub's clients, of which nothing tells a user or token that stands in an address.

Owns what is taken out of log records and of exceptions with all their causes. Imports `terminal.py` of this room.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmmi_hf.common.terminal import without_user

CLIENTS = ("huggingface_hub", "httpx", "httpcore", "datasets", "fsspec", "diffusers")
"""Whose loggers are told to leave users out; httpx2 and httpcore2 begin alike."""


class _WithoutUsers(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (kept := without_user(message)) != message:
            record.msg, record.args = kept, ()
        if record.exc_info and record.exc_info[1] is not None:
            hide_users(record.exc_info[1])
        return True


_FILTER = _WithoutUsers()


@contextmanager
def users_hidden() -> Iterator[None]:
    """Within it, clients log addresses without `user:token@`, and no exception that leaves it holds one."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(CLIENTS):
            logging.getLogger(name).addFilter(_FILTER)
    try:
        yield
    except BaseException as error:
        hide_users(error)
        raise


def hide_users(error: BaseException) -> None:
    """Take users out of what an exception says, and all that it was raised from or during."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(without_user(each) if isinstance(each, str) else each for each in one.args)
        for name, value in vars(one).items():
            if isinstance(value, str):
                setattr(one, name, without_user(value))
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
