"""What is told to people, on terminals and in logs: nothing moves the cursor, no secret of an address stands in it.

Owns the escaping of what files, folders and servers are called, and the removal of user information from URLs, also in
what the Hub's clients log and raise. Imports the standard library only.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CLIENTS = ("huggingface_hub", "httpx", "httpcore", "datasets", "fsspec", "diffusers")
"""Whose loggers are told to leave users out; httpx2 and httpcore2 begin alike."""
_USER = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters, lone surrogates, and what ends a line without looking so."""
_REORDERING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def without_user(text: str) -> str:
    """The same with `user:token@` taken out of every address.

    >>> without_user("cannot reach http://me:secret@hub.example/api")
    'cannot reach http://hub.example/api'
    """
    return _USER.sub("", text)


def printable(text: str) -> str:
    """The same with every control character but line ends written as an escape, and no user information.

    >>> print(printable("a\\x1b[2Kb"))
    a\\x1b[2Kb
    """
    text = without_user(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter == "\n" or not _acts(letter) else _escaped(letter) for letter in text)


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in _HIDDEN or letter in _REORDERING


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


class PrintableStream:
    """A text stream that writes `printable` text to another one, in what that one's encoding has."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(printable(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def isatty(self) -> bool:
        """Always: otherwise printing takes escape sequences out, and with them a part of a name."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


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
