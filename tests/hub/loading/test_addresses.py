"""Loading from an address: digests checked, files fetched once, rows streamed."""

import fsspec
import pytest

from mmmi_hf.hub import load
from mmmi_hf.hub.client.errors import DamagedFilesError, HubRequestError


@pytest.fixture
def address(two, tmp_path):
    files = fsspec.filesystem("memory")
    files.put(str(two), f"/{tmp_path.name}", recursive=True)
    yield f"memory://{tmp_path.name}"
    files.rm(f"/{tmp_path.name}", recursive=True)


def test_what_is_loaded_is_what_the_folder_has(address, two, tmp_path):
    found = load(address, "a", cache_dir=tmp_path / "cache", progress=False)
    wanted = load(two, "a", cache_dir=tmp_path / "cache", progress=False)
    assert found.verified
    assert found.dataset["train"].with_format("arrow")[:] == wanted.dataset["train"].with_format("arrow")[:]
    assert found.ground_truth["I(x1;y)"] == wanted.ground_truth["I(x1;y)"]
    assert load(f"file://{two}", "b", cache_dir=tmp_path / "cache", progress=False).config == "b"


def test_files_are_fetched_once_and_checked(address, tmp_path, monkeypatch):
    from mmmi_hf.dataset.stores.addresses import AddressStore

    fetched = []
    original = AddressStore.fetch
    monkeypatch.setattr(
        AddressStore, "fetch", lambda self, name, target: (fetched.append(name), original(self, name, target))[1]
    )
    options = {"cache_dir": tmp_path / "cache", "progress": False}
    load(address, "a", split="test", **options)
    load(address, "a", split="test", **options)
    assert fetched == ["data/a/test-00000-of-00001.parquet"]
    load(address, "a", split="test", force_download=True, **options)
    assert len(fetched) == 2
    name = "data/a/train-00000-of-00001.parquet"
    content = bytearray(fsspec.filesystem("memory").cat_file(f"{address}/{name}"))
    content[100] ^= 1
    fsspec.filesystem("memory").pipe_file(f"{address}/{name}", bytes(content))
    with pytest.raises(DamagedFilesError, match=r"train-00000-of-00001.parquet is damaged"):
        load(address, "a", **options)
    fsspec.filesystem("memory").rm_file(f"{address}/{name}")
    with pytest.raises(DamagedFilesError, match=r"train-00000-of-00001.parquet is missing"):
        load(address, "a", **options)


def test_rows_are_streamed(address, two, tmp_path):
    found = load(address, "a", split="train", streaming=True, cache_dir=tmp_path / "cache", progress=False)
    wanted = load(two, "a", split="train", cache_dir=tmp_path / "cache", progress=False)
    assert not found.verified
    assert next(iter(found.dataset))["y"] == wanted.dataset[0]["y"]
    assert found.dataset.features == wanted.dataset.features
    few = load(address, "a", split="train", columns=["y"], streaming=True, cache_dir=tmp_path / "cache", progress=False)
    assert next(iter(few.dataset)) == {"y": wanted.dataset[0]["y"]}


def test_what_cannot_be_loaded(address, tmp_path):
    with pytest.raises(HubRequestError, match="revision must be None for an address"):
        load(address, "a", revision="v1.0.0")
    with pytest.raises(HubRequestError, match="holds no configuration 'c'"):
        load(address, "c", cache_dir=tmp_path, progress=False)
    with pytest.raises(ValueError, match="holds no dataset of ours"):
        load("memory://nowhere", "c", cache_dir=tmp_path, progress=False)
    with pytest.raises(ValueError, match="each file would be a commit"):
        load("hf://datasets/me/mine", "a")
