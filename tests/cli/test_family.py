"""The builder scripts: one per family, with nothing in them but their family's name."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import datasets
import pytest

from mmmi_hf.cli.family import build_family
from mmmi_hf.dataset.releases.registry import get_family, list_families
from tests.support import ROOT

SCRIPTS = sorted((ROOT / "builder_scripts").glob("*.py"))


@pytest.fixture
def run(capsys):
    def call(family, *arguments):
        with pytest.raises(SystemExit) as stopped:
            build_family(family, [str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call


def header(script):
    """The PEP 723 block of a script."""
    lines = script.read_text().splitlines()
    block = lines[lines.index("# /// script") + 1 : lines.index("# ///")]
    return tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in block))


def test_there_is_a_script_for_every_family():
    called = {script.stem: ast.parse(script.read_text()).body[-1].body[0].value for script in SCRIPTS}
    assert {stem: call.args[0].value for stem, call in called.items()} == {
        name.replace("-", "_"): name for name in list_families()
    }


def test_their_headers():
    (torch,) = [line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:7] == "torch=="]
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    for script in SCRIPTS:
        assert header(script) == {
            "requires-python": python,
            "dependencies": ["mmmi-hf"],
            "tool": {
                "uv": {
                    "constraint-dependencies": [torch],
                    "sources": {"mmmi-hf": {"path": "..", "editable": True}},
                }
            },
        }
        assert len(script.read_text().splitlines()) < 30


def test_a_script_runs():
    shown = subprocess.run(
        [sys.executable, ROOT / "builder_scripts/two_telescopes.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(name in shown for name in get_family("two-telescopes").configurations)
    assert "--publish" in shown


def test_a_part_of_a_family(run, tmp_path):
    chosen = "template-ablation-ring", "template-ablation-centre"
    only = [argument for name in chosen for argument in ("--only", name)]
    out = tmp_path / "out"
    code, shown, _ = run("template-ablation", "--out", out, "--rows", 3, "--pipeline", "identity", "--quiet", *only)
    assert code == 0
    assert "[2/2] template-ablation-ring: 3 rows made" in shown
    assert set(datasets.get_dataset_config_names(str(out))) == {*chosen, "ground_truth"}
    _, shown, _ = run("template-ablation", "--out", out, "--rows", 3, "--pipeline", "identity", "--quiet", *only)
    assert "[1/2] template-ablation-centre: complete already" in shown


def test_publishing_when_asked(run, tmp_path, monkeypatch):
    published = []

    def publish(folder, repo, **options):
        published.append((folder, repo, options))
        return SimpleNamespace(tag="v1.0.0")

    monkeypatch.setattr("mmmi_hf.publish", publish, raising=False)
    arguments = ("--out", tmp_path / "out", "--rows", 3, "--pipeline", "identity", "--quiet")
    code, shown, _ = run("independent", *arguments, "--publish", "me/null", "--version", "1.0.0", "--private")
    assert code == 0
    assert "published as me/null v1.0.0" in shown
    options = {"version": "1.0.0", "configs": ["independent"], "private": True, "measure": False, "progress": False}
    assert published == [(tmp_path / "out", "me/null", options)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--out"),
        (("--out", "x", "--only", "nothing"), "'nothing' is no configuration of independent; it has independent"),
        (("--out", "x", "--version", "1.0.0"), "need --publish"),
        (("--out", "x", "--rows", "0"), "rows: got 0"),
    ],
)
def test_wrong_requests_are_one_line_and_exit_code_two(run, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("independent", *arguments)
    assert code == 2
    assert says in err
    assert err.startswith("independent.py: ")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
