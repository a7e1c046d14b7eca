# ruff: noqa: RUF005 – long lists of words
"""What a fuzzer does to texts, records, files and folders.

Owns the wounds, each a function of something whole and of a generator of chance. Knows nothing of what is asked of the
wounded. `forged` keeps manifests consistent with the data, so that digests say nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NASTY = [
    "~",
    "null",
    "true",
    "''",
    '"1"',
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    ".nan",
    ".inf",
    "-.inf",
    "-1",
    "0",
    "1e308",
    "1e-320",
    "10000000000000000000000000",
    "1_0",
    "0x1f",
    "0o7",
    "!!bool",
    "!!int",
    "!!python/object:os.system",
    "*a",
    "&a",
    "-",
    ":",
    "?",
    "|",
    ">",
    "../../etc/passwd",
    "/dev/zero",
    "hf://x/y",
    "~/x",
    "$HOME",
    "x9",
    "1,2",
    "[1,2]",
    "2026-01-01",
] + ["\x1b[2J", "\u202e", "١٢٣", "9" * 4000, "[" * 300, "\\ud800", "a" * 300, "\n", "  ", "\t", "I(x99999;y)", "é"]
VALUES: list[Any] = [
    None,
    True,
    "",
    "1",
    "x" * 5000,
    "\x1b[2J",
    0,
    -1,
    1,
    2**53,
    10**30,
    0.5,
    1e308,
    [],
    {},
    [[]],
    [1, 2],
]
NAMES = [
    ".DS_Store",
    "a\x1b[2J.json",
    "n\u0303.json",
    "ñ.json",
    "x" * 250,
    "a\nb.json",
    "-.json",
    "a b.json",
    "\u202e.json",
]


def mutated(text: str, draw: random.Random) -> str:
    """A text with a few wounds."""
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randrange(len(text) + 1) for _ in range(2))
        kind = draw.randrange(5)
        if kind == 0:
            text = text[:at] + text[min(to, at + 12) :]
        elif kind == 1:
            text = text[:at] + draw.choice(NASTY) + text[at:]
        elif kind == 2:
            words = text.split(" ")
            words[draw.randrange(len(words))] = draw.choice(NASTY)
            text = " ".join(words)
        elif kind == 3:
            lines = text.splitlines() or [""]
            lines.insert(draw.randrange(len(lines) + 1), draw.choice(lines))
            text = "\n".join(lines)
        else:
            numbers = [i for i, letter in enumerate(text) if letter.isdigit()]
            if numbers:
                i = draw.choice(numbers)
                text = text[:i] + draw.choice(NASTY) + text[i + 1 :]
    return text


def edited(text: str, draw: random.Random) -> str:
    """JSON in which one field, however deep, is something else, gone, renamed or one too many."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return mutated(text, draw)
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            places.append((node, key))
            visit(value)

    visit(content)
    if not places:
        return text
    node, key = draw.choice(places)
    kind = draw.randrange(6)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[draw.choice(["x", f"{key} ", f"_{key}"])] = node.pop(key)
    elif kind == 2 and isinstance(node[key], int | float):
        node[key] = draw.choice([node[key] + 1, node[key] * 2, -node[key], float(node[key])])
    elif kind == 3:
        other, of_other = draw.choice(places)
        node[key] = other[of_other]
    else:
        node[key] = draw.choice(VALUES)
    try:
        return json.dumps(content)
    except (ValueError, RecursionError):  # a place put into itself
        return text


def replaced(path: Path, draw: random.Random) -> None:
    """Something else where a file was."""
    content = path.read_bytes()
    path.unlink()
    kind = draw.randrange(7)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(draw.choice(["/dev/zero", "/dev/urandom", path.name, "/nowhere"]))
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.write_bytes(b"")
    elif kind == 4:
        path.write_bytes(draw.randbytes(300))
    elif kind == 5:
        path.write_bytes(content[: draw.randrange(len(content) + 1)])
    else:
        path.write_text(draw.choice(["[" * 100_000, "{}", "[]", "null", '{"a": NaN}', '"\\ud800"', "1" * 5000]))


def flipped(path: Path, draw: random.Random) -> None:
    """One bit of a file."""
    content = bytearray(path.read_bytes() or b"0")
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def forged(folder: Path, config: str, draw: random.Random) -> str:
    """Other rows or columns in a data file, with digest and size in the manifest; what was done."""
    path = draw.choice(sorted((folder / "data" / config).glob("*.parquet")))
    table = pq.read_table(path)
    name, wound = draw.choice(sorted(_FORGERIES.items()))
    other = wound(table, draw)
    if draw.random() < 0.5:
        other = other.replace_schema_metadata(table.schema.metadata)
    pq.write_table(other, path, row_group_size=draw.choice([1, 5, 1000]), compression=draw.choice(["zstd", "none"]))
    redigested(folder, config)
    return f"{name} in {path.name}"


def redigested(folder: Path, config: str) -> None:
    """Bring the digests and sizes in a manifest up to date, and the digest of the manifest in its certificate."""
    manifest = folder / "manifests" / f"{config}.json"
    content = json.loads(manifest.read_text())
    for entry in content["files"]:
        if not (folder / entry["path"]).is_file():
            continue
        found = (folder / entry["path"]).read_bytes()
        entry |= {"bytes": len(found), "sha256": hashlib.sha256(found).hexdigest()}
    manifest.write_text(json.dumps(content))
    certificate = folder / "certificates" / f"{config}.json"
    if certificate.exists():
        stated = json.loads(certificate.read_text())
        stated["manifest_sha256"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
        certificate.write_text(json.dumps(stated))


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _number(table: pa.Table, draw: random.Random) -> str:
    return draw.choice([name for name in table.schema.names if pa.types.is_floating(table.schema.field(name).type)])


def _changed(value: Any) -> Callable[[pa.Table, random.Random], pa.Table]:
    def wound(table: pa.Table, draw: random.Random) -> pa.Table:
        name = _number(table, draw)
        values = table[name].to_pylist()
        row = draw.randrange(len(values))
        values[row] = value(values[row]) if callable(value) else value
        return _with(table, name, pa.array(values, pa.float64()))

    return wound


def _of_lists(table: pa.Table, draw: random.Random) -> pa.Table:
    """A modality of another shape, type, or with a value missing."""
    values = np.array(table["x1"].combine_chunks().to_pylist(), dtype=object).tolist()
    kind = draw.randrange(4)
    if kind == 0:
        return _with(table, "x1", pa.array([str(each) for each in values]))
    if kind == 1:
        values[0] = None
    elif kind == 2:
        values[0] = values[0] + values[0]
    else:
        values[0] = values[0][:-1]
    return _with(table, "x1", pa.array(values, pa.list_(pa.list_(pa.list_(pa.float32())))))


_FORGERIES: dict[str, Callable[[pa.Table, random.Random], pa.Table]] = {
    "a null": _changed(None),
    "NaN": _changed(float("nan")),
    "infinity": _changed(float("inf")),
    "another number": _changed(lambda value: value + 1e-6),
    "an extra column": lambda table, draw: table.append_column("more", pa.array(range(len(table)))),
    "a missing column": lambda table, draw: table.drop_columns([draw.choice(table.schema.names)]),
    "columns in another order": lambda table, draw: table.select(table.schema.names[::-1]),
    "a column of another name": lambda table, draw: table.rename_columns(["y "] + table.schema.names[1:]),
    "a column twice": lambda table, draw: table.append_column("y", table["y"]),
    "a number as text": lambda table, draw: _with(table, "y", table["y"].cast(pa.string())),
    "a number in less": lambda table, draw: _with(table, "y", table["y"].cast(pa.float32())),
    "rows as large": lambda table, draw: _with(table, "row", table["row"].cast(pa.float64())),
    "rows backwards": lambda table, draw: (
        table.take(list(range(len(table)))[::-1]) if len(table) > 1 else table.slice(1)
    ),
    "a row twice": lambda table, draw: (
        table.take([0] + list(range(len(table) - 1))) if len(table) > 1 else table.slice(1)
    ),
    "one row more": lambda table, draw: pa.concat_tables([table, table.slice(0, 1)]),
    "one row less": lambda table, draw: table.slice(1),
    "no rows": lambda table, draw: table.slice(0, 0),
    "another row number": lambda table, draw: _with(table, "row", pa.array([10**15] * len(table))),
    "lists": _of_lists,
}
