"""What a visitor is told when something fails: a line beside the field, never a traceback.

Imports common/ only.
"""

from __future__ import annotations

from mmmi_hf.common.failures import Failure, in_one_line, in_words


def in_a_line(error: Exception) -> str:
    """An error in words for who asked: the rooms' own say what would be right, others are put into words."""
    if isinstance(error, ValueError | Failure):
        return in_one_line(error) or "it failed and says nothing"
    return f"it failed: {in_words(error)}"
