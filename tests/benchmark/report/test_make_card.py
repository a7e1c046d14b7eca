"""The script that makes the committed card: what it refuses."""

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

SCRIPT = ROOT / "model_cards" / "benchmark" / "make.sh"


def make(*arguments, **variables):
    environment = {**os.environ, "PYTHON": sys.executable, **variables}
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("parts", "variables", "said"),
    [
        (["pictures"], {}, "no part pictures; give latents, the-papers-recipe,"),
        ([], {"TIMES": "2.5"}, "TIMES must be a whole number of at least 1, got 2.5"),
        ([], {"PYTHON": "no-such-python"}, "no no-such-python is there; PYTHON names the interpreter"),
        (["latents"], {"TIMES": "3"}, "was made with TIMES=1; give that, or another folder"),
    ],
)
def test_wrong_requests_are_refused(parts, variables, said, tmp_path):
    (tmp_path / "times").write_text("1\n")
    shown = make(tmp_path, *(parts or ["latents"]), **variables, CARD=str(tmp_path / "card"))
    assert shown.returncode == 2
    assert said in shown.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("results", "card")] == ["times"]


def test_a_folder_is_needed():
    shown = make()
    assert shown.returncode == 2
    assert "give a folder for data and results" in shown.stderr
