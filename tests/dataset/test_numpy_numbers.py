"""NumPy's whole numbers are taken wherever Python's are, and booleans and floats nowhere."""

import numpy as np
import pytest
import torch

import mmmi_hf
from mmmi_hf import FlowMatchingPipeline, MMMIConfig, certify, common_cause, generate, load, make_rows
from mmmi_hf.flow.catalogue import load_bijection

NO_NUMBERS = (True, np.True_, 4.0, np.float64(4), "4")


@pytest.fixture(scope="module")
def config():
    return MMMIConfig(
        name="a",
        causal_model=common_cause((1, 4, 4), mi=0.5),
        modalities=(mmmi_hf.Modality("identity"),) * 2,
        rows=np.int64(80),
        seed=np.int32(3),
    )


@pytest.fixture(scope="module")
def folder(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("numbers") / "d"
    made = generate(config, out, rows=np.int64(70), seed=np.uint8(1), progress=False, figures=False, certify=False)
    assert type(made.config.rows) is type(made.config.seed) is int
    return out


def test_from_rows_to_batches(folder):
    found = certify(folder, rows=np.int64(64), rows_float64=np.int64(2), replays=np.int64(1280), progress=False)["a"]
    assert found.written
    assert certify(folder, rows=8, replays=32, sample_seed=np.int64(7), progress=False)["a"].valid
    batch = next(load(folder, progress=False).numpy_batches(["y"], np.int64(4)))
    assert len(batch["y"]) == 4


def test_a_class_label_is_a_plain_number():
    config = MMMIConfig(
        name="a",
        causal_model=common_cause((1, 32, 32), mi=0.5),
        modalities=(mmmi_hf.Modality("fashion-mnist", np.int64(7)),) * 2,
    )
    assert "class_label: 7" in config.to_yaml()
    assert config.digest


def test_rows_shapes_and_images(config):
    assert len(make_rows(config, np.int64(2), np.int64(5))) == 3
    assert load_bijection("identity", (np.int64(1), np.int64(4))).latent_shape == (1, 4)
    pipeline = FlowMatchingPipeline.from_pretrained("fashion-mnist")
    pipeline.set_progress_bar_config(disable=True)
    torch.manual_seed(0)
    assert len(pipeline(class_labels=np.int64(7), num_images=np.int64(2), batch_size=np.int64(1)).images) == 2


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_none(config, folder, value):
    for refused in (
        lambda: generate(config, folder, rows=value),
        lambda: generate(config, folder, seed=value),
        lambda: certify(folder, rows=value),
        lambda: certify(folder, rows_float64=value),
        lambda: certify(folder, replays=value),
        lambda: certify(folder, sample_seed=value),
        lambda: make_rows(config, 0, value),
        lambda: load(folder, progress=False).numpy_batches(batch_size=value),
        lambda: load_bijection("identity", (value,)),
    ):
        with pytest.raises(ValueError, match=r"whole number|positive integers|no range"):
            refused()


@pytest.mark.parametrize("confidence", ["0.9", True, float("nan"), 0.5, 1])
def test_what_is_no_confidence(folder, confidence):
    with pytest.raises(ValueError, match=r"expected a number between 0.5 and 1"):
        certify(folder, confidence=confidence)
