"""Failures that a message explains in full: the command line prints it as one line and exits with 1.

Owns these exceptions, and the words for those of Python. Imports nothing.
"""

from __future__ import annotations

_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((KeyError,), "there is no {said}"),
    ((IndexError,), "a list in it is too short"),
    ((RecursionError,), "it is nested too deeply"),
    ((OverflowError,), "a number in it is too large"),
    ((AttributeError, TypeError), "a value in it is of another kind than what belongs there"),
)


def in_one_line(error: BaseException, *, most: int | None = None) -> str:
    """What an error says, its breaks of lines and runs of blanks made single blanks; at most so many characters."""
    return " ".join(str(error).split())[:most]


def in_words(error: BaseException) -> str:
    """What foreign content made Python or a library raise, in words for who gave it, in one line.

    Names of classes and what Python says of values of the wrong kind are for who wrote the code.
    """
    said = in_one_line(error)
    if isinstance(error, OSError) and error.strerror:
        said = ": ".join(filter(None, (error.strerror.lower(), error.filename and str(error.filename))))
    words = next((words for kinds, words in _WORDS if isinstance(error, kinds)), "{said}")
    return words.replace("{said}", said) or "it says nothing sensible"


class Failure(RuntimeError):
    """It failed, though the request was right; the message says why and what to do."""


class FolderInUseError(Failure):
    """Another run is writing to the folder."""


class FolderRemovedError(Failure):
    """The folder was removed while it was written to."""


class DiskFullError(Failure):
    """The disk has no room; what was finished is kept."""
