"""The chunk store: durable, verified, exclusive."""

import json
import subprocess
import sys

import pyarrow as pa
import pytest

from mmmi_hf.dataset.chunks import JOURNAL, ChunkStore, DamagedChunkError, FolderInUseError

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
        "import sys; from pathlib import Path; from mmmi_hf.dataset.chunks import *\n"
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
