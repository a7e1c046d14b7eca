"""From a configuration to a folder that plain `load_dataset` reads: content, resuming, refusals."""

import errno
import functools
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple

import datasets
import numpy as np
import pyarrow as pa
import pytest

import mmmi_hf
from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.quantities import reported_values
from mmmi_hf.common.failures import DiskFullError, FolderRemovedError
from mmmi_hf.dataset.generation.pieces import Pieces
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from tests import support

# Certificates have tests of their own.
generate = functools.partial(support.generate, certify=False)


def tree(folder):
    """Every file of a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def parquet(folder):
    return {name: content for name, content in tree(folder).items() if name.endswith(".parquet")}


@pytest.fixture
def made(small_config, tmp_path):
    return generate(small_config, tmp_path / "out", store_latents=True).folder


def load(folder, config, split):
    return datasets.load_dataset(str(folder), config, split=split).with_format("arrow")[:]


def array(table, column, shape):
    return np.array(table[column].to_pylist(), dtype=np.float64).reshape(len(table), *shape)


def test_the_layout(made):
    names = sorted(tree(made))
    assert names == [
        "README.md",
        "causal_models/small.json",
        "data/small/test-00000-of-00001.parquet",
        "data/small/train-00000-of-00001.parquet",
        "data/small/validation-00000-of-00001.parquet",
        "ground_truth/small.parquet",
        "manifests/small.json",
    ]


def test_rows_are_what_the_model_says(made, small_config):
    table = pa.concat_tables([load(made, "small", split) for split in ("train", "validation", "test")])
    assert table["row"].to_pylist() == list(range(150))
    latents = small_config.model.sample(150, seed=11)
    np.testing.assert_array_equal(array(table, "y", ()), latents.y)
    for name, z in (("x1", "z1"), ("x2", "z2")):
        expected = latents.z[name].astype(np.float32)
        np.testing.assert_array_equal(array(table, name, (1, 8, 8)), expected)
        np.testing.assert_array_equal(array(table, z, (1, 8, 8)), expected)
    for column, pair in {"pmi_x1_y": ("x1", "y"), "pmi_x1_x2": ("x1", "x2")}.items():
        expected = small_config.model.pointwise_mutual_information(latents, *pair)
        np.testing.assert_allclose(array(table, column, ()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.statistical
def test_mean_pointwise_information_is_the_mutual_information(made, small_config):
    values = array(load(made, "small", "train"), "pmi_x1_y", ())
    truth = small_config.model.mutual_information("x1", "y")
    z = (values.mean() - truth) / (values.std(ddof=1) / math.sqrt(len(values)))
    print(f"z = {z:.2f}")
    assert abs(z) < 4


def test_ground_truth_loads_and_equals_the_model(made, small_config):
    truth = datasets.load_dataset(str(made), "ground_truth", split="train").with_format("arrow")[:]
    assert dict(zip(truth["quantity"].to_pylist(), truth["value"].to_pylist(), strict=True)) == reported_values(
        small_config.model
    )
    assert set(truth["config"].to_pylist()) == {"small"}
    assert CausalModel.from_json((made / "causal_models/small.json").read_text()).digest == small_config.model.digest


def test_the_manifest_names_every_file_with_its_digest(made):
    manifest = json.loads((made / "manifests/small.json").read_text())
    assert {entry["path"] for entry in manifest["files"]} == {
        name for name in tree(made) if name.startswith(("data/", "causal_models/"))
    }
    assert manifest["seed"] == 11
    assert manifest["splits"]["train"]["rows"] == 120
    assert manifest["modalities"][0]["pipeline"] == "identity"


def test_it_loads_without_this_package(made):
    program = (
        "import sys; sys.modules['mmmi_hf'] = None\n"
        "import datasets\n"
        f"data = datasets.load_dataset({str(made)!r}, 'small')\n"
        "print({split: len(rows) for split, rows in data.items()})\n"
        "print(data['train'].features['x1'], data['train'].info.version, data['train'].info.description)\n"
        "row = data['train'][0]; print(row['x1_image'].size, len(row['x1'][0]))\n"
        f"stream = datasets.load_dataset({str(made)!r}, 'small', streaming=True, split='test')\n"
        "print([row['row'] for row in stream][0])\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "{'train': 120, 'validation': 15, 'test': 15}" in shown
    assert "1.0.0 A small test configuration." in shown
    assert "(8, 8) 8" in shown
    assert shown.splitlines()[-1] == "135"


def test_the_first_configuration_is_the_default(made):
    assert len(datasets.load_dataset(str(made), split="train")) == 120


def test_running_again_changes_nothing(made, small_config):
    before = tree(made)
    again = generate(small_config, made, store_latents=True)
    assert again.rows_made == 0
    assert tree(made) == before


def test_a_damaged_file_is_made_again(made, small_config):
    before = tree(made)
    target = made / "data/small/train-00000-of-00001.parquet"
    content = bytearray(target.read_bytes())
    content[100] ^= 1
    target.write_bytes(bytes(content))
    assert generate(small_config, made, store_latents=True).rows_made == 128  # 120, in micro-batches
    assert tree(made) == before


def test_a_second_configuration_joins_the_first(made, small_config):
    before = parquet(made)
    other = small_config.replace(name="other", rows=20, seed=12)
    generate(other, made)
    after = parquet(made)
    assert {name: after[name] for name in before} == before
    assert datasets.get_dataset_config_names(str(made)) == ["ground_truth", "other", "small"]
    truth = datasets.load_dataset(str(made), "ground_truth", split="train")
    assert set(truth["config"]) == {"small", "other"}


def test_other_settings_are_refused_unless_overwritten(made, small_config):
    before = tree(made)
    with pytest.raises(ConfigurationError, match=r"already holds 'small' with other settings \(rows 150, now 30\)"):
        generate(small_config, made, rows=30, store_latents=True)
    assert tree(made) == before
    generate(small_config, made, rows=30, overwrite=True)
    assert len(load(made, "small", "train")) == 24


def test_rows_do_not_depend_on_how_many_there_are(small_config, tmp_path):
    few = load(generate(small_config, tmp_path / "few", rows=5).folder, "small", "train")
    many = load(generate(small_config, tmp_path / "many", rows=100).folder, "small", "train")
    assert few.equals(many.slice(0, len(few)))


def stop_at(number, error, monkeypatch):
    """Let writing piece `number` fail, once all before it are written."""
    original = Pieces.write

    def write(self, index, table):
        if index >= number:
            raise error
        original(self, index, table)

    monkeypatch.setattr(Pieces, "write", write)


def test_interrupted_work_is_continued_to_the_same_bytes(small_config, tmp_path, monkeypatch):
    undisturbed = generate(small_config, tmp_path / "whole").folder
    folder = tmp_path / "cut"
    with monkeypatch.context() as patch:
        stop_at(2, KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            generate(small_config, folder)
    assert not (folder / "manifests").exists()
    assert generate(small_config, folder).rows_made == 150 - 64
    assert tree(folder) == tree(undisturbed)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_rows_damaged_while_interrupted_are_made_again(small_config, tmp_path, monkeypatch, damage, caplog):
    undisturbed = generate(small_config, tmp_path / "whole").folder
    with monkeypatch.context() as patch:
        stop_at(3, KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            generate(small_config, tmp_path / "cut")
    pieces = sorted((tmp_path / "cut/.shards/small/scratch").glob("*/*.rows"))
    assert [path.name for path in pieces] == ["00000000.rows", "00000001.rows", "00000002.rows"]
    content = bytearray(pieces[1].read_bytes())
    content[200] ^= 4
    if damage == "gone":
        pieces[1].unlink()
    else:
        pieces[1].write_bytes(bytes(content[:300] if damage == "cut" else content))
    assert generate(small_config, tmp_path / "cut").rows_made == 150 - 64
    assert ("is damaged" in caplog.text) == (damage != "gone")
    assert tree(tmp_path / "cut") == tree(undisturbed)


STEPS = [
    "format.folder.DatasetFolder.write_manifest",
    "format.folder.DatasetFolder.remove_work",
    "completion.write_derived",
    "derived.write_ground_truth",
    "derived.write_text",
]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_merging_is_repaired(small_config, tmp_path, monkeypatch, step):
    undisturbed = generate(small_config, tmp_path / "whole").folder

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"mmmi_hf.dataset.{step}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(small_config, tmp_path / "cut")
    assert generate(small_config, tmp_path / "cut").rows_made == 0
    assert tree(tmp_path / "cut") == tree(undisturbed)


def test_unfinished_work_of_other_settings_is_refused_unless_overwritten(small_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(2, KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            generate(small_config, tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(
        ConfigurationError, match=r"already holds an unfinished 'small' .*\(rows 150, now 30\).*--overwrite"
    ):
        generate(small_config, tmp_path / "out", rows=30)
    with monkeypatch.context() as patch:
        patch.setattr("mmmi_hf.flow.devices.hardware", lambda device: "an abacus")
        with pytest.raises(ConfigurationError, match=r"\(hardware .*, now an abacus\)"):
            generate(small_config, tmp_path / "out")
    assert tree(tmp_path / "out") == before
    folder = generate(small_config, tmp_path / "out", rows=30, overwrite=True).folder
    assert tree(folder) == tree(generate(small_config, tmp_path / "new", rows=30).folder)


@pytest.mark.parametrize("after", [0, 2])
def test_a_removed_folder_is_said(small_config, tmp_path, monkeypatch, after):
    original = Pieces.write

    def write(self, index, table):
        if index == after:  # at one blow: another thread may be writing there
            (tmp_path / "out").rename(tmp_path / "removed")
        original(self, index, table)

    monkeypatch.setattr(Pieces, "write", write)
    with pytest.raises(FolderRemovedError, match="the folder was removed while 'small' was made"):
        generate(small_config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(small_config, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds something else"):
        generate(small_config, tmp_path)
    assert tree(tmp_path) == {"notes.txt": b"mine"}
    with pytest.raises(ConfigurationError, match="is a file; name another place"):
        generate(small_config, tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "invalid JSON.*; if it is damaged, remove it and generate again"),
        ("[]", "input should be an object"),
        ('{"format": 99}', "is a manifest of format 99; this version of mmmi_hf reads 1 to 2: install the newest"),
        ('{"format": 1}', "small.json: there is no 'key'"),
    ],
)
def test_a_manifest_that_cannot_be_read(small_config, made, content, says):
    (made / "manifests/small.json").write_text(content)
    with pytest.raises(ConfigurationError, match=says):
        generate(small_config, made)


def test_a_row_that_could_not_be_read_back_is_refused(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr("mmmi_hf.dataset.run.MOST_ROW", 1000)
    with pytest.raises(ConfigurationError, match=r"a row has .* MB, at most"):
        generate(small_config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_room_is_said_before_anything_is_written(small_config, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(DiskFullError, match=r"150 rows need about .* MB .* free"):
        generate(small_config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["piece", "shard"])
def test_a_disk_that_fills_up_loses_nothing(small_config, tmp_path, monkeypatch, where):
    undisturbed = generate(small_config, tmp_path / "whole").folder
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        if where == "piece":
            stop_at(2, full, patch)
        else:

            def write_table(*arguments, **keywords):
                raise full

            patch.setattr("pyarrow.parquet.ParquetWriter.write_table", write_table)
        with pytest.raises(DiskFullError, match="is full; what is finished is kept"):
            generate(small_config, tmp_path / "out")
    again = generate(small_config, tmp_path / "out")
    assert again.rows_made == 150 - 64 if where == "piece" else again.rows_made <= 22
    assert tree(tmp_path / "out") == tree(undisturbed)


@pytest.mark.parametrize(
    ("modality", "says"),
    [
        (Modality("identity", 3), r"modalities\[1\].class_label: 'identity' has no classes"),
        (Modality("no-such-pipeline"), r"modalities\[1\].pipeline: .*no-such-pipeline"),
    ],
)
def test_modalities_that_cannot_be_had(small_config, tmp_path, modality, says):
    config = small_config.replace(modalities=(Modality("identity"), modality))
    with pytest.raises(ConfigurationError, match=says):
        generate(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_values_that_are_not_finite_are_never_stored(small_config, tmp_path, monkeypatch):
    from mmmi_hf.flow import IdentityBijection

    original = IdentityBijection.__call__

    def broken(self, latents, class_labels=None, **options):
        output = original(self, latents, class_labels, **options)
        output.images[0] = math.nan
        return output

    monkeypatch.setattr(IdentityBijection, "__call__", broken)
    with pytest.raises(ArithmeticError, match="not finite for x1"):
        generate(small_config, tmp_path / "out")


@pytest.mark.parametrize("device", ["nonsense", "", "cuda:9"])
def test_a_device_that_cannot_be_used(small_config, tmp_path, device):
    with pytest.raises(ValueError, match="device must be one that torch can use here, got "):
        generate(small_config, tmp_path / "out", device=device)


def test_images_that_a_bijection_refuses_are_a_failure(small_config, tmp_path, monkeypatch):
    from mmmi_hf.flow import IdentityBijection, NotFiniteError

    def refuses(self, latents, class_labels=None, **options):
        raise NotFiniteError("images must be finite")

    monkeypatch.setattr(IdentityBijection, "__call__", refuses)
    with pytest.raises(ArithmeticError, match="images must be finite") as caught:
        generate(small_config, tmp_path / "out")
    assert not isinstance(caught.value, ValueError), "not a wrong request"


def test_other_kinds_of_modality(tmp_path):
    model = CausalModel([1.0], [[0.5], [0.4]], np.eye(2), shape=[(3, 4, 4), (9,)])
    config = MMMIConfig(name="kinds", causal_model=model, modalities=(Modality("identity"), Modality("asinh")), rows=40)
    table = load(generate(config, tmp_path / "out").folder, "kinds", "train")
    latents = model.sample(32, seed=0)
    np.testing.assert_allclose(array(table, "x2", (9,)), np.arcsinh(latents.z["x2"]), rtol=1e-6, atol=1e-7)
    assert "x2_image" not in table.column_names


def test_a_single_row(small_config, tmp_path):
    folder = generate(small_config, tmp_path / "one", rows=1).folder
    assert datasets.load_dataset(str(folder), "small").num_rows == {"train": 1}


def test_a_run_killed_by_the_system_is_continued(tmp_path):
    config = tmp_path / "story.yaml"
    config.write_text(
        "modalities: [{pipeline: identity}, {pipeline: identity}]\nrows: 1000\n"
        "causal_model: {story: common_cause, shape: [1, 32, 32], mi: 1.0}\n"
    )
    undisturbed = generate(str(config), tmp_path / "whole", certify=False).folder
    command = [sys.executable, "-m", "mmmi_hf", "generate", str(config), "--out", str(tmp_path / "cut")]
    run = subprocess.Popen([*command, "--no-certify", "--quiet"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while run.poll() is None and len(list((tmp_path / "cut").glob(".shards/story/scratch/*/*.rows"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    run.kill()
    run.communicate()
    assert not (tmp_path / "cut/manifests").exists()
    again = generate(str(config), tmp_path / "cut", certify=False)
    assert again.rows_made < 1000
    assert tree(tmp_path / "cut") == tree(undisturbed)


def test_folders_that_could_not_be_used_are_refused_first(small_config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is a file; name another place"):
        generate(small_config, tmp_path / "file/below")
    with pytest.raises(ConfigurationError, match="cannot read from a path with"):
        generate(small_config, tmp_path / "d[1]")
    with pytest.raises(ConfigurationError, match=r"cannot read from a path with \$"):
        generate(small_config, tmp_path / "$HOME")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "hf-cache") == ["file"]


@pytest.mark.parametrize("name", ["hf:x", "~x", "a b", "ünï", "a'b", "{a}", "#x"])
def test_folders_of_unusual_names_are_read_by_load_dataset(small_config, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    generate(small_config, f"./{name}", rows=10)
    assert (
        len(datasets.load_dataset(str(tmp_path / name), "small", split="train", cache_dir=str(tmp_path / "cache"))) == 8
    )
    found = mmmi_hf.load(f"./{name}", "small", split="train", cache_dir=tmp_path / "mine", progress=False)
    assert len(found.dataset) == 8


def test_a_folder_that_cannot_be_written_is_refused(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        generate(small_config, tmp_path / "out")


@pytest.mark.parametrize("damage", ["manifests/small.json", "causal_models/small.json"])
def test_a_damaged_neighbour_is_noticed_before_anything_is_made(made, small_config, damage):
    (made / damage).unlink()
    if damage.startswith("manifests"):
        (made / damage).write_text("{")
    with pytest.raises(ConfigurationError, match=r"is damaged|is missing"):
        generate(small_config.replace(name="other"), made)
    assert not (made / "data/other").exists()
