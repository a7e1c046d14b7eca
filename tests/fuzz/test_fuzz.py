"""A short, seeded form of the fuzzer; `python -m tests.fuzz.fuzz` is the long one."""

import contextlib
import os
import time
from pathlib import Path

import pytest

from tests.fuzz.fuzz import KINDS, TooSlowError, fuzz

COUNTS = {"story": 15, "dataset": 4, "forgery": 4, "vanishing": 3, "pipeline": 20, "command": 40}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_is_answered(kind):
    for number in range(COUNTS.get(kind, 40)):
        assert fuzz(kind, number, 1) is None, (kind, number)


def test_an_input_that_hangs_is_found_also_where_the_alarm_is_taken_for_something_else(monkeypatch):
    def hanging(draw, home):
        time.sleep(60)

    def swallowing(draw, home):
        with contextlib.suppress(TooSlowError):
            time.sleep(60)

    for each in (hanging, swallowing):
        monkeypatch.setitem(KINDS, "slow", each)
        assert fuzz("slow", 0, 1, seconds=0.1) == "longer than 0.1 s"


def test_an_input_that_computes_for_too_long_is_found(monkeypatch):
    def computing(draw, home):
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass

    monkeypatch.setitem(KINDS, "computing", computing)
    monkeypatch.setattr("tests.fuzz.fuzz.SECONDS", 0.1)
    assert fuzz("computing", 0, 1, seconds=600.0) == "0 s of the processor"
    monkeypatch.setattr("tests.fuzz.fuzz.SECONDS", 20.0)
    assert fuzz("computing", 0, 1) is None


def test_every_input_has_a_home_of_its_own_and_draws_from_its_number_and_seed_alone(monkeypatch):
    seen = []

    def looking(draw, home):
        seen.append((draw.random(), list(Path().iterdir()), Path("~").expanduser() == home == Path.cwd()))
        Path("left").touch()

    monkeypatch.setitem(KINDS, "looking", looking)
    place, home = Path.cwd(), os.environ.get("HOME")
    assert [fuzz("looking", number, 1) for number in (0, 1, 0)] == [None] * 3
    assert seen[0] == seen[2] == (seen[0][0], [], True)
    assert seen[1][0] != seen[0][0]
    assert (Path.cwd(), os.environ.get("HOME")) == (place, home)
