"""A short, seeded form of the fuzzer; `python -m tests.fuzz.fuzz` is the long one."""

import pytest

from tests.fuzz.fuzz import KINDS, fuzz

COUNTS = {"dataset": 4, "forgery": 4, "vanishing": 3, "pipeline": 20, "command": 40}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_is_answered(kind):
    for number in range(COUNTS.get(kind, 40)):
        assert fuzz(kind, number, 1) is None, (kind, number)
