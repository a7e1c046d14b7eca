"""`mmmi-hf figures`: what it draws for configurations, families and folders, its listing, and its refusals."""

import json

import pytest

from tests.support import generate

STORY = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model: {story: common_cause, shape: [1, 4, 4], mi: 0.5}
rows: 20
"""
OF_A_MODEL = ["causal_graph", "information", "templates"]


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text(STORY)
    return path


@pytest.fixture
def folder(story, tmp_path):
    return generate(story, tmp_path / "data").folder


def test_a_yaml_file(run, story, tmp_path):
    code, out, err = run("figures", story, "--out", tmp_path / "pictures", "--quiet")
    assert (code, err) == (0, "")
    files = sorted((tmp_path / "pictures" / "story").iterdir())
    assert [path.name for path in files] == [f"{name}.png" for name in OF_A_MODEL]
    whole = "".join(out.split())  # long paths go on in the next line
    assert all("".join(str(path).split()) in whole for path in files)


def test_a_released_name_in_several_formats_as_json(run, tmp_path):
    code, out, err = run(
        "figures", "independent", "--out", tmp_path, "--format-of-files", "pdf, svg", "--format", "json"
    )
    assert code == 0
    assert "drawing" in err, "the progress bar"
    listed = json.loads(out)
    assert [entry["figure"] for entry in listed] == [name for name in OF_A_MODEL for _ in range(2)]
    assert {entry["subject"] for entry in listed} == {"independent"}
    assert sorted(entry["file"] for entry in listed) == sorted(
        str(path) for path in (tmp_path / "independent").iterdir()
    )


def test_a_family(run, tmp_path):
    code, _, _ = run("figures", "imbalanced-modality", "--out", tmp_path, "-q")
    assert code == 0
    code, out, _ = run("figures", "two-telescopes", "--out", tmp_path, "-q", "--format", "json")
    assert code == 0
    assert [entry["figure"] for entry in json.loads(out)] == ["overview", "gallery"]


def test_a_dataset_folder(run, folder, tmp_path):
    asked = ("figures", folder, "--config", "story", "--out", tmp_path / "pictures", "-q", "--format", "json")
    code, out, _ = run(*asked)
    assert code == 0
    assert [entry["figure"] for entry in json.loads(out)] == [*OF_A_MODEL, "tuples", "pointwise"]
    assert len(list((tmp_path / "pictures" / "story").iterdir())) == 5


def test_refusals(run, folder, story, tmp_path):
    out = tmp_path / "none"
    for arguments, says in (
        (("common-cause-1.1",), "unknown configuration 'common-cause-1.1'"),
        ((tmp_path,), "holds no dataset of ours"),
        ((folder, "--config", "other"), "holds no configuration 'other'; it holds story"),
        ((story, "--config", "story"), "--config goes with a dataset folder"),
        ((story, "--format-of-files", "gif"), "expected some of png, pdf, svg"),
        ((story, "--format-of-files", ","), "is missing"),
        ((tmp_path / "missing.yaml",), "missing.yaml"),
    ):
        code, _, err = run("figures", *arguments, "--out", out, "-q")
        assert code == 2, arguments
        assert says in err
        assert len(err.splitlines()) == 1
    assert not out.exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, err = run("figures", empty, "--out", out, "-q")
    assert (code, "holds no dataset of ours" in err) == (2, True)
