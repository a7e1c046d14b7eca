"""What the local store has of its own: no links, no rests, no folder. What all stores promise: test_contract.py."""

import os

import pytest

from mmmi_hf.dataset.stores.local import LocalStore


@pytest.fixture
def store(tmp_path):
    (tmp_path / "scratch").mkdir()
    return LocalStore(tmp_path, tmp_path / "scratch")


def test_nothing_is_left_where_it_was_written(store, tmp_path):
    for put in (True, False):
        assert store.put_if_absent("a/b.json", b"content") is put
        assert os.listdir(tmp_path / "scratch") == []


def test_a_file_system_without_links(store, monkeypatch):
    def refuse(*arguments):
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert store.put_if_absent("x", b"first")
    assert not store.put_if_absent("x", b"second")
    assert store.read("x") == b"first"


def test_nothing_is_put_where_the_store_is_gone(store, tmp_path):
    (tmp_path / "scratch").rmdir()
    with pytest.raises(FileNotFoundError):
        store.put_if_absent("x", b"")
