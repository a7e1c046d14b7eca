"""A damaged chunk is read once and named once, however often a process asks for it."""

import logging
from collections import Counter

import pytest

from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.generation.chunks import ChunkStore
from mmmi_hf.dataset.generation.launcher import Place
from mmmi_hf.dataset.generation.rows import chunk_key, load_bijections, make_rows
from mmmi_hf.dataset.generation.worker import Maker


def make(config, folder, place=None):
    """Make what is missing, as one process of a run of its own; how many rows that were."""
    bijections = load_bijections(config)
    with ChunkStore(folder, chunk_key(config, bijections)).locked() as store:
        maker = Maker(config, bijections, store, features(config.model), place or Place(), progress=False)
        maker.run()
        assert store.rows_there(config.rows) == config.rows
    return maker.rows_made


@pytest.fixture
def chunks(small_config, tmp_path):
    """Three chunks, of which the second is damaged."""
    make(small_config, tmp_path / "chunks")
    path = tmp_path / "chunks/chunk-000001.arrow"
    content = bytearray(path.read_bytes())
    content[300] ^= 8
    path.write_bytes(bytes(content))
    return tmp_path / "chunks"


@pytest.fixture
def read(chunks, monkeypatch):
    """How often each chunk was read since."""
    counted, original = Counter(), ChunkStore._content

    def content(self, index, rows):
        counted[index] += 1
        return original(self, index, rows)

    monkeypatch.setattr(ChunkStore, "_content", content)
    return counted


@pytest.fixture
def said(chunks, caplog):
    caplog.set_level(logging.WARNING)
    caplog.clear()
    return lambda: [message for message in caplog.messages if "is damaged" in message]


def test_before_the_chunk_is_made_again(small_config, chunks, read, said):
    assert make(small_config, chunks) == 64
    assert read == {0: 1, 1: 1, 2: 1}
    (line,) = said()
    assert "chunk 1 " in line
    assert make(small_config, chunks) == 0
    assert len(said()) == 1


def test_while_another_process_makes_it(small_config, chunks, read, said, monkeypatch):
    claim, polls = ChunkStore.claim, []

    def poll(seconds):
        polls.append(seconds)
        if len(polls) == 3:
            monkeypatch.setattr(ChunkStore, "claim", claim)  # the other process dies

    monkeypatch.setattr(ChunkStore, "claim", lambda self, index: False)
    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.time.sleep", poll)
    assert make(small_config, chunks, Place(0, 2, 0, "run")) == 64
    assert len(polls) == 3
    assert read == {0: 1, 1: 1, 2: 1}
    assert len(said()) == 1


def test_when_another_process_repairs_it_before_the_claim(small_config, chunks, read, said, monkeypatch):
    claim, repaired = ChunkStore.claim, []

    def late(self, index):
        bijections, wanted = load_bijections(small_config), features(small_config.model)
        self.write(index, make_rows(small_config, bijections, self.ranges(small_config.rows)[index], wanted))
        repaired.append(index)
        return claim(self, index)

    monkeypatch.setattr(ChunkStore, "claim", late)
    assert make(small_config, chunks) == 0
    assert repaired == [1]
    assert len(said()) == 1
