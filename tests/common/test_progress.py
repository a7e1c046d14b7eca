"""Progress on a terminal and elsewhere."""

import contextlib
import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from mmmi_hf.common import progress
from mmmi_hf.common.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_where_stderr_is_not_a_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress_bar("generating x", 2000, initial=500) as bar:
        bar.update(0)
        bar.update(500)
        bar.update(1000)
    lines = stream.getvalue().splitlines()
    assert lines[-1].startswith("generating x: 2,000 of 2,000 rows, ")
    assert lines[-1].endswith("left")
    assert len(lines) == len(set(lines))
    assert not set("\r\x1b") & set(stream.getvalue())


def test_the_rate_counts_the_time_without_progress(monkeypatch):
    stream = io.StringIO()
    now = [1000.0]
    monkeypatch.setattr("sys.stderr", stream)
    with progress_bar("generating x", 100) as bar:
        bar._time = lambda: now[0]
        bar.start_t = bar.last_print_t = now[0]
        for rows in (20, 0, 0, 0, 20, 0, 0, 0):  # one chunk in 24 seconds, asked every six
            now[0] += 6.0
            bar.update(rows)
    assert "40 of 100 rows,  1.05s/row, 01:03 left" in stream.getvalue()


def test_few_lines(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with progress_bar("generating", 1000) as bar:
        for _ in range(1000):
            bar.update(1)
    assert stream.getvalue().count("\n") <= 1


def test_a_bar_on_a_terminal(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress_bar("generating x", 10) as bar:
        bar.update(10)
    assert "\r" in stream.getvalue()
    assert "10/10" in stream.getvalue()


@pytest.mark.parametrize("columns", [80, 100])
def test_a_bar_of_two_processes_stays_in_its_line(monkeypatch, columns):
    """In a terminal of that width: what is wider wraps, and the bar is then drawn again in the next line."""
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    with open(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        name = "decaying-modalities-alpha1.2-beta1.6-cifar10 (2 processes)"
        with progress_bar(f"generating {name}", 10_000_000, initial=9_000_000) as bar:
            bar.update(999_999)
            bar.refresh()
    shown = b""
    with contextlib.suppress(OSError):  # the end, once the other side is closed
        while read := os.read(ours, 1 << 16):
            shown += read
    os.close(ours)
    drawn = [line.strip("\n") for line in shown.decode().split("\r") if line.strip()]
    assert any("9999999/10000000" in line for line in drawn)
    assert max(map(len, drawn)) <= columns
    assert any(line.startswith("generating deca") for line in drawn)


def test_nothing_when_quiet(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with progress_bar("generating x", 10, shown=False) as bar:
        bar.update(10)
    assert stream.getvalue() == ""
