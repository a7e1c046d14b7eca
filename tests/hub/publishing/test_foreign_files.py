"""What lies in a folder without belonging there: it is named, and never published."""

import os
import shutil
from pathlib import Path

import pytest

from mmmi_hf.dataset.cards.pictures import draw, folder_pictures
from mmmi_hf.dataset.certificate.folder_checks import check_folder
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.hub.client.errors import DamagedFilesError, HubRequestError
from mmmi_hf.hub.loading.load import load
from mmmi_hf.hub.publishing.dataset_content import DatasetContent
from mmmi_hf.hub.publishing.pipeline_content import PipelineContent


@pytest.fixture
def copied(two, tmp_path):
    return shutil.copytree(two, tmp_path / "copy")


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("mine")
    return path


def released(folder, tmp_path, **options):
    """The paths of a release."""
    content = DatasetContent(
        DatasetFolder(folder), None, "org/data", None, tmp_path / "work", measure=False, progress=False, **options
    )
    return [file.path for file in content.files]


@pytest.mark.parametrize("name", [".DS_Store", "._x.parquet", "deep/.DS_Store"])
def test_a_foreign_file_is_named_with_what_to_do(copied, tmp_path, name):
    path = copied / "data/a" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(DamagedFilesError) as error:
        released(copied, tmp_path)
    assert str(error.value).endswith(f"is not published: a: data/a/{name} is not in the manifest; remove it")
    assert check_folder(copied, "b") == []


def test_a_pipe_among_the_data_is_a_foreign_file(copied):
    os.mkfifo(copied / "data/a/pipe")
    assert check_folder(copied, "a") == ["data/a/pipe is not in the manifest; remove it"]


@pytest.mark.parametrize("name", ["manifests/._a.json", "ground_truth/._a.parquet", "data/.DS_Store"])
def test_what_a_file_manager_leaves_in_our_rooms_is_not_ours(copied, tmp_path, name):
    (copied / name).write_text("")
    assert DatasetFolder(copied).configurations() == ["a", "b"]
    assert check_folder(copied, "a") == []
    assert name not in released(copied, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "figures/a/information.png",
        "certificates/a.json",
        "causal_models/a.json",
        "data/a/test-00000-of-00001.parquet",
    ],
)
def test_a_link_out_of_the_folder_is_never_published(copied, tmp_path, secret, name):
    path = copied / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.move(path, secret)
    path.symlink_to(secret)
    with pytest.raises(DamagedFilesError, match=rf"{name} is a link to something outside the folder; remove it"):
        released(copied, tmp_path)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"format": 2}', b'{"format": 9}'])
def test_a_manifest_that_cannot_be_read_is_damage(copied, tmp_path, content):
    (copied / "manifests/a.json").write_bytes(content)
    with pytest.raises(DamagedFilesError, match=r"is not published: .*a\.json") as error:
        released(copied, tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_that_is_only_read_is_published_and_drawn(two, tmp_path, monkeypatch):
    """Its path may hold what patterns give a meaning; nobody may write to it, and nothing is."""
    folder = shutil.copytree(two, tmp_path / "b*[1]?")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    access = os.access
    monkeypatch.setattr(
        "os.access",
        lambda path, mode: access(path, mode) and not (mode & os.W_OK and Path(path).is_relative_to(folder)),
    )
    content = DatasetContent(
        DatasetFolder(folder, reading=True), None, "org/data", None, tmp_path / "work", write=False, progress=False
    )
    assert "data/a/test-00000-of-00001.parquet" in {file.path for file in content.files}
    draw(iter(list(folder_pictures(DatasetFolder(folder, reading=True), "a"))[:1]), tmp_path / "out")
    assert list((tmp_path / "out").glob("*.png"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_link_within_the_folder_is_a_file_like_others(copied, tmp_path):
    path = copied / "data/a/test-00000-of-00001.parquet"
    shutil.move(path, copied / "elsewhere")
    path.symlink_to(copied / "elsewhere")
    assert "data/a/test-00000-of-00001.parquet" in released(copied, tmp_path)


def test_only_pictures_of_ours_are_published(copied, tmp_path, secret):
    place = copied / "figures/a"
    place.mkdir(parents=True)
    (place / "notes.png").symlink_to(secret)
    (place / "mine.png").write_text("mine")
    (place / "tuples.png").mkdir()
    (place / "information.png").write_text("ours")
    assert [path for path in released(copied, tmp_path) if path.startswith("figures")] == ["figures/a/information.png"]


def test_a_pipelines_link_out_of_its_folder(tiny_pipeline, tmp_path, secret):
    folder = tmp_path / "pipeline"
    tiny_pipeline.save_pretrained(folder)
    assert PipelineContent(folder, "org/pipe", None).files
    (folder / "x").mkdir()
    (folder / "x/config.json").symlink_to(secret)
    with pytest.raises(HubRequestError, match=r"x/config.json is a link to something outside the folder"):
        PipelineContent(folder, "org/pipe", None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("manifests/a.json", "a.json is a pipe, expected a regular file"),
        ("certificates/a.json", "is a pipe, expected a regular file"),
        ("ground_truth/a.parquet", "is a pipe, expected a regular file"),
        ("causal_models/a.json", "is missing"),
    ],
)
def test_pipes_do_not_hang(copied, name, says):
    (copied / name).unlink()
    os.mkfifo(copied / name)
    with pytest.raises(DamagedFilesError, match=says):
        load(copied, "a", progress=False)


def test_a_card_that_is_a_pipe(copied):
    (copied / "README.md").unlink()
    os.mkfifo(copied / "README.md")
    assert "README.md is a pipe, expected a regular file" in check_folder(copied, "a")[0]
