"""Pieces of HTML: tables, messages beside a field, pictures with what they show in words.

Owns the escaping: every text that enters a page goes through here. Imports the standard library only.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from html import escape

from mmmi_hf.explorer.surroundings import MOST_TEXT


def wrong(message: str) -> str:
    """What is wrong with a field, below it; nothing for an empty message."""
    return f'<p class="mmmi-wrong" role="alert">{escape(_one_line(message))}</p>' if message else ""


def note(message: str) -> str:
    """A sentence that says what is shown."""
    return f'<p class="mmmi-note">{escape(message)}</p>' if message else ""


def prose(markdown: str) -> str:
    """Paragraphs and lists of plain Markdown."""
    parts = []
    for block in markdown.replace("`", "").split("\n\n"):
        lines = [" ".join(item.split()) for item in f"\n{block}".split("\n- ")]
        parts.append(note(lines[0]) + listed(lines[1:]))
    return "".join(parts)


def listed(items: Sequence[str]) -> str:
    """A list of sentences."""
    return f'<ul class="mmmi-list">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>' if items else ""


def heading(text: str) -> str:
    """A heading within a panel."""
    return f'<h2 class="mmmi-heading">{escape(text)}</h2>'


def code(text: str) -> str:
    """Lines of a program or of data, as they stand."""
    return f'<pre class="mmmi-code" tabindex="0">{escape(text)}</pre>'


def picture(png: bytes, alt: str, caption: str) -> str:
    """A picture inside the page, so that no file is left behind, with what it is below it."""
    data = base64.b64encode(png).decode()
    image = f'<img class="mmmi-picture" alt="{escape(alt)}" src="data:image/png;base64,{data}">'
    return f'<figure class="mmmi-figure">{image}<figcaption>{escape(caption)}</figcaption></figure>'


def sounds(wav: Sequence[tuple[str, bytes]]) -> str:
    """Sounds that play within the page: what each is, and its WAV file."""
    return "".join(
        f'<p class="mmmi-sound"><span>{escape(label)}</span><audio controls preload="metadata" aria-label="'
        f'{escape(label)}" src="data:audio/wav;base64,{base64.b64encode(content).decode()}"></audio></p>'
        for label, content in wav
    )


def pictures(*parts: str, tall: bool = False) -> str:
    """Pictures that stand side by side where there is room, two of them beside the first where it is tall."""
    return f'<div class="mmmi-pictures{" mmmi-tall" if tall else ""}">{"".join(parts)}</div>'


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    right: Collection[int] = (),
) -> str:
    """A table that scrolls within itself; `right` are the columns of numbers; lines of a cell after its first are
    small."""
    look = [' class="mmmi-number"' if column in right else "" for column in range(len(header))]
    head = "".join(f'<th scope="col"{look[n]}>{escape(name)}</th>' for n, name in enumerate(header))
    body = "".join(
        "<tr>" + "".join(f"<td{look[n]}>{_cell(cell)}</td>" for n, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return (
        f'<p class="mmmi-caption">{escape(caption)}</p><div class="mmmi-table" role="region" tabindex="0" aria-label='
        f'"{escape(caption)}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(text: str) -> str:
    first, *more = map(escape, text.split("\n"))
    return first + "".join(f"<small>{line}</small>" for line in more)


def _one_line(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= 2 * MOST_TEXT else f"{text[: 2 * MOST_TEXT]}…"
