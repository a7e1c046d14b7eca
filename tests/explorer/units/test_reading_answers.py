"""Datasets on the page, without a browser: which are opened, and what is said of them."""

import shutil

import pytest

from mmmi_hf.explorer.failing import in_a_line
from mmmi_hf.explorer.reading.answers import described, located
from mmmi_hf.explorer.reading.places import Place, read_place
from mmmi_hf.explorer.surroundings import Surroundings
from tests.hub.hub_data import configuration
from tests.support import generate

HERE = Surroundings()
SPACE = Surroundings(public=True, datasets=("org/data@v1.0.0", "org/other"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("read") / "data"
    generate(configuration("a"), root)
    generate(configuration("b", seed=12, mi=0.5), root, certify=False)
    return root


def test_places(tmp_path):
    assert read_place(f" {tmp_path} ", "", HERE) == Place(str(tmp_path))
    assert read_place("org/data", "v1.0.0", HERE) == Place("org/data", "v1.0.0")
    assert read_place("org/data@v1.0.0", "", SPACE) == Place("org/data", "v1.0.0")
    assert read_place("org/other", "", SPACE) == Place("org/other")


@pytest.mark.parametrize(
    ("given", "revision", "where", "said"),
    [
        ("", "", HERE, "is empty"),
        (None, None, HERE, "is empty"),
        ("nothing", "", HERE, "there is no folder"),
        ("s3://bucket/set", "", HERE, "addresses are not opened"),
        ("http://127.0.0.1:1/x", "", HERE, "addresses are not opened"),
        ("x" * 301, "", HERE, "301 characters"),
        (".", "v1.0.0", HERE, "a folder has no revisions"),
        ("/etc", "", SPACE, "opens the datasets of its list alone"),
        ("org/data", "", SPACE, "opens the datasets of its list alone"),
        (["org/other"], "", SPACE, "opens the datasets of its list alone"),
    ],
)
def test_what_is_not_opened(given, revision, where, said):
    with pytest.raises(ValueError, match=said):
        read_place(given, revision, where)


def test_a_folder_is_described(folder):
    place = Place(str(folder))
    root, names, said = located(place)
    assert (names, said) == (["a", "b"], "2 configurations.")
    told = described(place, root, "a")
    assert "60 sampled rows were inverted" in told.certificate
    assert "<td>I(x1;y)</td>" in told.truth
    assert told.pictures.count("<img") == 4
    assert "from datasets import load_dataset" in told.plain
    assert "x1_image" in told.plain or "x1" in told.plain
    assert "No certificate" in described(place, root, "b").certificate
    with pytest.raises(ValueError, match="no such configuration"):
        described(place, root, "../a")


@pytest.fixture
def damaged(folder, tmp_path):
    """A copy of the folder, to be damaged."""
    return shutil.copytree(folder, tmp_path / "damaged")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda at: shutil.copy(at / "causal_models/b.json", at / "causal_models/a.json"), "causal model is another"),
        (lambda at: (at / "certificates/a.json").write_text("[]"), "certificates/a.json is not a certificate of this"),
        (lambda at: (at / "README.md").unlink(), "plain load_dataset cannot read a of"),
        (lambda at: [one.write_bytes(b"") for one in at.glob("data/a/*")], "plain load_dataset cannot read a of"),
    ],
)
def test_a_damaged_configuration_is_refused(damaged, damage, said):
    damage(damaged)
    place = Place(str(damaged))
    root, _, _ = located(place)
    with pytest.raises(ValueError, match=said):
        described(place, root, "a")


def test_a_folder_of_something_else_is_said(tmp_path):
    with pytest.raises(ValueError, match="no dataset of ours"):
        located(Place(str(tmp_path)))


def test_errors_become_a_line():
    assert in_a_line(ValueError("a\n  b")) == "a b"
    assert in_a_line(KeyError("x")) == "it failed: there is no 'x'"
    assert "Traceback" not in in_a_line(TypeError("f() takes 1"))
