"""Which blocks the README has, and that a program runs them as a user would."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme.run_blocks import DOCUMENTS, RUN, BlockFailedError, blocks_of, run_documents

PYTHON = Path(sys.executable)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_is_run_kept_or_left_out_with_a_reason(document):
    blocks = blocks_of(document)
    left_out = [block.reason for block in blocks if block.reason is not None]
    assert all(left_out)
    assert len([reason for reason in left_out if "a test " not in reason]) <= 3  # what a test carries out is tried too
    assert len([block for block in blocks if block.kind in RUN]) > len(left_out)
    assert [block.place for block in blocks if block.kind == "yaml" and block.file is None] == []


def test_blocks_are_read_as_they_stand(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```sh\na=1\n```\n<!-- not run: no GPU -->\n```python\nb\n```\n```yaml\n# c.yaml\n```\n")
    first, second, third = blocks_of(page)
    assert (first.place, first.kind, first.text, first.reason) == ("page.md:3", "sh", "a=1\n", None)
    assert (second.place, second.reason, second.file) == ("page.md:7", "no GPU", None)
    assert third.file == "c.yaml"
    page.write_text("```\nwhat?\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:1: a block in '' is neither run nor shown"):
        blocks_of(page)
    page.write_text("```sh\nopen\n")
    with pytest.raises(ValueError, match="a fence that this program does not understand"):
        blocks_of(page)


def test_blocks_share_a_folder_and_a_shell(tmp_path, capfd):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nWORD=heard\n```\n```python\n# said.py\nWORD = 'said'\n```\n"
        "```sh\npwd > where; echo $WORD\n```\n"
        "```python\nimport said\n\nprint(said.WORD, open('where').read()[-6:])\n```\n"
    )
    run_documents([page], PYTHON)
    shown = capfd.readouterr().out
    assert "\n  heard\n" in shown
    assert "\n  said /here\n" in shown
    assert "4 blocks, all as printed" in shown


@pytest.mark.parametrize(
    ("block", "says"), [("false", "failed with exit code 1"), ("printf '%090d\\n' 0", "prints more than 80 columns")]
)
def test_what_does_not_work_is_said(tmp_path, block, says):
    page = tmp_path / "page.md"
    page.write_text(f"```sh\n{block}\n```\n")
    with pytest.raises(BlockFailedError, match=rf"page\.md:1 {says}"):
        run_documents([page], PYTHON)


def test_a_shell_completes_commands(tmp_path):
    """What `mmmi-hf --install-completion` puts into a shell's settings is asked so."""
    program = shutil.which("mmmi-hf", path=str(PYTHON.parent))
    if program is None:
        pytest.skip("the program is not installed")
    asked = {"_MMMI_HF_COMPLETE": "complete_bash", "COMP_WORDS": "mmmi-hf gen", "COMP_CWORD": "1"}

    def printed(*arguments, **variables):
        env = os.environ | {"HOME": str(tmp_path)} | variables
        command = ["bash", "-c", '"$0" "$@"; exit $?', program, *arguments]  # the shell is found among the ancestors
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout

    assert printed(**asked).split() == ["generate", "generate-family"]
    assert printed("--install-completion", "bash").startswith("bash completion installed in")
