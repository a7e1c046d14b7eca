"""A visitor's own file of results: `results.json` or `results.parquet`, as `mmmi-hf benchmark` writes them.

Owns its reading and what it may be. The file is removed once it was read.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from mmmi_hf.explorer.estimators.committed import COLUMNS, Row
from mmmi_hf.explorer.surroundings import MOST_CELLS, MOST_RESULTS_BYTES, MOST_TEXT

_TEXTS, _NUMBERS = ("config", "series", "a", "b", "estimator"), ("truth", "value", "low", "high")
_OPTIONAL = ("value", "low", "high", "error")


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
    return tuple(_checked(number, row) for number, row in enumerate(rows))


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
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as opened:
            if opened.metadata.num_rows > MOST_CELLS:
                raise ResultsError(f"the file has {opened.metadata.num_rows:,} cells; give at most {MOST_CELLS:,}")
            names = [name for name in COLUMNS if name in opened.schema_arrow.names]
            return list(opened.read(columns=names).to_pylist())
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
        if not isinstance(found[name], int) or isinstance(found[name], bool) or found[name] < 0:
            raise ResultsError(f"cell {number}: {name} must be a whole number, 0 or more")
    for name in _NUMBERS:
        value = found[name]
        if value is None and name in _OPTIONAL:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ResultsError(f"cell {number}: {name} must be a finite number")
    if not isinstance(found["null"], bool):
        raise ResultsError(f"cell {number}: null must be true or false")
    return found
