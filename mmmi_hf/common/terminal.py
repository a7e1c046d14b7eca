"""Text for a terminal: nothing in it moves the cursor, and no secret of an address stands in it.

Owns the escaping of what files, folders and servers are called, and the removal of user information from URLs. Imports
the standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

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
