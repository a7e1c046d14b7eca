"""Failures that a message explains in full: the command line prints it as one line and exits with 1.

Owns these exceptions. Imports nothing.
"""

from __future__ import annotations


class Failure(RuntimeError):
    """It failed, though the request was right; the message says why and what to do."""


class FolderInUseError(Failure):
    """Another run is writing to the folder."""


class FolderRemovedError(Failure):
    """The folder was removed while it was written to."""


class DiskFullError(Failure):
    """The disk has no room; what was finished is kept."""
