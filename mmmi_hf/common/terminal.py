"""What is told to people, on terminals and in logs: nothing moves the cursor, no secret of an address stands in it.

Owns the escaping of what files, folders and servers are called, and the removal of user information from URLs, also in
what the Hub's clients log and raise; which known names a mistyped one may mean; and tables that fit a terminal.
Imports the standard library only.
"""

from __future__ import annotations

import difflib
import logging
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

CLIENTS = ("huggingface_hub", "httpx", "httpcore", "datasets", "fsspec", "diffusers")
"""Whose loggers are told to leave users out; httpx2 and httpcore2 begin alike."""
Row = Sequence[str]
_LIKE, _TELLING = 0.6, 3
"""Twice the letters in common, in order, by the letters of both; letters of a part of a name that say something."""
_GAP = "  "
_LEAST = 8
"""Columns of text are wrapped to this width, or to their longest piece, and no further."""
_PIECES = re.compile(r"[^\s,;/-]*[,;/-]+|[^\s,;/-]+|\s+")
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


def did_you_mean(given: str, known: Iterable[str], otherwise: str) -> str:
    """A question for the nearest of the known names; `otherwise` where none is near.

    >>> did_you_mean("Two-Telescope", ["two-telescopes", "parity"], "see `list`")
    'did you mean two-telescopes?'
    >>> did_you_mean("foo", ["two-telescopes", "parity"], "see `list`")
    'see `list`'
    """
    near = nearest(given, known)
    return f"did you mean {', '.join(near)}?" if near else otherwise


def nearest(given: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Of the known names those that may be meant, the likeliest first; none where nothing is near.

    Capitals, - and _ apart, it is the same name; or those that are one slip away – a letter too many, missing, another,
    two crosswise; or else those that hold what is given, the shortest first, and those with most letters in common.
    """
    text, names = _plain(given), {name: _plain(name) for name in known}
    for surely in (lambda plain: plain == text, lambda plain: _one_slip(text, plain)):
        if found := [name for name, plain in names.items() if surely(plain)]:
            return found[:most]
    holding = sorted((name for name, plain in names.items() if len(text) >= _TELLING and text in plain), key=len)
    likeness = {name: difflib.SequenceMatcher(a=text, b=plain).ratio() for name, plain in names.items()}
    like = sorted((name for name in names if likeness[name] >= _LIKE), key=lambda name: -likeness[name])
    return list(dict.fromkeys([*holding, *like]))[:most]


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _one_slip(given: str, name: str) -> bool:
    start = _shared(given, name)
    given, name = given[start:], name[start:]
    end = _shared(given[::-1], name[::-1])
    given, name = given[: len(given) - end], name[: len(name) - end]
    return max(len(given), len(name)) <= 1 or (len(given) == 2 and given == name[::-1])


def _shared(one: str, other: str) -> int:
    """How many letters two texts begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def table_lines(header: Row, rows: Sequence[Row], *, right: Collection[int] = (), width: int = 80) -> list[str]:
    """A table, its header and a rule on top, in lines of at most `width` characters where words allow it.

    What is too wide is made narrower in this order: headers are wrapped, then columns of text, the widest first; and
    what still does not fit is continued in tables below, each with the first column.

    Args:
        header, rows: cells.
        right: numbers of the columns that are aligned on the right: numbers, which are never wrapped.
        width: characters of a line.

    >>> print(*table_lines(("of", "nats, at least"), [("x1", "0.5")], right=(1,), width=14), sep="\\n")
    of  nats,
           at
        least
    ──  ─────
    x1    0.5
    """
    natural = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if _total(natural) <= width:
        return _drawn(header, rows, natural, right)
    widths = [max(map(len, [*_words(header[i]), *(row[i] for row in rows)])) for i in range(len(header))]
    text = [i for i in range(len(header)) if i not in right]
    least = {i: max([_LEAST, *(len(piece) for row in (header, *rows) for piece in _pieces(row[i]))]) for i in text}
    while _total(widths) > width and (wide := [i for i in text if widths[i] > least[i]]):
        widths[max(wide, key=lambda i: widths[i])] -= 1
    lines: list[str] = []
    for columns in _panels(widths, width):
        lines += [""] if lines else []
        chosen = [[row[i] for i in columns] for row in (header, *rows)]
        aligned = [place for place, i in enumerate(columns) if i in right]
        lines += _drawn(chosen[0], chosen[1:], [widths[i] for i in columns], aligned)
    return lines


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _panels(widths: Sequence[int], width: int) -> list[list[int]]:
    """The columns of each table, the first one in all."""
    panels = [[0]]
    for i in range(1, len(widths)):
        if len(panels[-1]) > 1 and _total([widths[j] for j in (*panels[-1], i)]) > width:
            panels.append([0])
        panels[-1].append(i)
    return panels


def _drawn(header: Row, rows: Sequence[Row], widths: Sequence[int], right: Collection[int]) -> list[str]:
    rule = _GAP.join("─" * width for width in widths)
    top = [_wrapped(cell, width, words=True) for cell, width in zip(header, widths, strict=True)]
    below = [[_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return [*_aligned(top, widths, right), rule, *(line for row in below for line in _aligned(row, widths, right))]


def _aligned(cells: Sequence[list[str]], widths: Sequence[int], right: Collection[int]) -> list[str]:
    lines = []
    for n in range(max(map(len, cells))):
        parts = [cell[n] if n < len(cell) else "" for cell in cells]
        lines.append(
            _GAP.join(
                part.rjust(width) if i in right else part.ljust(width)
                for i, (part, width) in enumerate(zip(parts, widths, strict=True))
            ).rstrip()
        )
    return lines


def _words(text: str) -> list[str]:
    return text.split() or [""]


def _pieces(text: str) -> list[str]:
    return _PIECES.findall(text)


def _wrapped(text: str, width: int, *, words: bool = False) -> list[str]:
    """A cell in lines; broken where its pieces meet, or between words only."""
    if len(text) <= width:
        return [text]
    lines = [""]
    for piece in re.findall(r"\S+|\s+", text) if words else _pieces(text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines]
