"""The house as a whole: no circle of imports, small folders and files, nothing done at import."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from graphlib import CycleError, TopologicalSorter

from tests.support import ROOT

KINDS = {"elementwise", "estimators", "families", "kinds"}
"""Folders that hold one file for each member of a kind."""
MOST_FILES, MOST_LINES, MEDIAN_LINES = 12, 500, 150
DEFINING = (
    ast.AnnAssign
    | ast.Assign
    | ast.AsyncFunctionDef
    | ast.AugAssign
    | ast.ClassDef
    | ast.FunctionDef
    | ast.Import
    | ast.ImportFrom
)
"""Statements of a module that define something."""

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "mmmi_hf").rglob("*.py"))
}


TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def imported(tree):
    """Modules of ours that a file imports, wherever in it and for whatever."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_module_imports_itself_by_way_of_others():
    """Imports of functions and of types count too; what a package offers from its modules does not."""
    modules = {name for name, path in FILES.items() if path.name != "__init__.py"}
    graph = {name: set(imported(TREES[name])) & modules for name in modules}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None


def test_folders_are_small_or_hold_one_kind():
    held = Counter(path.parent for path in FILES.values() if path.name != "__init__.py")
    assert {str(each): count for each, count in held.items() if count > MOST_FILES and each.name not in KINDS} == {}


def test_files_are_short():
    lines = {path: len(path.read_text().splitlines()) for path in [*FILES.values(), *(ROOT / "tests").rglob("*.py")]}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}
    own = [lines[path] for path in FILES.values() if path.name != "__init__.py"]
    print(f"{len(own)} files, median {statistics.median(own):.0f} lines, longest {max(own)}")
    assert statistics.median(own) <= MEDIAN_LINES


def test_documents_name_files_that_are_there():
    rooms = "|".join(sorted(path.name for path in (ROOT / "mmmi_hf").iterdir() if path.is_dir()))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(rf"`(?:mmmi_hf/)?((?:{rooms})/[a-z0-9_./]*)`", (ROOT / document).read_text())
        assert [path for path in named if not (ROOT / "mmmi_hf" / path).exists()] == [], document


def test_modules_say_what_they_own():
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_modules_define_and_do_nothing_else():
    """Below the docstring: definitions, imports, and what is only done for types or when run as a program."""
    doing = [
        f"{FILES[name]}:{node.lineno}: {ast.unparse(node)[:80]}"
        for name, tree in TREES.items()
        for node in tree.body
        if not (isinstance(node, DEFINING) or _is_text(node) or _is_conditional(node))
    ]
    assert doing == []


def _is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_conditional(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
