"""What other rooms have published beside the configurations of a dataset folder.

Owns the type alone, so that they can say what it is without what publishing needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Supplement:
    """What a release has beside its configurations, such as the tier of the benchmark whose data they are.

    Attributes:
        name: of its section of the card.
        version: of the release, unless another is asked for.
        files: path in the repository → content.
        section: repository and tag → text of the section, which stands above the generated part of the card.
    """

    name: str
    version: str
    files: Mapping[str, bytes]
    section: Callable[[str, str], str]
