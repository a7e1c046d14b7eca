"""What the metadata say is what the package is: versions, dependencies, and where it is described."""

import ast
import re
import sys
import tomllib

import yaml
from packaging.requirements import Requirement

import mmmi_hf
from tests.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}


def imported(tree):
    hints = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    unseen = {inner for node in hints for inner in ast.walk(node)}
    for node in set(ast.walk(tree)) - unseen:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_every_dependency_is_declared_used_and_pinned():
    declared = {Requirement(line).name for line in PROJECT["dependencies"]}
    # What a bridge imports is in an environment of its own, which pins it.
    files = [path for path in (ROOT / "mmmi_hf").rglob("*.py") if path.parent.name != "bridges"]
    trees = (ast.parse(path.read_text()) for path in files)
    tops = {name.partition(".")[0] for tree in trees for name in imported(tree)}
    used = {DISTRIBUTIONS.get(name, name) for name in tops - sys.stdlib_module_names - {"mmmi_hf"}}
    extras = [line for name, lines in PROJECT["optional-dependencies"].items() if name != "dev" for line in lines]
    assert declared <= used <= declared | {Requirement(line).name for line in extras}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    asked = {
        Requirement(line).name for line in [*PROJECT["dependencies"], *extras, *PROJECT["optional-dependencies"]["dev"]]
    }
    assert asked - pinned == set()


def test_versions_and_titles_agree():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == mmmi_hf.__version__ == str(cited["version"])
    assert PROJECT["license"] == cited["license"]
    assert PROJECT["keywords"] == cited["keywords"]
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## ({re.escape(mmmi_hf.__version__)}\b|Unreleased$)", changes, re.MULTILINE)
