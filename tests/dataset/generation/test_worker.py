"""Making shards: the pure function, threads, damage, failures, and what a process does beside others."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from threadpoolctl import threadpool_info

import mmmi_hf
from mmmi_hf.dataset import assembly
from mmmi_hf.dataset.assembly import expected
from mmmi_hf.dataset.generation.launcher import Processes
from mmmi_hf.dataset.generation.pieces import DamagedPieceError, Pieces
from mmmi_hf.dataset.generation.rows import class_labels, images_of, load_bijections, make_rows, prepare
from mmmi_hf.dataset.generation.shards import DamagedShardError, Shards
from mmmi_hf.dataset.releases.configuration import ConfigurationError
from tests.dataset.generation.test_launcher import seen
from tests.support import generate


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def flip(path, position):
    damaged = bytearray(path.read_bytes())
    damaged[position] ^= 8
    path.write_bytes(bytes(damaged))


def as_process(monkeypatch, rank, world):
    """The next `generate` is that of one process of a run."""
    monkeypatch.setattr(assembly, "start", lambda device: Processes(seen(rank, world)))


def test_rows_are_what_generate_stores(small_config, tmp_path, many_files):
    folder = generate(small_config, tmp_path / "out", certify=False).folder
    files = [path for split in ("train", "validation", "test") for path in sorted(folder.glob(f"data/*/{split}*"))]
    assert len(files) > 6
    stored = pa.concat_tables([pq.read_table(path) for path in files])
    assert mmmi_hf.make_rows(small_config, 0, 150).equals(stored)
    bijections = load_bijections(small_config)
    for start, stop in ((0, 1), (31, 33), (40, 40), (100, 150)):
        assert make_rows(small_config, start, stop, bijections=bijections).equals(stored.slice(start, stop - start))


def test_rows_of_a_released_name_go_on_beyond_its_end():
    config = mmmi_hf.get_configuration("common-cause-1.0", pipeline="identity")
    assert make_rows(config, 10**6, 10**6 + 3)["row"].to_pylist() == [10**6, 10**6 + 1, 10**6 + 2]
    with pytest.raises(ConfigurationError, match="did you mean common-cause"):
        make_rows("comon-cause-1.0", 0, 1)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_numbers_that_are_no_range(small_config, start, stop):
    with pytest.raises(ConfigurationError, match="are no range; give whole numbers 0 ≤ start ≤ stop"):
        make_rows(small_config, start, stop)


def test_operations_run_on_one_thread_and_the_setting_is_restored(small_config, tmp_path, monkeypatch):
    found = []

    def watched(*arguments):
        found.append(torch.get_num_threads())
        found.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return images_of(*arguments)

    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", watched)
    monkeypatch.setattr("mmmi_hf.dataset.generation.rows.images_of", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made = generate(small_config, tmp_path / "out", certify=False)
        make_rows(small_config, 0, 3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(found) == {1}
    assert 0 < made.network_fraction <= 1


def test_the_padding_of_a_micro_batch_is_the_next_rows(small_config):
    short, whole = prepare(small_config, range(64, 70)), prepare(small_config, range(64, 96))
    np.testing.assert_array_equal(short.latents["x1"], whole.latents["x1"])
    np.testing.assert_array_equal(short.columns["y"], whole.columns["y"][:6])
    assert class_labels(small_config) == {"x1": None, "x2": None}


def test_a_process_makes_all_that_nobody_has_made_and_the_first_one_merges(
    small_config, tmp_path, monkeypatch, many_files
):
    alone = generate(small_config, tmp_path / "alone", certify=False).folder
    as_process(monkeypatch, 1, 2)
    early = generate(small_config, tmp_path / "out", certify=False)
    assert (early.complete, early.rows_made, early.world_size) == (False, 150, 2)
    assert not (tmp_path / "out/manifests").exists()
    as_process(monkeypatch, 0, 2)
    merged = generate(small_config, tmp_path / "out", certify=False)
    assert (merged.complete, merged.rows_made, merged.rank) == (True, 0, 0)
    as_process(monkeypatch, 1, 2)
    late = generate(small_config, tmp_path / "out", certify=False)
    assert (late.complete, late.rows_made, late.rank) == (True, 0, 1)
    assert not (tmp_path / "out/.shards").exists()
    assert content(tmp_path / "out") == content(alone)


def test_what_another_process_writes_meanwhile_is_not_made_again(small_config, tmp_path, monkeypatch, many_files):
    """Two processes, the second of which does all its work while the first one is in its first micro-batch."""
    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.LOOK_SECONDS", 0.0)
    as_process(monkeypatch, 0, 2)
    calls = []

    def watched(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            with monkeypatch.context() as patch:
                as_process(patch, 1, 2)
                patch.setattr("mmmi_hf.dataset.generation.worker.images_of", images_of)
                calls.append(generate(small_config, tmp_path / "out", certify=False).rows_made)
        return images_of(*arguments)

    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", watched)
    merged = generate(small_config, tmp_path / "out", certify=False)
    assert calls[1] == 150
    assert len(calls) < 10  # what it had in hand
    assert (merged.complete, merged.rows_made) == (True, 150)


def test_a_shard_damaged_before_the_merge_is_named_and_made_again(
    small_config, tmp_path, monkeypatch, caplog, many_files
):
    undisturbed = generate(small_config, tmp_path / "whole", certify=False).folder
    as_process(monkeypatch, 1, 2)
    generate(small_config, tmp_path / "out", certify=False)
    as_process(monkeypatch, 0, 2)
    damaged = sorted(path for path in (tmp_path / "out/data/small").iterdir())
    flip(damaged[0], 300)  # the last of another process
    damaged[-1].unlink()
    with caplog.at_level(logging.WARNING):
        folder = generate(small_config, tmp_path / "out", certify=False).folder
    assert f"data/small/{damaged[0].name} is missing or damaged" in caplog.text
    assert f"data/small/{damaged[-1].name} is missing or damaged" in caplog.text
    assert content(folder) == content(undisturbed)


def test_storage_that_damages_every_time_is_an_error(small_config, tmp_path, monkeypatch):
    original = Shards.enter

    def damage(self, shard, *arguments):
        original(self, shard, *arguments)
        self._sound.clear()
        flip(self.store.folder / shard.name, 300)

    monkeypatch.setattr(Shards, "enter", damage)
    with pytest.raises(DamagedShardError, match="files of data/small are damaged each time they are made"):
        generate(small_config, tmp_path / "out", certify=False)


def test_pieces_that_are_damaged_every_time_are_an_error(small_config, tmp_path, monkeypatch):
    original = Pieces.write

    def damage(self, number, table):
        original(self, number, table)
        flip(self._path(number), 300)

    monkeypatch.setattr(Pieces, "write", damage)
    with pytest.raises(DamagedShardError, match="are damaged each time they are made"):
        generate(small_config, tmp_path / "out", certify=False)


@pytest.mark.parametrize("left", [0, 3, 4, 100])
@pytest.mark.parametrize("number", [0, 1])
def test_a_piece_that_a_power_cut_has_shortened_is_none(tmp_path, caplog, number, left):
    pieces = Pieces(tmp_path)
    pieces.write(number, pa.table({"row": list(range(100))}))
    assert pieces.read(number)["row"].to_pylist() == list(range(100))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DamagedPieceError):
        pieces.read(number)
    assert f"{path} is damaged; its rows are made again" in caplog.text
    assert not path.exists()
    assert pieces.numbers == set()


def test_a_flipped_bit_in_any_file_is_found_and_only_that_file_made_again(small_config, tmp_path, caplog, many_files):
    folder = generate(small_config, tmp_path / "out").folder
    before = content(folder)
    statements = [folder / "manifests/small.json", folder / "certificates/small.json"]
    stated = [path.read_bytes() for path in statements]
    generator = np.random.default_rng(0)
    for path in sorted(folder.glob("data/small/*.parquet"))[::4]:
        flip(path, int(generator.integers(path.stat().st_size)))
        caplog.clear()
        made = generate(small_config, folder)
        assert 0 < made.rows_made <= 64 + 32
        assert f"{path.relative_to(folder)} is damaged" in caplog.text
        assert content(folder) == before
        assert [path.read_bytes() for path in statements] == stated  # which goes on binding them
    flip(folder / "ground_truth/small.parquet", 300)
    assert generate(small_config, folder).rows_made == 0
    assert content(folder) == before


def test_damage_of_what_other_software_made_is_mended_by_making_all_again(small_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mmmi_hf.flow.devices.hardware", lambda device: "an abacus")
        folder = generate(small_config, tmp_path / "out", certify=False).folder
    before = content(folder)
    assert generate(small_config, folder, certify=False).rows_made == 0
    flip(folder / "data/small/test-00000-of-00001.parquet", 300)
    assert generate(small_config, folder, certify=False).rows_made == 150
    assert content(folder) == before
    assert "abacus" not in (folder / "manifests/small.json").read_text()


def test_a_failing_network_stops_the_run_and_keeps_what_is_done(small_config, tmp_path, monkeypatch):
    calls = []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > 8:
            raise RuntimeError("out of memory")
        return images_of(*arguments)

    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate(small_config, tmp_path / "out", certify=False)
    monkeypatch.setattr("mmmi_hf.dataset.generation.worker.images_of", images_of)
    assert generate(small_config, tmp_path / "out", certify=False).rows_made < 150


def test_what_it_would_cost(small_config, tmp_path):
    cost = expected(small_config, tmp_path / "out", rows=320)
    assert (cost.rows_missing, cost.files) == (320, 3)
    assert 0 < cost.seconds < 60
    assert not (tmp_path / "out").exists()
    folder = generate(small_config, tmp_path / "out", certify=False).folder
    size = sum(path.stat().st_size for path in folder.glob("data/small/*"))
    cost = expected(small_config, tmp_path / "out")
    assert (cost.rows_missing, cost.seconds) == (0, 0.0)
    assert size < 2 * cost.bytes
    with pytest.raises(ConfigurationError, match="already holds 'small' with other settings"):
        expected(small_config, tmp_path / "out", rows=30)
