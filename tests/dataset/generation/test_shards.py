"""Shards: their plan, what counts as finished, and what is refused."""

import json
import logging

import pyarrow as pa
import pytest

from mmmi_hf.common.failures import Failure, FolderInUseError
from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.format.views import View
from mmmi_hf.dataset.generation import shards as module
from mmmi_hf.dataset.generation.draft import drafted
from mmmi_hf.dataset.generation.rows import load_bijections, make_rows, row_key
from mmmi_hf.dataset.generation.shards import DamagedShardError, Shards, plan
from mmmi_hf.dataset.stores.local import LocalStore

VIEWS = dict.fromkeys(("x1", "x2"), View(kind="image", half_range=4.0))


@pytest.fixture
def shards(small_config, tmp_path):
    scratch = tmp_path / ".shards/small/scratch"
    scratch.mkdir(parents=True)
    bijections = load_bijections(small_config)
    key = row_key(small_config, bijections)
    made = Shards(LocalStore(tmp_path, scratch), small_config, features(small_config.model, VIEWS), key)
    made.draft = drafted(small_config, bijections, key)
    made.begin(made.draft)
    return made


def put(shards, config, tmp_path, shard, again=None):
    table = make_rows(config, shard.rows.start, shard.rows.stop)
    shards.put(shard, [table], [table if again is None else again], tmp_path / ".shards/small/scratch")


@pytest.mark.parametrize("rows", [1, 2, 5, 150, 1000, 12_345])
@pytest.mark.parametrize(("group", "most"), [(1 << 20, 16_000_000), (40_000, 100_000), (3_000, 80_000)])
def test_a_plan_has_every_row_once_in_order(small_config, monkeypatch, rows, group, most):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", group)
    monkeypatch.setattr(module, "SMALLEST_BYTES", most)
    config = small_config.replace(rows=rows)
    found = plan(config, features(config.model, VIEWS))
    assert [row for shard in found for row in shard.rows] == list(range(rows))
    size = row_bytes(features(config.model, VIEWS))
    for split, of_split in config.split_rows.items():
        own = [shard for shard in found if shard.split == split]
        assert own[0].rows.start == of_split.start
        assert [shard.name for shard in own] == [
            f"data/small/{split}-{i:05d}-of-{len(own):05d}.parquet" for i in range(len(own))
        ]
        assert len(own[0].rows) * size <= max(size, group)
        assert all(shard.rows.start % 32 == 0 for shard in own[2:])
        assert all(len(shard.rows) * size <= max(most, rows * size / module.FILES) for shard in own)


def test_large_configurations_have_files_of_a_size_that_people_download(small_config):
    config = small_config.replace(rows=2_000_000)
    wanted = features(config.model, VIEWS)
    sizes = [len(shard.rows) * row_bytes(wanted) for shard in plan(config, wanted)]
    assert max(sizes) <= 500_000_000
    assert 20 < len(sizes) < 45


def test_a_shard_counts_with_its_record_and_its_digest(shards, small_config, tmp_path, caplog):
    first = shards.all[0]
    assert shards.missing(shards.all, reading=True) == shards.all
    put(shards, small_config, tmp_path, first)
    fresh = Shards(shards.store, small_config, features(small_config.model, VIEWS), shards.request["key"])
    assert fresh.missing(shards.all, reading=True) == shards.all[1:]
    assert fresh.recorded() == {first.name}
    record = fresh.record(first)
    assert (record["rows"], record["micro_batch"]) == (len(first.rows), 32)
    assert record["sha256"] == shards.store.sha256(first.name)
    assert {"hardware", "versions", "bytes"} <= record.keys()
    path = tmp_path / first.name
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(bytes(damaged))
    assert fresh.missing([first], reading=True) == []  # read once
    again = Shards(shards.store, small_config, features(small_config.model, VIEWS), shards.request["key"])
    assert again.missing([first], reading=False) == []  # the size is right
    with caplog.at_level(logging.WARNING):
        assert again.missing([first], reading=True) == [first]
    assert f"{first.name} is missing or damaged" in caplog.text
    assert not path.exists()
    assert again.recorded() == set()


@pytest.mark.parametrize("content", ["{", "[]", '{"plan": "another"}'])
def test_a_record_that_says_nothing_of_this_plan(shards, small_config, tmp_path, content):
    first = shards.all[0]
    put(shards, small_config, tmp_path, first)
    (tmp_path / ".shards/small/records" / f"{first.name.split('/')[-1][:-8]}.json").write_text(content)
    assert shards.missing([first], reading=True) == [first]
    put(shards, small_config, tmp_path, first)
    assert shards.missing([first], reading=True) == []


def test_a_file_that_was_there_with_another_content_is_replaced(shards, small_config, tmp_path, caplog):
    first = shards.all[0]
    shards.store.put_if_absent(first.name, b"something else")
    put(shards, small_config, tmp_path, first)
    assert "was there with another content" in caplog.text
    assert shards.missing([first], reading=True) == []


def test_what_is_made_twice_is_there_once(shards, small_config, tmp_path):
    first = shards.all[0]
    put(shards, small_config, tmp_path, first)
    before = (tmp_path / first.name).stat()
    put(shards, small_config, tmp_path, first)
    assert (tmp_path / first.name).stat().st_mtime_ns == before.st_mtime_ns
    assert list((tmp_path / ".shards/small/scratch").iterdir()) == []


def test_a_shard_that_another_process_finishes_meanwhile_stays(shards, small_config, tmp_path, monkeypatch, caplog):
    """What is listed first and recorded after that is not damaged."""
    first, look = shards.all[0], shards.store.list

    def looked(prefix):
        found = look(prefix)
        if prefix == shards.data:
            put(shards, small_config, tmp_path, first)
        return found

    monkeypatch.setattr(shards.store, "list", looked)
    assert shards.missing([first], reading=True) == [first]
    monkeypatch.undo()
    assert not caplog.messages
    assert (tmp_path / first.name).is_file()
    assert shards.missing([first], reading=True) == []


def test_a_shard_that_another_process_remakes_meanwhile_stays(shards, small_config, tmp_path, monkeypatch, caplog):
    """What was truncated when it was listed, and whole when it was looked at again."""
    first, look = shards.all[0], shards.store.list
    put(shards, small_config, tmp_path, first)
    whole = (tmp_path / first.name).read_bytes()
    (tmp_path / first.name).write_bytes(whole[:100])

    def looked(prefix):
        found = look(prefix)
        (tmp_path / first.name).write_bytes(whole)
        return found

    monkeypatch.setattr(shards.store, "list", looked)
    assert shards.missing([first], reading=True) == []
    assert not caplog.messages
    assert (tmp_path / first.name).read_bytes() == whole


def test_a_shard_of_another_plan_that_replaces_ours_meanwhile_stays(shards, small_config, tmp_path, monkeypatch):
    first, look = shards.all[0], shards.store.list
    put(shards, small_config, tmp_path, first)
    record = tmp_path / ".shards/small/records" / f"{first.name.split('/')[-1][:-8]}.json"

    def looked(prefix):
        (tmp_path / first.name).write_bytes(b"of another plan")
        record.write_text('{"plan": "another"}')
        return look(prefix)

    monkeypatch.setattr(shards.store, "list", looked)
    assert shards.missing([first], reading=True) == [first]
    assert (tmp_path / first.name).read_bytes() == b"of another plan"
    assert record.is_file()


def test_somebody_who_puts_another_content(shards, small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(shards.store, "put_if_absent", lambda name, content: False)
    with pytest.raises(DamagedShardError, match="somebody else puts another content into data/small/train"):
        put(shards, small_config, tmp_path, shards.all[0])


def test_what_is_read_back_otherwise_is_never_put(shards, small_config, tmp_path):
    first = shards.all[0]
    other = make_rows(small_config, 0, len(first.rows))
    y = other["y"].to_pylist()
    y[7] += 1.0
    other = other.set_column(other.column_names.index("y"), "y", pa.array(y))
    with pytest.raises(
        DamagedShardError, match=r"column 'y' of data/small/train.* reads otherwise than it was written"
    ):
        put(shards, small_config, tmp_path, first, again=other)
    assert not (tmp_path / first.name).exists()
    assert list((tmp_path / ".shards/small/scratch").iterdir()) == []


def test_another_run_that_takes_the_folder(shards, small_config):
    key = {**shards.request["key"], "hardware": ["an abacus"]}
    other = Shards(shards.store, small_config, features(small_config.model, VIEWS), key)
    assert other.differences()
    other.begin(shards.draft)
    with pytest.raises(FolderInUseError, match=r"another run makes other bytes of 'small' .*hardware an abacus, now"):
        shards.check()
    other.discard()
    with pytest.raises(FileNotFoundError, match=r"\.shards/small/plan\.json was removed while 'small' was made"):
        shards.check()


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_plan_is_no_plan_of_this_run(shards, tmp_path, content):
    (tmp_path / ".shards/small/plan.json").write_text(content)
    assert shards.differences() == ["its plan.json is damaged"]
    with pytest.raises(FolderInUseError, match=r"its plan\.json is damaged"):
        shards.check()
    shards.begin(shards.draft)
    assert shards.differences() == []


def test_records_that_are_gone_before_the_merge(shards, small_config, tmp_path):
    """As when another run has completed the configuration at this moment."""
    for shard in shards.all[1:]:
        put(shards, small_config, tmp_path, shard)
    with pytest.raises(FileNotFoundError, match=r"\.shards/small/records/train-00000-of-0000\d\.json was removed"):
        shards.merged()


def test_mixtures_of_hardware_are_refused_with_the_list(shards, small_config, tmp_path):
    for shard in shards.all:
        put(shards, small_config, tmp_path, shard)
    assert list(shards.merged()) == shards.all
    record = tmp_path / ".shards/small/records/test-00000-of-00001.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"hardware": ["an abacus"]}))
    with pytest.raises(
        Failure, match=r"different hardware.*: train-0.*; an abacus: test-00000-of-00001; make all of them"
    ):
        shards.merged()
