"""`mmmi-hf verify` and `generate --no-certify`: output and exit codes."""

import json

import pytest

from mmmi_hf.cli import main

STORY = """
rows: 100
seed: 1
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model: {story: common_cause, shape: [1, 8, 8], mi: 1.0}
"""


@pytest.fixture
def folder(tmp_path, capsys):
    (tmp_path / "story.yaml").write_text(STORY)
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "generate",
                str(tmp_path / "story.yaml"),
                "--out",
                str(tmp_path / "out"),
                "--no-certify",
                "--no-figures",
                "--quiet",
            ]
        )
    assert exit_.value.code == 0
    capsys.readouterr()
    return tmp_path / "out"


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main([str(each) for each in arguments])
    return exit_.value.code


def test_verify_measures_writes_and_says_so(folder, capsys):
    assert "**Not measured** yet: `story`." in (folder / "README.md").read_text()
    assert run("verify", folder, "--no-write", "--quiet") == 0
    assert not (folder / "certificates").exists()
    assert run("verify", folder, "--quiet") == 0
    shown = capsys.readouterr().out
    assert "story: valid" in shown
    assert "I(x1;x2)" in shown
    assert "Certificate: certificates/story.json" in shown
    assert run("verify", folder, "--quiet", "--format", "json") == 0
    record = json.loads(capsys.readouterr().out)["story"]
    assert record["valid"]
    assert record["written"]


def test_verify_refuses_with_the_reason(folder, capsys):
    path = next((folder / "data/story").glob("test*"))
    path.write_bytes(path.read_bytes()[:-1])
    assert run("verify", folder, "--quiet") == 1
    shown = capsys.readouterr().out
    assert "story: REFUSED" in shown
    assert "differs from the manifest" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--config", "other"), "it holds story"),
        (("--rows", "0"), "rows is 0"),
        (("--pipeline", "none"), "no pipeline"),
    ],
)
def test_wrong_requests(folder, capsys, arguments, words):
    assert run("verify", folder, "--quiet", *arguments) == 2
    assert words in capsys.readouterr().err


def test_no_dataset(tmp_path, capsys):
    assert run("verify", tmp_path) == 2
    assert "holds no dataset of ours" in capsys.readouterr().err
