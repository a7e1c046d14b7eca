"""Finished cells of earlier code are not taken for those of today's: who changes code says whether values change.

`code_revisions.json` holds the revision of every estimator, the format of cells, and a digest of all code that values
rest on, without comments, docstrings and white space: whole files, and of `protocol/plan.py` and `settings.py` the
parts that make values. These are which rows a seed has (committed results name a problem by its seed, not by its rows),
the truth and the series that a cell is judged by (a finished cell keeps them), and what estimator its settings are. How
requests are written, refused and told is left out: the settings that come of them name the cell. After a change of such
code

1. raise `code_revision` of the estimators that give other values for equal rows, settings and seed; where all do, as of
   a change of `pairs.py`, raise `FORMAT` in `protocol/plan.py`;
2. `python -m tests.benchmark.test_code_revisions` writes the record anew;
3. run the tiers anew that have these estimators, and `python -m mmmi_hf.benchmark.tiers.adopt NAME FOLDER`.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import textwrap
import tokenize
from pathlib import Path

import pytest

import mmmi_hf.benchmark
from mmmi_hf.benchmark import Estimator, Measured, list_estimators, make_estimator, register_estimator
from mmmi_hf.benchmark.protocol.cells import CellStore
from mmmi_hf.benchmark.protocol.plan import FORMAT, Cell
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.settings import restored, told_settings

ROOM = Path(mmmi_hf.benchmark.__file__).parent
RECORDED = Path(__file__).with_name("code_revisions.json")
PATTERNS = (
    "estimator.py",
    "labels.py",
    "neighbours.py",
    "pairs.py",
    "estimators/*.py",
    "networks/*.py",
    "isolated/**/*.py",
    "protocol/cells.py",
    "protocol/data.py",
)
PARTS = {
    "protocol/plan.py": ("FORMS", "Plan.cells", "Plan._truth", "Plan._of", "seed_rows", "series_of"),
    "settings.py": ("_OF_CODE", "restored"),
}
"""File → its definitions that values rest on; a method as CLASS.NAME."""


def code_of(source: str) -> str:
    """Source without comments, docstrings and white space."""
    lines = source.splitlines(keepends=True)
    spans = [
        (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            (row, column), (_, end) = token.start, token.end
            line = lines[row - 1]
            spans.append((row, len(line[:column].encode()), row, len(line[:end].encode())))
    encoded = [line.encode() for line in lines]
    for first, column, last, end in sorted(spans, reverse=True):
        encoded[first - 1 : last] = [encoded[first - 1][:column] + encoded[last - 1][end:]] + [b""] * (last - first)
    return "".join(b"".join(encoded).decode().split())


def part_of(source: str, name: str) -> str:
    """The source of a definition at a module's head, or in a class there."""
    found = ast.parse(source)
    for part in name.split("."):
        (found,) = [node for node in found.body if part in _named(node)]
    return textwrap.dedent(" " * found.col_offset + ast.get_source_segment(source, found))


def _named(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef) else []


def today():
    """What the record would be."""
    files = sorted({path for pattern in PATTERNS for path in ROOM.glob(pattern)})
    code = {path.relative_to(ROOM).as_posix(): code_of(path.read_text(encoding="utf-8")) for path in files}
    for file, names in PARTS.items():
        source = (ROOM / file).read_text(encoding="utf-8")
        code |= {f"{file}: {name}": code_of(part_of(source, name)) for name in names}
    ours = [name for name in list_estimators() if estimator_class(name).__module__.startswith("mmmi_hf.")]
    return {
        "format": FORMAT,
        "estimators": {name: estimator_class(name).code_revision for name in ours},
        "files": {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in code.items()},
    }


def test_whoever_changes_what_values_rest_on_says_whether_they_change():
    recorded, found = json.loads(RECORDED.read_text()), today()
    files = {**recorded["files"], **found["files"]}
    changed = [name for name in files if recorded["files"].get(name) != found["files"].get(name)]
    assert not changed, f"{', '.join(changed)} changed; see what to do at the head of {Path(__file__).name}"
    assert found == recorded, f"a revision changed; see what to do at the head of {Path(__file__).name}"


def test_only_code_counts():
    plain = 'def f(x):\n    """Doc."""\n    return "ä # no comment" + x  # ä\n'
    assert code_of(plain) == 'deff(x):return"ä#nocomment"+x'
    assert code_of('"""Module."""\n\n\nA = 1\n"""Of A."""\n') == "A=1"
    assert code_of('class A:\n    """Of\n    two lines."""\n\n    b = 2\n') == "classA:b=2"
    assert code_of(plain.replace("+ x", "+ x + x")) != code_of(plain)


def test_only_the_parts_that_values_rest_on_count():
    source = (
        'A = 1\n\n\nclass B:\n    def c(self):\n        """Doc."""\n        return 2\n\n    def d(self):\n'
        "        return 3\n\n\ndef c():\n    return 4\n"
    )
    assert [code_of(part_of(source, name)) for name in ("A", "B.c", "c")] == [
        "A=1",
        "defc(self):return2",
        "defc():return4",
    ]
    with pytest.raises(ValueError, match="not enough values to unpack"):
        part_of(source, "B.e")


@pytest.mark.usefixtures("forgotten")
def test_a_cell_of_an_earlier_revision_is_computed_anew(tmp_path):
    @register_estimator("revised")
    class Revised(Estimator):
        __module__ = "mmmi_hf.as_if_ours"

        def learn(self, train, validation, seed):
            return []

        def measure(self, test):
            return Measured(1.0)

    store = CellStore(tmp_path)
    first = Cell({"estimator": make_estimator("revised").settings}, 0.0, "")
    assert first.settings["estimator"] == {"estimator": "revised"}, "the cells that there are keep their names"
    store.folder.mkdir()
    store.write(first, {"value": 1.0}, 0.0)
    Revised.code_revision = 2
    second = Cell({"estimator": make_estimator("revised").settings}, 0.0, "")
    assert second.settings["estimator"] == {"estimator": "revised", "code_revision": 2}
    assert store.read(first)["result"] == {"value": 1.0}
    assert store.read(second) is None
    assert restored(first.settings["estimator"]).settings == second.settings["estimator"]
    assert told_settings(second.settings["estimator"]) == []


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(today(), indent=1) + "\n", encoding="utf-8")
