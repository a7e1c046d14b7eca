"""The chunk store: durable, verified, exclusive."""

import json
import subprocess
import sys

import pyarrow as pa
import pytest

from mmmi_hf.dataset.generation.chunks import JOURNAL, ChunkStore, DamagedChunkError, FolderInUseError, remove_chunks

KEY = {"chunk_rows": 4, "seed": 1}


def table(start, rows=4):
    return pa.table({"row": list(range(start, start + rows))})


@pytest.fixture
def filled(tmp_path):
    folder = tmp_path / "chunks"
    with ChunkStore(folder, KEY).locked() as store:
        for index in range(3):
            store.write(index, table(4 * index))
    return folder


def test_what_was_written_is_found_again(filled):
    with ChunkStore(filled, KEY).locked() as store:
        assert store.missing(12) == []
        assert store.missing(14) == [3]
        assert store.read(1).equals(table(4))
    assert ChunkStore.open(filled).read(2).equals(table(8))


def test_a_short_last_chunk_is_made_again_when_more_rows_are_wanted(filled):
    with ChunkStore(filled, KEY).locked() as store:
        store.write(3, table(12, 2))
        assert store.missing(14) == []
        assert store.missing(13) == []
        assert store.missing(16) == [3]


def test_damage_is_found(filled):
    path = filled / "chunk-000001.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    (filled / "chunk-000002.arrow").unlink()
    with ChunkStore(filled, KEY).locked() as store:
        assert store.missing(12) == [1, 2]
    with pytest.raises(DamagedChunkError, match=r"chunk 1 .* is damaged"):
        ChunkStore.open(filled).read(1)


def test_another_key_discards_the_chunks(filled):
    with ChunkStore(filled, {**KEY, "seed": 2}).locked() as store:
        assert store.missing(12) == [0, 1, 2]
    assert not list(filled.glob("chunk-*"))


def test_a_torn_journal_line_costs_one_chunk(filled):
    journal = filled / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-20])
    with ChunkStore(filled, KEY).locked() as store:
        assert store.missing(12) == [2]
        store.write(2, table(8))
    assert ChunkStore.open(filled).missing(12) == []
    assert json.loads(journal.read_text().splitlines()[-1])["chunk"] == 2


def test_lines_of_a_journal_that_are_no_entries_are_passed_over(filled):
    with (filled / JOURNAL).open("a") as stream:
        stream.write('5\n"chunk"\n{"chunk": 1}\n{"chunk": [1], "rows": 2, "sha256": "", "rank": 0, "run": ""}\n')
        stream.write("[" * 100_000 + "\n")
    with ChunkStore(filled, KEY).locked() as store:
        assert store.missing(12) == []


def test_an_older_and_shorter_chunk_is_damaged(tmp_path):
    """A copy that was put back has a digest that the journal knows, and too few rows."""
    folder = tmp_path / "chunks"
    with ChunkStore(folder, KEY).locked() as store:
        store.write(0, table(0).slice(0, 2))
        old = store._path(0).read_bytes()
        store.write(0, table(0))
    ChunkStore.open(folder)._path(0).write_bytes(old)
    store = ChunkStore.open(folder)
    assert store.missing(4) == [0]
    assert store.missing(2) == []
    with pytest.raises(DamagedChunkError, match="chunk 0"):
        store.read(0, 3)


def test_no_partial_file_remains_when_writing_fails(filled, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = ChunkStore.open(filled)
    with pytest.raises(OSError, match="No space left"):
        store.write(3, table(12))
    assert not list(filled.glob(".*partial"))


def test_a_folder_without_chunks(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no chunks"):
        ChunkStore.open(tmp_path)


def test_two_runs_exclude_each_other(filled):
    program = (
        "import sys; from pathlib import Path; from mmmi_hf.dataset.generation.chunks import *\n"
        "try:\n    ChunkStore(Path(sys.argv[1]), {'chunk_rows': 4, 'seed': 1}).locked().__enter__()\n"
        "except FolderInUseError as error: print(error); sys.exit(5)"
    )
    with ChunkStore(filled, KEY).locked():
        other = subprocess.run(
            [sys.executable, "-c", program, str(filled)], capture_output=True, text=True, check=False
        )
    assert other.returncode == 5
    assert "another run is writing" in other.stdout
    assert issubclass(FolderInUseError, RuntimeError)


def joined(folder, run, key, rank=1, then="pass"):
    """Another process that joins the store, as rank 1 of a run; what it prints."""
    program = (
        "import json, sys; from pathlib import Path; from mmmi_hf.dataset.generation.chunks import *\n"
        "try:\n"
        f"    with ChunkStore(Path(sys.argv[1]), {key!r}, rank={rank}).locked({run!r}) as store:\n"
        "        print('in')\n"
        f"        {then}\n"
        "except FolderInUseError as error: print(error)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
    ).stdout


def test_processes_of_one_run_share_what_another_run_may_not_have(filled):
    write = "import pyarrow as pa; store.write(4, pa.table({'row': [16, 17, 18, 19]}))"
    with ChunkStore(filled, KEY).locked("one run") as store:
        assert store.claim(3)
        assert not store.claim(3)
        held = "print(store.claim(3), store.claim(4)); " + write
        assert joined(filled, "one run", KEY, then=held) == "in\nFalse True\n"
        assert store.claim(4)  # the other one is gone
        store.refresh()
        assert store.intact(4, 4)
        store.write(3, table(12))
        store.release(3)
        assert store.rows_by_run(20) == 8
        assert store.rows_by_run(20, others=True) == 4
        assert "another run is writing" in joined(filled, "another run", KEY)
        said = joined(filled, "one run", {**KEY, "seed": 7})
    assert said.startswith("process 1 of this run would make other bytes than process ")
    assert "seed differ; use the same hardware, software and arguments" in said
    assert {path.name for path in filled.glob("journal*")} == {"journal.jsonl", "journal-1.jsonl"}
    with ChunkStore(filled, KEY).locked() as store:  # a later run of one process reads both journals
        assert store.missing(20) == []


def test_a_late_process_notices_that_the_store_is_gone(filled):
    with ChunkStore(filled, KEY).locked("run") as store:
        assert store.alive
        remove_chunks(filled)
        assert not store.alive
        store.refresh()
    assert not filled.exists()
    assert not list(filled.parent.glob(".*removed"))
    remove_chunks(filled)  # nothing to do


def test_a_line_torn_by_a_kill_does_not_swallow_the_next(filled):
    journal = filled / JOURNAL
    with journal.open("a") as stream:
        stream.write('{"chunk": 3, "ro')
    with ChunkStore(filled, KEY).locked() as store:
        store.write(3, table(12))
        assert store.missing(16) == []
    assert ChunkStore.open(filled).missing(16) == []


def test_a_chunk_whose_file_is_gone_is_named(filled, caplog):
    (filled / "chunk-000000.arrow").unlink()
    store = ChunkStore.open(filled)
    with pytest.raises(DamagedChunkError, match=r"chunk 0 .* is gone though a journal has it"):
        store.read(0)
    assert store.missing(12) == [0]
    assert "it is made again" in caplog.text
    assert store.rows_there(12) == 12  # by the journals alone


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_a_flipped_bit_anywhere_in_a_chunk_is_found(filled, chunk):
    path = filled / f"chunk-{chunk:06d}.arrow"
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 40)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(bytes(damaged))
        assert ChunkStore.open(filled).missing(12) == [chunk]
