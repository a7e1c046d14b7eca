"""The script that makes the committed card: what it refuses, and the budget that it prints."""

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

SCRIPT = ROOT / "model_cards" / "benchmark" / "make.sh"


def make(*arguments, **variables):
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **variables}
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("parts", "variables", "said"),
    [
        (
            ["pictures"],
            {},
            "no part pictures; give lite, realism, isolated, levels, fusion, ssl, ssl-images, paper or full",
        ),
        (
            ["--budget", "pictures"],
            {},
            "no part pictures; give lite, realism, isolated, levels, fusion, ssl, ssl-images, paper or full",
        ),
        (["--publish"], {}, "--publish needs the owner of the repositories, a user or an organization of the Hub"),
        (["--publish", "me", "ssl"], {}, "ssl is no tier, so that its data are not published; leave it out"),
        (["--publish", "me"], {}, "no folder"),
        ([], {"WORKERS": "2.5"}, "WORKERS must be a whole number of at least 1, got 2.5"),
        ([], {"PYTHON": "no-such-python"}, "no no-such-python is there; PYTHON names the interpreter"),
    ],
)
def test_wrong_requests_are_refused(parts, variables, said, tmp_path):
    shown = make(tmp_path / "out", *parts, **variables, CARD=str(tmp_path / "card"))
    assert shown.returncode == 2
    assert said in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_data_of_a_tier_is_not_published(tmp_path):
    shown = make(tmp_path, "--publish", "me")
    assert shown.returncode == 2
    assert "has no data of a tier; make them first" in shown.stderr
    shown = make(tmp_path, "--publish", "me", "levels")
    assert shown.returncode == 2
    assert (
        "there is no folder levels/data; give DIR/data after `mmmi-hf benchmark --tier levels --out DIR`"
        in shown.stderr
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_needed():
    shown = make()
    assert shown.returncode == 2
    assert "give a folder for data and results" in shown.stderr


def test_what_it_would_cost_is_printed_and_nothing_made(tmp_path):
    shown = make(tmp_path / "out", "--budget", "fusion", "full", CARD=str(tmp_path / "card"))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("fusion: 300 cells, measured once: 0.06 h\n")
    assert "full: cells × seconds of one core" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("in all")
    assert list(tmp_path.iterdir()) == []
