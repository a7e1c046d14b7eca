"""Folders held by one process at a time."""

import multiprocessing
import time

import pytest

from mmmi_hf.common.locks import FolderInUseError, locked_folder


def test_a_folder_is_held_once_and_nothing_is_left_in_it(tmp_path):
    with locked_folder(tmp_path), pytest.raises(FolderInUseError, match="somebody is here"):
        locked_folder(tmp_path, refusal="somebody is here").__enter__()
    with locked_folder(tmp_path, refusal="somebody is here"):
        assert list(tmp_path.iterdir()) == []


def holding(folder, held):
    with locked_folder(folder):
        held.set()
        time.sleep(0.3)


def test_others_wait_their_turn(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    other = context.Process(target=holding, args=(tmp_path, held))
    other.start()
    assert held.wait(30)
    begin = time.monotonic()
    with locked_folder(tmp_path):
        assert time.monotonic() - begin > 0.1
    other.join()
