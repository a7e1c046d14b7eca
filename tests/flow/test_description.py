"""Files that are no pipeline: each is one line that names the file and the field, and nothing is warned about."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmmi_hf.flow import FlowMatchingPipeline, View, load_bijection
from mmmi_hf.flow.description import Description, class_names_of, described

INDEX, UNET, SCHEDULER = "model_index.json", "unet/config.json", "scheduler/scheduler_config.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tiny_pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("described") / "pipeline"
    tiny_pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(saved, tmp_path / "pipeline")


def _refused(folder, capfd, *, torch_needed=False):
    """The one line that refuses a folder, however it is read."""
    lines = set()
    readers = [FlowMatchingPipeline.from_pretrained, lambda path: load_bijection(path, (1, 8, 8))]
    for read in readers if torch_needed else [described, *readers]:
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            read(folder)
        lines.add(str(caught.value))
    assert len(lines) == 1
    assert capfd.readouterr() == ("", ""), "nothing is printed in front of the message"
    line = lines.pop()
    assert "\n" not in line
    return line.replace(f"{folder}/", "")


def _change(path, **fields):
    stored = json.loads(path.read_text())
    for name, value in fields.items():
        if value is ...:
            del stored[name]
        else:
            stored[name] = value
    path.write_text(json.dumps(stored))


def test_shape_and_classes_are_read_without_weights(folder):
    assert described(folder) == Description((1, 8, 8), 3, ("shirt", "shoe", "bag"), View("image", 1.0))
    _change(folder / UNET, sample_size=[4, 6], num_class_embeds=None)
    _change(folder / INDEX, class_names=None)
    assert described(folder) == Description((1, 8, 12), None, None, View("image", 1.0))


@pytest.mark.parametrize(
    ("file", "field", "value", "says"),
    [
        (INDEX, "patch_size", "2", 'patch_size must be an integer in 1 … 4096, got "2"'),
        (INDEX, "patch_size", 0, "patch_size must be an integer in 1 … 4096, got 0"),
        (INDEX, "patch_size", True, "patch_size must be an integer in 1 … 4096, got true"),
        (INDEX, "patch_size", ..., "patch_size must be an integer in 1 … 4096, got nothing"),
        (INDEX, "class_names", 5, "class_names must be a name for each class, got 5"),
        (INDEX, "class_names", {"1": "a"}, "class_names must be a name for each class"),
        (INDEX, "class_names", ["a"], "class_names must name the 3 classes, got 1 names"),
        (INDEX, "unet", None, 'unet must be ["diffusers", "UNet2DModel"], got null'),
        (INDEX, "scheduler", ["diffusers", "DDIMScheduler"], 'scheduler must be ["mmmi_hf.flow.scheduler"'),
        (UNET, "in_channels", -1, "in_channels must be an integer in 1 … 16384, got -1"),
        (UNET, "in_channels", 3, "in_channels must be as many as out_channels, 4, got 3"),
        (UNET, "out_channels", None, "out_channels must be an integer in 1 … 16384, got null"),
        (UNET, "sample_size", [4], "sample_size must be an integer in 1 … 4096, or two, got [4]"),
        (UNET, "num_class_embeds", 0, "num_class_embeds must be an integer in 1 … 1048576, or null, got 0"),
        (UNET, "sample_size", 10**9, "sample_size must be an integer in 1 … 4096, or two, got 1000000000"),
        (UNET, "layers_per_block", 10**9, "layers_per_block must be an integer in 1 … 16, got 1000000000"),
        (
            UNET,
            "block_out_channels",
            [16] * 99,
            "block_out_channels must be a list of at most 16 integers in 1 … 16384",
        ),
        (UNET, "block_out_channels", [16, 10**9], "block_out_channels must be a list of at most 16 integers"),
        (UNET, "down_block_types", "DownBlock2D", "down_block_types must be a list of at most 16 names"),
        (UNET, "norm_num_groups", None, "norm_num_groups must be an integer in 1 … 16384, got null"),
        (UNET, "attention_head_dim", 0, "attention_head_dim must be an integer in 1 … 16384, or null, got 0"),
        (UNET, "time_embedding_type", "sine", "time_embedding_type must be one of positional, fourier, learned"),
        (
            SCHEDULER,
            "num_inference_steps",
            10**9,
            "num_inference_steps must be an integer in 1 … 10000, got 1000000000",
        ),
        (SCHEDULER, "sigma_min", "0.02", 'sigma_min must be a finite number, got "0.02"'),
        (SCHEDULER, "timestep_scale", None, "timestep_scale must be a finite number, got null"),
    ],
)
def test_a_field_that_does_not_fit(folder, capfd, file, field, value, says):
    _change(folder / file, **{field: value})
    line = _refused(folder, capfd)
    assert line.startswith(f"{file}: {says}")


@pytest.mark.parametrize(
    ("file", "fields", "says"),
    [
        (SCHEDULER, {"sigma_min": 2.0}, "sigma_min must lie strictly between 0 and 1, got 2.0"),
        (SCHEDULER, {"wobble": 1}, "unknown field 'wobble'"),
        (UNET, {"block_out_channels": [16]}, "makes no network"),
        (UNET, {"act_fn": "none such"}, "makes no network: "),
        (UNET, {"wobble": 1}, "makes no network: unknown field 'wobble'"),
        (UNET, {"norm_eps": "x"}, "makes no network: norm_eps must be like 1e-05, got 'x'"),
        (UNET, {"center_input_sample": "no"}, "makes no network: center_input_sample must be like False"),
        (UNET, {"freq_shift": []}, "makes no network: freq_shift must be like 0, got '[]'"),
        (UNET, {"downsample_type": None}, "makes no network: downsample_type must be like 'conv'"),
        (UNET, {"layers_per_block": 2}, "tensor 'down_blocks.0.resnets.1.conv1.bias' is missing from the weights (and"),
        (UNET, {"num_class_embeds": 4}, "tensor 'class_embedding.weight' must have the shape (4, 64), got (3, 64)"),
    ],
)
def test_what_makes_no_network_or_scheduler(folder, capfd, file, fields, says):
    _change(folder / INDEX, class_names=None)
    _change(folder / file, **fields)
    assert says in _refused(folder, capfd, torch_needed=True)


def test_a_tensor_too_few_or_too_many(folder, capfd):
    tensors = load_file(folder / WEIGHTS)
    save_file({name: value for name, value in tensors.items() if name != "conv_in.bias"}, folder / WEIGHTS)
    assert "unet: the tensor 'conv_in.bias' is missing from the weights; save" in _refused(
        folder, capfd, torch_needed=True
    )
    save_file({**tensors, "secret": torch.zeros(1)}, folder / WEIGHTS)
    assert _refused(folder, capfd, torch_needed=True).startswith(f"{WEIGHTS}: the network has no tensor 'secret'; save")


def test_weights_that_cannot_be_read(folder, capfd):
    weights = folder / WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[:100])
    assert _refused(folder, capfd, torch_needed=True).startswith(f"{WEIGHTS} cannot be read (")
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert "weights under another name, or a variant, are not loaded" in _refused(folder, capfd, torch_needed=True)


@pytest.mark.parametrize("shards", [5, {"conv_in.bias": 5}, {"conv_in.bias": "gone"}, {"conv_in.bias": "../x"}])
def test_shards_that_are_not_there(folder, capfd, shards):
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": shards}))
    assert _refused(folder, capfd, torch_needed=True).startswith(f"{WEIGHTS}.index.json: weight_map ")


def test_files_that_hold_no_mapping(folder, capfd):
    (folder / UNET).write_text("[]")
    assert _refused(folder, capfd).startswith(f"{UNET} must hold a mapping, got list")
    (folder / UNET).unlink()
    assert _refused(folder, capfd).startswith(f"{UNET} cannot be read (No such file")


def test_class_names_in_files_old_and_new(folder):
    names = ("shirt", "shoe", "bag")
    assert json.loads((folder / INDEX).read_text())["class_names"] == {"0": "shirt", "1": "shoe", "2": "bag"}
    _change(folder / INDEX, class_names=list(names))
    assert FlowMatchingPipeline.from_pretrained(folder).class_names == names
    assert class_names_of(None) is None
    assert class_names_of({"0": 1}) is None
