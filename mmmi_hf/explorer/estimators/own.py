"""A visitor's own file of results: `results.json` or `results.parquet`, as `mmmi-hf benchmark` writes them.

Owns its reading and what it may be. The file is removed once it was read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmmi_hf.explorer.estimators.committed import COLUMNS, Row
from mmmi_hf.explorer.surroundings import (
    LARGEST,
    MOST_CELLS,
    MOST_KINDS,
    MOST_RESULTS_BYTES,
    MOST_TEXT,
    MOST_UNPACKED_BYTES,
)

_TEXTS, _NUMBERS = ("config", "series", "a", "b", "estimator"), ("truth", "value", "low", "high")
_OPTIONAL = ("value", "low", "high", "error")
_MOST = {"seed": 2**63 - 1, "n": int(LARGEST)}


class ResultsError(ValueError):
    """A file that is none of results: says what it is and what would be right."""


def read_results(path: Path) -> tuple[Row, ...]:
    """The cells of a file that was uploaded.

    Raises:
        ResultsError: it is none, or a cell of it cannot be used.
    """
    try:
        if path.stat().st_size > MOST_RESULTS_BYTES:
            raise ResultsError(f"the file has more than {MOST_RESULTS_BYTES // 2**20} MiB; give the results alone")
        rows = _parquet(path) if path.suffix == ".parquet" else _json(path)
    finally:
        path.unlink(missing_ok=True)
    if not rows:
        raise ResultsError("the file has no cells; give results.json or results.parquet of `mmmi-hf benchmark`")
    if len(rows) > MOST_CELLS:
        raise ResultsError(f"the file has {len(rows):,} cells; give at most {MOST_CELLS:,}")
    found = tuple(_checked(number, row) for number, row in enumerate(rows))
    kinds = len({(row["series"], row["a"], row["b"], row["n"]) for row in found})
    if kinds > MOST_KINDS:
        raise ResultsError(f"the file has {kinds:,} kinds of data; give at most {MOST_KINDS}")
    return found


def _json(path: Path) -> list[Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ResultsError(
            "the file is no JSON; give results.json or results.parquet of `mmmi-hf benchmark`"
        ) from error
    if not isinstance(found, list):
        raise ResultsError("the file holds no list of cells; give results.json of `mmmi-hf benchmark`")
    return found


def _parquet(path: Path) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as opened:
            groups = [opened.metadata.row_group(n) for n in range(opened.metadata.num_row_groups)]
            if sum(group.total_byte_size for group in groups) > MOST_UNPACKED_BYTES:
                raise ResultsError(f"the file has more than {MOST_UNPACKED_BYTES // 2**20} MiB when it is unpacked")
            if opened.metadata.num_rows > MOST_CELLS:
                raise ResultsError(f"the file has {opened.metadata.num_rows:,} cells; give at most {MOST_CELLS:,}")
            names = [name for name in COLUMNS if name in opened.schema_arrow.names]
            types = {name: opened.schema_arrow.field(name).type for name in names}
        texts = [name for name, kind in types.items() if not pa.types.is_primitive(kind) and not pa.types.is_null(kind)]
        for name in texts:
            if not pa.types.is_string(getattr(types[name], "value_type", types[name])) or types[name].num_fields:
                raise ResultsError(
                    f"{name} is neither a text nor a number; give results.parquet of `mmmi-hf benchmark`"
                )
        # A long text may stand once in a file, and in every row of it: texts stay where they are until it is known.
        with pq.ParquetFile(path, read_dictionary=texts) as opened:
            table = opened.read(columns=names)
        for name in texts:
            lengths = [pc.max(pc.utf8_length(chunk.dictionary)).as_py() or 0 for chunk in table.column(name).chunks]
            if max(lengths, default=0) > MOST_TEXT:
                raise ResultsError(f"{name} must be a text of at most {MOST_TEXT} characters in every cell")
        return list(table.to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise ResultsError("the file is no Parquet; give results.parquet of `mmmi-hf benchmark`") from error


def _checked(number: int, row: Any) -> Row:
    """A cell with the columns that are shown."""
    if not isinstance(row, dict):
        raise ResultsError(f"cell {number} is no mapping; give results.json of `mmmi-hf benchmark`")
    missing = [name for name in COLUMNS if name not in row and name not in _OPTIONAL]
    if missing:
        raise ResultsError(f"cell {number} lacks {', '.join(missing)}; give results.json of `mmmi-hf benchmark`")
    found: dict[str, Any] = {name: row.get(name) for name in COLUMNS}
    for name in _TEXTS:
        if not isinstance(found[name], str) or len(found[name]) > MOST_TEXT:
            raise ResultsError(f"cell {number}: {name} must be a text of at most {MOST_TEXT} characters")
    for name in ("seed", "n"):
        if not isinstance(found[name], int) or isinstance(found[name], bool) or not 0 <= found[name] <= _MOST[name]:
            raise ResultsError(f"cell {number}: {name} must be a whole number from 0 to {_MOST[name]:,}")
    for name in _NUMBERS:
        value = found[name]
        if value is None and name in _OPTIONAL:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise ResultsError(f"cell {number}: {name} must be a number of size {LARGEST:,.0f} at most")
    ends = [found[name] for name in ("low", "value", "high") if found[name] is not None]
    if ends != sorted(ends):
        raise ResultsError(f"cell {number}: value must lie between low and high")
    if found["error"] is not None and not isinstance(found["error"], str):
        raise ResultsError(f"cell {number}: error must be a text, or null")
    if not isinstance(found["null"], bool):
        raise ResultsError(f"cell {number}: null must be true or false")
    return found
