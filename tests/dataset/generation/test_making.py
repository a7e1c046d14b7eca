"""Making chunks: threads, damage, failures, and what a process does beside others."""

import logging

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from mmmi_hf.dataset import assembly as generation
from mmmi_hf.dataset.assembly import generate
from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.generation import packing
from mmmi_hf.dataset.generation.chunks import ChunkStore, DamagedChunkError
from mmmi_hf.dataset.generation.launcher import Place
from mmmi_hf.dataset.generation.rows import chunk_key, class_labels, images_of, load_bijections, make_rows, prepare
from mmmi_hf.dataset.generation.worker import Maker


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def flip(path, position):
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 8
    path.write_bytes(bytes(damaged))


def test_chunks_are_what_make_rows_makes(small_config, tmp_path):
    wanted, bijections = features(small_config.model), load_bijections(small_config)
    store = ChunkStore(tmp_path / "chunks", chunk_key(small_config, bijections))
    with store.locked():
        maker = Maker(small_config, bijections, store, wanted, Place(), progress=False)
        maker.run()
        for index, rows in store.ranges(150).items():
            assert store.read(index).equals(make_rows(small_config, bijections, rows, wanted))
    assert maker.rows_made == 150
    assert 0 < maker.network_fraction <= 1


def test_operations_run_on_one_thread_and_the_setting_is_restored(small_config, tmp_path, monkeypatch):
    seen = []

    def watched(*arguments):
        seen.append(torch.get_num_threads())
        seen.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return images_of(*arguments)

    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        generate(small_config, tmp_path / "out", progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


def test_the_padding_of_a_micro_batch_is_the_next_rows(small_config):
    short, whole = prepare(small_config, range(64, 70)), prepare(small_config, range(64, 96))
    np.testing.assert_array_equal(short.latents["x1"], whole.latents["x1"])
    np.testing.assert_array_equal(short.columns["y"], whole.columns["y"][:6])
    assert class_labels(small_config) == {"x1": None, "x2": None}


def test_a_process_leaves_what_another_one_is_making_unless_it_packs(small_config, tmp_path, monkeypatch):
    wanted, bijections = features(small_config.model), load_bijections(small_config)
    key = chunk_key(small_config, bijections)
    original = ChunkStore.claim
    monkeypatch.setattr(ChunkStore, "claim", lambda self, index: index != 1 and original(self, index))
    with ChunkStore(tmp_path / "chunks", key, rank=1).locked("run") as store:
        Maker(small_config, bijections, store, wanted, Place(1, 2, 1, "run"), progress=False).run()
        assert store.missing(150) == [1]
    polled = []

    def died(seconds):
        polled.append(seconds)
        monkeypatch.setattr(ChunkStore, "claim", original)  # the other process lets go

    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.time.sleep", died)
    with ChunkStore(tmp_path / "chunks", key).locked("run") as store:
        Maker(small_config, bijections, store, wanted, Place(0, 2, 0, "run"), progress=False).run()
        assert store.missing(150) == []
    assert len(polled) == 1


def test_a_chunk_damaged_before_packing_is_named_and_made_again(small_config, tmp_path, monkeypatch, caplog):
    undisturbed = generate(small_config, tmp_path / "whole", progress=False).folder
    original, calls = packing.pack, []

    def damage_first(config, store, *rest, **keywords):
        if not calls:
            flip(store.folder / "chunk-000001.arrow", 300)
        calls.append(store)
        return original(config, store, *rest, **keywords)

    monkeypatch.setattr(generation, "pack", damage_first)
    with caplog.at_level(logging.WARNING):
        folder = generate(small_config, tmp_path / "out", progress=False).folder
    assert len(calls) == 2
    assert "chunk 1 " in caplog.text
    assert "is damaged" in caplog.text
    assert content(folder) == content(undisturbed)


def test_storage_that_damages_every_time_is_an_error(small_config, tmp_path, monkeypatch):
    original = packing.pack

    def damage(config, store, *rest, **keywords):
        flip(store.folder / "chunk-000001.arrow", 300)
        return original(config, store, *rest, **keywords)

    monkeypatch.setattr(generation, "pack", damage)
    with pytest.raises(DamagedChunkError, match="chunk 1 "):
        generate(small_config, tmp_path / "out", progress=False)


def test_a_flipped_bit_in_any_packed_file_is_found_and_repaired(small_config, tmp_path, caplog):
    folder = generate(small_config, tmp_path / "out", progress=False).folder
    before = content(folder)
    generator = np.random.default_rng(0)
    for path in sorted(folder.rglob("*.parquet")):
        flip(path, int(generator.integers(path.stat().st_size)))
        caplog.clear()
        assert generate(small_config, folder, progress=False).rows_made == 150
        assert f"{path.relative_to(folder)} is damaged" in caplog.text
        assert content(folder) == before


def test_a_failing_network_stops_the_run_and_keeps_what_is_done(small_config, tmp_path, monkeypatch):
    calls = []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > 8:
            raise RuntimeError("out of memory")
        return images_of(*arguments)

    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate(small_config, tmp_path / "out", progress=False)
    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", images_of)
    assert generate(small_config, tmp_path / "out", progress=False).rows_made < 150


def test_another_process_than_the_first_reports_nothing_to_pack(small_config, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    early = generate(small_config, tmp_path / "out", progress=False)
    assert (early.complete, early.rows_made, early.world_size) == (False, 150, 2)
    assert not (tmp_path / "out/manifests").exists()
    monkeypatch.setenv("RANK", "0")
    packed = generate(small_config, tmp_path / "out", progress=False)
    assert (packed.complete, packed.rows_made, packed.rank) == (True, 150, 0)  # the run's, not the process's
    monkeypatch.setenv("RANK", "1")
    late = generate(small_config, tmp_path / "out", progress=False)
    assert (late.complete, late.rows_made, late.rank) == (True, 0, 1)
    assert not (tmp_path / "out/.chunks").exists()
