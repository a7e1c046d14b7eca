"""Paths as users give them: `~` expanded once, and one line for what is no place of this machine."""

import os
from pathlib import Path

import pytest

from mmmi_hf.common.places import PlaceError, folder_to_read, folder_to_write, place


def test_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place("~/d") == tmp_path / "d"
    assert folder_to_write("~/d") == tmp_path / "d"
    assert not (tmp_path / "d").exists()
    assert folder_to_read("~") == tmp_path
    assert place(place("./~d")) == Path.cwd() / "~d"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "out is empty"),
        ("  ", "out is empty"),
        ("hf://datasets/me/x", "got the address 'hf://datasets/me/x'"),
        ("s3://b/x", "the address"),
        ("hf:/datasets", "the address"),
        ("http://me:secret@h/x", "got the address 'http://h/x'"),
        ("q::r", "the address"),
        ("$HOME/d", "variables are not expanded"),
        ("~nobody-of-this-name/d", "no such home folder"),
        ("a" * 300, "cannot be used"),
        ("a/" * 5000, "cannot be used"),
        ("a\0b", "cannot be used"),
        (7, "must be a path, got int"),
        (b"x", "must be a path, got bytes"),
        (type("P", (os.PathLike,), {"__fspath__": lambda self: b"x"})(), "a path of text"),
    ],
)
def test_what_is_no_place(given, says):
    with pytest.raises(PlaceError) as refused:
        place(given, "out")
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value)) < 250
    assert len(str(refused.value).splitlines()) == 1


def test_folders(tmp_path):
    file = tmp_path / "file"
    file.touch()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (file, file / "below", "/dev/null"):
        with pytest.raises(PlaceError, match=r"out must be a folder, and .* is a file"):
            folder_to_write(path)
    for check in (folder_to_read, folder_to_write):
        with pytest.raises(PlaceError, match="too many levels of symbolic links"):
            check(loop)
    with pytest.raises(PlaceError, match=r"folder must be a folder, and .* is a file"):
        folder_to_read(file)
    with pytest.raises(PlaceError, match="there is no folder"):
        folder_to_read(tmp_path / "absent")
    assert folder_to_write(tmp_path / "a[1]") == tmp_path / "a[1]"


@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_a_folder_that_the_kernel_lists(place):
    if not Path(place).is_dir():
        pytest.skip(f"there is no {place}")
    for path in (place, f"{place}/x", f"{place}/x/y"):
        with pytest.raises(PlaceError, match="cannot be written to; name another folder"):
            folder_to_write(path)


def test_memory_without_a_bound_is_a_folder_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"total": 0}))
    assert folder_to_write(tmp_path / "x") == tmp_path / "x"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PlaceError, match="cannot be written to"):
        folder_to_write(tmp_path)
