"""Reading what others made: regular files of bounded size, and nothing else."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mmmi_hf.common.files import UnusableFileError, leaves, read_json, read_regular, replacing, sha256_of


def test_a_regular_file_and_a_link_to_it(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "b", 3) == b"abc"
    assert not leaves(tmp_path, tmp_path / "b")
    assert leaves(tmp_path / "sub", tmp_path / "b")


def test_a_size_is_a_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"abcd")
    with pytest.raises(UnusableFileError, match=r"a has 4 bytes, expected at most 3"):
        read_regular(tmp_path / "a", 3)


def test_a_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"abcd")
    monkeypatch.setattr("mmmi_hf.common.files.check_regular", lambda path, most: None)
    with pytest.raises(UnusableFileError, match="has more than 3 bytes"):
        read_regular(tmp_path / "a", 3)


@pytest.mark.parametrize("read", [read_regular, read_json, sha256_of])
def test_what_never_ends_or_hangs_is_refused(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for path, what in (
            (tmp_path / "pipe", "a pipe"),
            (tmp_path, "a folder"),
            (tmp_path / "socket", "a socket"),
            (Path("/dev/zero"), "a device"),
        ):
            with pytest.raises(UnusableFileError, match=f"is {what}, expected a regular file"):
                read(path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", "1" * 5000])
def test_what_is_no_json(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}')
    assert read_json(path) == {"a": [1]}
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a.json is not valid JSON"):
        read_json(path)


def test_who_may_read_follows_from_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        with replacing(tmp_path / "a") as partial:
            save_file({"x": np.zeros(2)}, partial)  # for its owner alone
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
