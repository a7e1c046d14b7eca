"""The local store: put once, read, listed; nothing half-written is seen."""

import os

import pytest

from mmmi_hf.dataset.stores.local import LocalStore


@pytest.fixture
def store(tmp_path):
    (tmp_path / "scratch").mkdir()
    return LocalStore(tmp_path, tmp_path / "scratch")


def test_the_first_one_wins(store, tmp_path):
    assert store.read("a/b.json") is None
    assert store.sha256("a/b.json") is None
    assert store.put_if_absent("a/b.json", b"first")
    assert not store.put_if_absent("a/b.json", b"second")
    assert store.read("a/b.json") == b"first"
    assert store.sha256("a/b.json") == "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
    assert store.list("a") == {"a/b.json": 5}
    assert os.listdir(tmp_path / "scratch") == []


def test_a_local_file_moves_in(store, tmp_path):
    for content, put in ((b"whole", True), (b"late", False)):
        path = tmp_path / "scratch/x"
        path.write_bytes(content)
        assert store.put_if_absent("data/x", path) is put
        assert not path.exists()
    assert store.read("data/x") == b"whole"


def test_a_file_system_without_links(store, monkeypatch):
    def refuse(*arguments):
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert store.put_if_absent("x", b"first")
    assert not store.put_if_absent("x", b"second")
    assert store.read("x") == b"first"


def test_removal_and_listing(store):
    for name in ("d/1", "d/e/2", "f/3"):
        store.put_if_absent(name, b"..")
    store.remove("d/1")
    store.remove("d/1")
    assert store.list("d") == {"d/e/2": 2}
    assert store.list("nowhere") == {}


def test_nothing_is_put_where_the_store_is_gone(store, tmp_path):
    (tmp_path / "scratch").rmdir()
    with pytest.raises(FileNotFoundError):
        store.put_if_absent("x", b"")
