"""Shares of a configuration made apart, in any order, and merged: the bytes of `generate` in a folder."""

import contextlib
import itertools
import os
import random

import fsspec
import pytest

from mmmi_hf.common.failures import Failure
from mmmi_hf.common.places import PlaceError, own_temporary_folder
from mmmi_hf.dataset import completion
from mmmi_hf.dataset.assembly import expected
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.completion import merge
from mmmi_hf.dataset.format import parquet, remote
from mmmi_hf.dataset.generation import shards
from mmmi_hf.dataset.generation.shards import Task
from mmmi_hf.dataset.generation.worker import Maker
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.addresses import AddressStore, StoreUnavailableError
from tests.support import change, generate, tree

pytestmark = pytest.mark.usefixtures("many_files")


@pytest.fixture(params=["folder", "memory"])
def out(request, tmp_path):
    if request.param == "folder":
        yield tmp_path / "out"
        return
    address = f"memory://{tmp_path.name}"
    yield address
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


def merged(out, **options):
    return merge(out, **({"figures": False, "progress": False} | options))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_tasks_in_any_order_give_the_files_of_one_run(small_config, out, whole, count):
    tasks = [Task(number, count) for number in range(1, count + 1)]
    random.Random(count).shuffle(tasks)
    for task in [*tasks, tasks[0]]:
        made = generate(small_config, out, shard=str(task))
        assert not made.complete
    (found,) = merged(out)
    assert (found.config.name, found.config.rows) == ("small", 150)
    assert tree(out) == whole
    merged(out)
    assert tree(out) == whole


def test_one_call_at_an_address_gives_the_files_of_a_folder(small_config, out, whole):
    made = generate(small_config, out)
    assert made.complete
    assert made.rows_made == 150
    assert tree(out) == whole
    assert generate(small_config, out).rows_made == 0
    assert tree(out) == whole


def test_pictures_are_drawn_of_what_is_at_an_address(small_config, out):
    generate(small_config, out, certify=False)
    merged(out, figures=True, certify=False)
    assert {"figures/small/tuples.png", "figures/small/pointwise.png"} <= tree(out).keys()


def test_two_configurations_at_one_place(small_config, out, tmp_path):
    other = small_config.replace(name="other", seed=3)
    for config in (small_config, other):
        generate(config, out, shard="1/2", certify=False)
        generate(config, tmp_path / "both", certify=False)
    with pytest.raises(Failure, match=r"of \d+ files \d+ are missing or damaged \(data/other"):
        merged(out, configs="other")
    for config in (other, small_config):
        generate(config, out, shard="2/2", certify=False)
    assert [found.config.name for found in merged(out, certify=False)] == ["other", "small"]
    assert tree(out) == tree(tmp_path / "both")


@pytest.mark.parametrize("damage", [lambda old: old[:100] + b"?" + old[101:], lambda old: old[:-9]])
@pytest.mark.parametrize("when", ["before merging", "after merging"])
def test_damaged_and_truncated_files_are_found_and_made_again(small_config, out, whole, damage, when, caplog):
    generate(small_config, out, shard="1/2")
    generate(small_config, out, shard="2/2")
    if when == "after merging":
        merged(out)
    names = [name for name in whole if name.startswith("data/")]
    change(out, names[0], damage)
    change(out, names[-1], damage)
    with pytest.raises(Failure, match=r"of \d+ files 2 are missing or damaged"):
        merged(out)
    for task in ("2/2", "1/2"):
        generate(small_config, out, shard=task)
    merged(out)
    assert tree(out) == whole


def test_a_measurement_at_an_address_reads_row_groups_and_says_so(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 100_000)
    monkeypatch.setattr(shards, "SMALLEST_BYTES", 1_000_000)
    config, address = small_config.replace(rows=2000), f"memory://{tmp_path.name}-large"
    generate(config, address, certify=False)
    generate(config, tmp_path / "here")
    read = []
    original = AddressStore.part
    monkeypatch.setattr(
        AddressStore,
        "part",
        lambda self, path, start, stop: (read.append(stop - start), original(self, path, start, stop))[1],
    )
    found = certify(address, replays=0, rows=2, progress=False)["small"]
    assert found.valid
    assert "digests, and what the other rows hold, were not" in found.remarks[0]
    size = sum(AddressStore(address).list("data").values())
    print(f"{sum(read):,} of {size:,} bytes were read")
    assert sum(read) < 0.6 * size  # 0.3 of it are footers
    assert not found.written
    assert certify(address, write=True, progress=False)["small"].written
    assert tree(address) == tree(tmp_path / "here")
    whole = certify(address, all_rows=True, progress=False)["small"]
    assert whole.valid
    assert whole.remarks == ()
    name = next(name for name in tree(address) if name.startswith("data/small/test"))
    change(address, name, lambda old: old[:100] + b"?" + old[101:])
    assert not certify(address, all_rows=True, progress=False)["small"].valid


def test_requests_that_make_no_sense(small_config, out):
    with pytest.raises(ConfigurationError, match=r"nothing to merge in .*, where nothing was begun"):
        merged(out)
    for shard in ("0/2", "3/2", "2", "a/b", "1/", "-1/2", "1/2/3"):
        with pytest.raises(ConfigurationError, match=f"shard is '{shard}', expected i/n"):
            generate(small_config, out, shard=shard)
    generate(small_config, out, shard="1/2")
    with pytest.raises(ConfigurationError, match=r"nothing to merge of 'other' in .* where small was begun"):
        merged(out, configs=["other"])
    with pytest.raises(ConfigurationError, match="already holds an unfinished 'small' with other settings"):
        generate(small_config.replace(seed=4), out, shard="1/2")


def test_what_a_task_will_make_is_said_before(small_config, tmp_path):
    whole = expected(small_config, tmp_path / "out")
    parts = [expected(small_config, tmp_path / "out", shard=f"{number}/3") for number in (1, 2, 3)]
    assert sum(part.rows_missing for part in parts) == whole.rows_missing == 150
    assert sum(part.files for part in parts) == whole.files


def test_a_plan_that_says_nothing(small_config, out):
    generate(small_config, out, shard="1/1")
    change(out, ".shards/small/causal_model.json", lambda old: b"{}")
    with pytest.raises(ConfigurationError, match="does not say what was begun"):
        merged(out)
    change(out, ".shards/small/plan.json", lambda old: b"{}")
    with pytest.raises(ConfigurationError, match=r"does not say what was begun \(plan.json is missing or damaged\)"):
        merged(out)


@pytest.mark.parametrize("moment", ["_begun", "put_together"])
def test_another_merge_that_is_done_first(small_config, out, whole, monkeypatch, moment):
    """It completes the configuration, and removes what was begun, while this one is on its way."""
    generate(small_config, out, shard="1/1")
    original = getattr(completion, moment)

    def overtaken(*arguments):
        monkeypatch.setattr(completion, moment, original)
        merged(out, certify=False)
        return original(*arguments)

    monkeypatch.setattr(completion, moment, overtaken)
    (found,) = merged(out)
    assert found.files == len([name for name in whole if name.startswith("data/")])
    assert tree(out) == whole


def test_more_tasks_than_files(small_config, out, whole):
    for number in range(30, 0, -1):
        generate(small_config, out, shard=f"{number}/30")
    merged(out)
    assert tree(out) == whole


def test_a_run_at_an_address_that_was_killed_goes_on_from_its_rows(small_config, tmp_path, whole, monkeypatch):
    """What was made of unfinished files is kept on this machine, under a name that follows from the address."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(remote.RemoteFolder, "kept", kept := lambda self, config: tmp_path / "kept" / config)
    address, made, original = f"memory://{tmp_path.name}-killed", [], Maker._image

    def counted(self, name, latents):
        made.append(name)
        return original(self, name, latents)

    def cut(self, *of):
        raise StoreUnavailableError("it did not answer")

    monkeypatch.setattr(Maker, "_image", counted)
    with monkeypatch.context() as patch:
        patch.setattr(shards.Shards, "put", cut)
        with pytest.raises(StoreUnavailableError):
            generate(small_config, address, shard="1/1")
    before = len(made)
    left = sum(1 for _ in kept(None, "small").rglob("*.rows"))
    assert 0 < left <= before // 2
    found = generate(small_config, address, shard="1/1")
    print(f"{before} images were made before, {len(made) - before} after; {left} pieces were left")
    assert len(made) - before == 2 * (5 - left)
    assert found.rows_made == 150 - min(150, 32 * left)
    merged(address)
    assert tree(address) == whole
    assert not kept(None, "small").exists()


def test_rows_that_wait_for_an_address_have_a_place_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(AddressStore, "list", lambda self, prefix: {})
    monkeypatch.setattr(
        AddressStore, "__init__", lambda self, address: self.__dict__.update(address=address, scheme="s3")
    )
    places = {}
    for number, (endpoint, address) in enumerate(itertools.product("ab", ("s3://bucket/x", "s3://bucket/y"))):
        monkeypatch.setattr(AddressStore, "endpoint", endpoint)
        one, same = (
            remote.RemoteFolder(AddressStore(address), tmp_path / f"{number}-{of}").kept("small") for of in range(2)
        )
        assert one == same
        places[one] = (endpoint, address)
    assert len(places) == 4
    assert one.parents[1] == own_temporary_folder()
    assert own_temporary_folder().stat().st_mode & 0o777 == 0o700
    own_temporary_folder().chmod(0o777)
    with pytest.raises(PlaceError, match="is not a folder that is this user's alone; remove it, or set TMPDIR"):
        own_temporary_folder()


def test_copies_that_killed_processes_left_go_away(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with remote.opened(f"memory://{tmp_path.name}-copies") as folder:
        (left := folder.path.parent / "left").mkdir()
        (fresh := folder.path.parent / "fresh").mkdir()
        for path in (folder.path, left):
            os.utime(path, (0, 0))
        with remote.opened(f"memory://{tmp_path.name}-copies") as other:
            assert sorted(folder.path.parent.iterdir()) == sorted([folder.path, fresh, other.path])


def test_a_merge_says_how_far_it_has_read(small_config, out, capsys, monkeypatch):
    generate(small_config, out, shard="1/1")
    seen = []
    monkeypatch.setattr("tqdm.std.tqdm.update", lambda self, n=1: seen.append(n))
    merged(out, certify=False, progress=True)
    assert "comparing the files of small: 0 of 150 rows" in capsys.readouterr().err
    assert len(seen) > 3
    assert sum(seen) == 150
