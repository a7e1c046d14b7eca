"""What every store promises: put once, read, listed; whatever it is."""

import os

import pytest

from mmmi_hf.dataset.stores.addresses import AddressStore
from mmmi_hf.dataset.stores.local import LocalStore


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.engine)])
def store(request, tmp_path):
    if request.param == "folder":
        (tmp_path / "store/scratch").mkdir(parents=True)
        return LocalStore(tmp_path / "store", tmp_path / "store/scratch")
    start = "memory:/" if request.param == "memory" else request.getfixturevalue("bucket")
    return AddressStore(f"{start}/{tmp_path.name}/")


def test_the_first_one_wins(store):
    assert store.read("a/b.json") is None
    assert store.sha256("a/b.json") is None
    assert store.put_if_absent("a/b.json", b"first")
    assert not store.put_if_absent("a/b.json", b"second")
    assert store.read("a/b.json") == b"first"
    assert store.sha256("a/b.json") == "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
    assert store.list("") == {"a/b.json": 5}


def test_a_local_file_moves_in(store, tmp_path):
    path = (store.partial if isinstance(store, LocalStore) else tmp_path) / "x"
    for content, put in ((b"whole", True), (b"late", False)):
        path.write_bytes(content)
        assert store.put_if_absent("data/x", path) is put
        assert not path.exists()
    assert store.read("data/x") == b"whole"


def test_removal_and_listing(store):
    for name in ("d/1", "d/e/2", "de/3", "f/4"):
        store.put_if_absent(name, b"..")
    store.remove("d/1")
    store.remove("d/1")
    assert store.list("d") == {"d/e/2": 2}  # no neighbour whose name begins alike
    assert store.list("") == {"d/e/2": 2, "de/3": 2, "f/4": 2}
    assert store.list("nowhere") == {}
    assert store.put_if_absent("d/1", b"again")


def test_parts_of_a_file_are_read(store):
    store.put_if_absent("x", bytes(range(256)) * 1000)
    with store.open("x") as stream:
        assert stream.seek(-3, os.SEEK_END) == 255_997
        assert stream.read() == bytes([253, 254, 255])
        stream.seek(256)
        assert stream.read(3) == bytes([0, 1, 2])
        assert stream.tell() == 259
    with pytest.raises(FileNotFoundError):
        store.open("y").read()
