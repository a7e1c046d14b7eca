"""Batches from Arrow buffers: the values that are stored, in their dtypes, in memory that is safe to write to."""

import warnings

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mmmi_hf.causal import CausalModel
from mmmi_hf.hub.loading.arrow_cache import map_parquet
from mmmi_hf.hub.loading.batches import numpy_batches, torch_batches
from mmmi_hf.hub.loading.load import load
from tests.hub.hub_data import configuration, make


def test_batches_are_the_stored_values(two):
    data = load(two, "a", progress=False).dataset["train"]
    x1 = np.array(data["x1"][:], np.float32)
    parts = list(numpy_batches(data, batch_size=20))
    assert [len(part["y"]) for part in parts] == [20, 20, 8]
    assert set(parts[0]) == set(data.column_names) - {"x1_image", "x2_image"}
    assert np.array_equal(np.concatenate([part["x1"] for part in parts]), x1)
    assert parts[0]["y"].dtype == np.float64
    assert not parts[0]["x1"].flags.writeable
    assert len(list(numpy_batches(data, ["row"], 20, drop_last=True))) == 2
    mixed = data.shuffle(seed=1).select(range(30))
    rows = np.concatenate([part["row"] for part in numpy_batches(mixed, ["row"], 7)])
    assert np.array_equal(rows, mixed["row"][:])
    tensors = list(torch_batches(mixed, ["x1", "y"], 7))
    assert (tensors[0]["x1"].dtype, tensors[0]["y"].dtype) == (torch.float32, torch.float64)
    assert np.array_equal(torch.cat([part["x1"] for part in tensors]).numpy(), x1[rows])
    tensors[0]["x1"].zero_()  # memory of its own
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = next(torch_batches(data, ["x1", "y"], 7, copy=False))
    assert np.array_equal(shared["x1"].numpy(), x1[:7])
    assert next(load(two, "a", progress=False).torch_batches(["y"], 7, copy=False))["y"].dtype == torch.float64


def test_batches_of_powers_of_two_share_memory_whatever_the_shards_hold(two, tmp_path, monkeypatch):
    monkeypatch.setattr("mmmi_hf.hub.loading.arrow_cache.BATCH_ROWS", 16)
    table = pq.read_table(next((two / "data/a").glob("train-*")))
    shards = [tmp_path / f"{number}.parquet" for number in range(3)]
    for shard, (start, rows) in zip(shards, [(0, 3), (3, 5), (8, 40)], strict=True):
        pq.write_table(table.slice(start, rows), shard)
    data = map_parquet(shards, "abc", split="train", info=datasets.DatasetInfo(), cache_dir=tmp_path / "cache")
    assert data.with_format("arrow")[:].equals(datasets.Dataset(table).with_format("arrow")[:])
    assert [len(chunk) for chunk in data.data.column("x1").chunks] == [16, 16, 16]
    assert not any(batch["x1"].flags.writeable for batch in numpy_batches(data, ["x1"], 8))


def test_batches_across_record_batches(two, monkeypatch):
    monkeypatch.setattr("mmmi_hf.hub.loading.arrow_cache.BATCH_ROWS", 10)
    found = load(two, "b", progress=False)
    parts = list(found.numpy_batches(["x2", "y"], 16))
    assert np.array_equal(np.concatenate([part["x2"] for part in parts]), np.array(found.dataset["train"]["x2"][:]))
    rows = [16, 10, 9, 47, 0]
    for data in (found.dataset["train"], found.dataset["train"].select(rows)):
        tensors = list(torch_batches(data, ["y", "x2", "row"], 16))
        arrays = list(numpy_batches(data, ["y", "x2", "row"], 16))
        for batch, values in zip(tensors, arrays, strict=True):
            assert all(np.array_equal(batch[name].numpy(), values[name]) for name in ("y", "x2", "row"))
            assert all(tensor.data_ptr() % 16 == 0 for tensor in batch.values())
            batch["x2"].zero_()
            assert np.array_equal(batch["y"].numpy(), values["y"])
            assert batch["row"].untyped_storage().nbytes() == batch["row"].nbytes  # what is saved of it
        assert np.array_equal(
            np.concatenate([part["x2"] for part in numpy_batches(data, ["x2"], 16)]),
            np.array(data["x2"][:], np.float32),
        )
    streamed = load(two, "b", streaming=True, progress=False)
    assert np.array_equal(
        np.concatenate([p["y"] for p in streamed.numpy_batches(["y"], 9)]), found.dataset["train"]["y"][:]
    )


def test_wrong_batches(two):
    found = load(two, "a", progress=False)
    with pytest.raises(ValueError, match="batch_size must be a positive whole number, got 0"):
        found.numpy_batches(batch_size=0)
    with pytest.raises(ValueError, match="no column 'x9'"):
        found.numpy_batches(["x9"])
    with pytest.raises(ValueError, match=r"'x1_image' holds no numbers \(Image\)"):
        found.numpy_batches(["x1_image"])
    with pytest.raises(ValueError, match="no column 'x9'"):
        found.torch_batches(["x9"])
    with pytest.raises(ValueError, match="got 'x1'"):
        found.numpy_batches("x1")
    with pytest.raises(ValueError, match="holds the splits train, validation, test; give one of them"):
        numpy_batches(found.dataset)
    odd = found.dataset["test"].map(lambda row: {"text": "a", "flag": True, "few": None if row["row"] > 55 else 1.0})
    with pytest.raises(ValueError, match=r"'text' holds no numbers \(string\)"):
        numpy_batches(odd, ["text"])
    assert next(iter(numpy_batches(odd, ["flag"])))["flag"].dtype == bool
    with pytest.raises(ValueError, match="'few' has missing values"):
        list(numpy_batches(odd, ["few"]))
    with pytest.raises(ValueError, match="no split 'dev' was loaded"):
        found.numpy_batches(split="dev")
    test_only = load(two, "a", split="test", progress=False)
    assert next(test_only.numpy_batches(["row"]))["row"].shape == (6,)
    assert next(test_only.numpy_batches(["row"], split="test"))["row"].shape == (6,)
    with pytest.raises(ValueError, match="no split 'train' was loaded"):
        test_only.numpy_batches(split="train")


def test_one_dimensional_modalities_and_latents(tmp_path):
    config = configuration("series", rows=9, store_latents=True).replace(
        causal_model={"story": "common_cause", "shape": [5], "mi": 1.0}
    )
    folder = make(tmp_path / "series", config)
    batch = next(load(folder, "series", progress=False).numpy_batches(batch_size=4))
    assert batch["x1"].shape == batch["z1"].shape == (4, 5)
    assert np.array_equal(batch["x1"], batch["z1"])
    assert isinstance(load(folder, "series", progress=False).model, CausalModel)
