"""The errors of the causal room. Imports nothing.

Every message is one line: the argument, what was received, what is right, and the remedy.
"""

from __future__ import annotations


class InvalidModelError(ValueError):
    """Coefficients, shapes or templates that define no causal model."""


class InvalidQueryError(ValueError):
    """Blocks, rows, seeds or latents that a causal model cannot answer about."""


class InfiniteInformationError(ValueError):
    """A query about blocks of which some determine a part of others exactly: its value is infinite or undefined."""
