"""Generated files: text rendered from what is known elsewhere, written, or checked to be up to date.

Owns the environment of the templates, the difference between what is there and what should be, and the program that
writes or checks. Knows nothing of what the text says.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmmi_hf.common.files import write_text

if TYPE_CHECKING:
    import jinja2


def environment(package: str, filters: Mapping[str, Any] | None = None) -> jinja2.Environment:
    """Of the templates in the folder `templates` of a package; a name that is not given is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters |= filters or {}
    return made


@dataclass(frozen=True)
class Card:
    """A file whose text is generated, and the pictures that it shows.

    Attributes:
        path: of the file.
        render: its text; raises ValueError where it cannot be said.
        pictures: files that must be there too.
        draw: draws those; returns what it wrote.
    """

    path: Path
    render: Callable[[], str]
    pictures: tuple[Path, ...] = ()
    draw: Callable[[], list[Path]] = list

    def write(self) -> Path:
        """Write the text; returns its path."""
        text = self.render()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, text)
        return self.path

    def stale_lines(self) -> list[str]:
        """In what the file differs from what it should be, missing pictures included; empty if in nothing."""
        found = self.path.read_text() if self.path.is_file() else ""
        wanted = self.render()
        there, rendered = str(self.path), f"{self.path} (rendered)"
        difference = list(difflib.unified_diff(found.splitlines(), wanted.splitlines(), there, rendered, lineterm=""))
        if found != wanted and not difference:
            difference = [f"{self.path} differs in its ends of lines"]
        return difference + [f"{one} is missing" for one in self.pictures if not one.is_file()]


def write_or_check(cards: Iterable[Card], *, check: bool, draw: bool = False) -> int:
    """Write cards and say which, or print in what they are stale.

    Args:
        cards: where one of them cannot be said, that is printed on stderr, and the others follow.
        check: write nothing.
        draw: also draw the pictures.

    Returns:
        0 done, 1 a card is stale, 2 a card cannot be made.
    """
    code = 0
    for card in cards:
        try:
            if check:
                lines, stale = card.stale_lines(), 1
            else:
                lines, stale = [str(card.path)], 0
                lines += map(str, card.draw() if draw else [])
                card.write()
        except ValueError as error:
            print(error, file=sys.stderr)
            code = 2
            continue
        if lines:
            print("\n".join(lines), flush=True)
            code = max(code, stale)
    return code
