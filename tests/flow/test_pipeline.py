"""The pipeline: micro-batches, labels, refusals, saving and loading without pickles."""

import copy
import json
import logging

import huggingface_hub
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from safetensors.torch import load_file

from mmmi_hf.flow import FlowMatchingPipeline, FlowMatchODEScheduler, InversionError, NotFiniteError, View
from mmmi_hf.flow.bundled import PATTERNS
from mmmi_hf.flow.diffusers_arguments import pil_images
from tests.networks import tiny_flow, tiny_sounds


@pytest.fixture(scope="module")
def saved(tiny_pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    tiny_pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def pipe(tiny_pipeline):
    """A copy that a test may change."""
    made = FlowMatchingPipeline(
        copy.deepcopy(tiny_pipeline.unet), FlowMatchODEScheduler.from_config(tiny_pipeline.scheduler.config), 2
    )
    made.set_progress_bar_config(disable=True)
    return made


def _latents(n, seed=0):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


LABELS = torch.arange(7) % 3


def test_the_bits_of_a_row_depend_on_its_place_in_its_micro_batch_alone(tiny_pipeline):
    z = _latents(7)
    whole = tiny_pipeline(z, LABELS, batch_size=3).images
    assert torch.equal(tiny_pipeline(z[3:], LABELS[3:], batch_size=3).images, whole[3:])
    assert torch.equal(tiny_pipeline(z[:4], LABELS[:4], batch_size=3).images, whole[:4]), "the last one is padded"
    assert torch.equal(tiny_pipeline(z[6:], LABELS[6:], batch_size=3).images, whole[6:])
    back = tiny_pipeline.invert(whole, LABELS, batch_size=3)
    assert torch.equal(tiny_pipeline.invert(whole[3:], LABELS[3:], batch_size=3), back[3:])
    assert torch.equal(tiny_pipeline.invert(whole[:4], LABELS[:4], batch_size=3), back[:4])


def test_labels_in_every_form_condition_the_images(tiny_pipeline):
    z = _latents(3)
    ones = tiny_pipeline(z, 1).images
    for labels in ([1, 1, 1], torch.tensor([1, 1, 1], dtype=torch.int32), torch.tensor(1)):
        assert torch.equal(tiny_pipeline(z, labels).images, ones)
    assert not torch.allclose(tiny_pipeline(z, 2).images, ones)


def test_nothing_is_clamped(tiny_pipeline):
    assert tiny_pipeline(20 * _latents(2), 0).images.abs().max() > 5


def test_the_network_is_evaluated_without_dropout_and_left_in_its_mode(pipe):
    expected = pipe(_latents(2), 0).images
    pipe.unet.train()
    assert torch.equal(pipe(_latents(2), 0).images, expected)
    assert pipe.unet.training


def test_tf32_is_off_inside_and_restored_after(pipe):
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.fp32_precision, cudnn.conv.fp32_precision
    seen = []
    pipe.unet.register_forward_pre_hook(lambda *_: seen.append((matmul.fp32_precision, cudnn.conv.fp32_precision)))
    try:
        matmul.fp32_precision = cudnn.conv.fp32_precision = "tf32"
        pipe(_latents(1), 0)
        assert set(seen) == {("ieee", "ieee")}
        assert (matmul.fp32_precision, cudnn.conv.fp32_precision) == ("tf32", "tf32")
    finally:
        matmul.fp32_precision, cudnn.conv.fp32_precision = before


def test_a_network_without_classes():
    pipe = tiny_flow((2, 4, 8), widths=(8,), classes=None, patch_size=1, num_inference_steps=1)
    assert (pipe.latent_shape, pipe.num_classes) == ((2, 4, 8), None)
    z = torch.randn(2, 2, 4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(pipe.invert(pipe(z).images), z, atol=1e-5)
    with pytest.raises(ValueError, match="class_labels must be None"):
        pipe(z, 0)


def test_precision_and_batch_size_are_checked_in_one_line(tiny_pipeline):
    cases = [
        (_latents(2).double(), {}, r"pipeline's dtype torch.float32, got torch.float64; .*\.to\(torch.float64\)"),
        (_latents(2), {"batch_size": 0}, "batch_size must be a positive integer or None, got 0"),
        (_latents(2), {"batch_size": True}, "batch_size must be a positive integer or None, got True"),
    ]
    for values, options, match in cases:
        for function in (tiny_pipeline, tiny_pipeline.invert):
            with pytest.raises(ValueError, match=match) as caught:
                function(values, 0, **options)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("patch", "names", "match"),
    [(3, None, "multiple of patch_size² = 9"), (0, None, "patch_size"), (2, ["a"], "the 3 classes of the unet, got 1")],
)
def test_parts_that_do_not_fit_are_refused(tiny_pipeline, patch, names, match):
    with pytest.raises(ValueError, match=match):
        FlowMatchingPipeline(tiny_pipeline.unet, tiny_pipeline.scheduler, patch_size=patch, class_names=names)


def test_a_row_that_cannot_be_inverted_is_named_or_nan(pipe):
    pipe.scheduler = FlowMatchODEScheduler(num_inference_steps=1)
    images = pipe(_latents(4), 0).images.clone()
    pipe.unet.register_forward_hook(_jumps_where_rows_are_large)
    images[2] += 300.0
    with pytest.raises(InversionError, match=r"step 0 of 1 .* \(2\)") as caught:
        pipe.invert(images, 0)
    assert "\n" not in str(caught.value)
    back = pipe.invert(images, 0, on_failure="nan")
    assert back[2].isnan().all()
    assert torch.allclose(back[[0, 1, 3]], _latents(4)[[0, 1, 3]], atol=1e-4)


def _jumps_where_rows_are_large(_module, inputs, output):
    """A velocity that jumps back and forth wherever a row is large: no step reaches the images asked for."""
    x = inputs[0]
    large = x.flatten(1).abs().amax(1) > 100
    output.sample = torch.where(large[:, None, None, None], 1e4 * torch.sign(torch.sin(1e4 * x)), output.sample)


def test_saved_files_may_be_read_by_those_who_may_read_others(saved):
    assert len({path.stat().st_mode for path in saved.rglob("*") if path.is_file()}) == 1


def test_saved_files_are_json_and_safetensors(saved):
    files = sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file())
    assert files == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ]


def test_saving_pickles_is_refused(tiny_pipeline, tmp_path):
    with pytest.raises(ValueError, match="safe_serialization must be True"):
        tiny_pipeline.save_pretrained(tmp_path, safe_serialization=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("load", [FlowMatchingPipeline.from_pretrained, DiffusionPipeline.from_pretrained])
def test_what_was_saved_is_loaded_to_the_bit(tiny_pipeline, saved, load):
    loaded = load(str(saved))
    assert type(loaded) is FlowMatchingPipeline
    assert type(loaded.scheduler) is FlowMatchODEScheduler
    assert loaded.scheduler.config.num_inference_steps == 4
    assert loaded.class_names == ("shirt", "shoe", "bag")
    assert loaded.digest == tiny_pipeline.digest
    loaded.set_progress_bar_config(disable=True)
    assert torch.equal(loaded(_latents(3), 1).images, tiny_pipeline(_latents(3), 1).images)


def test_weights_kept_in_half_are_loaded_in_float32_with_the_same_digest(pipe, tmp_path):
    pipe.unet.half()
    digest = pipe.digest
    pipe.save_pretrained(tmp_path)
    assert {tensor.dtype for tensor in load_file(next(tmp_path.rglob("*.safetensors"))).values()} == {torch.float16}
    loaded = FlowMatchingPipeline.from_pretrained(tmp_path)
    assert loaded.unet.dtype == torch.float32
    assert loaded.digest == digest
    assert FlowMatchingPipeline.from_pretrained(tmp_path, dtype=torch.float64).digest == digest


def test_the_digest_sees_every_part_of_the_map(pipe):
    digests = {pipe.digest}
    with torch.no_grad():
        pipe.unet.conv_out.bias[0] += 1e-3
    digests.add(pipe.digest)
    pipe.scheduler = FlowMatchODEScheduler(num_inference_steps=5)
    digests.add(pipe.digest)
    assert len(digests) == 3


def test_a_repository_is_downloaded_without_code_or_pickles(saved, monkeypatch):
    asked = {}

    def download(repo, **options):
        asked.update(options, repo=repo)
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    pipe = FlowMatchingPipeline.from_pretrained("owner/name", revision="v1")
    assert pipe.num_classes == 3
    assert (asked["repo"], asked["revision"], asked["allow_patterns"]) == ("owner/name", "v1", PATTERNS)
    assert not any(pattern.endswith((".py", ".bin", ".pt", "*")) for pattern in PATTERNS)


def test_folders_that_are_no_pipeline_are_refused(tiny_pipeline, tmp_path):
    def refused(match):
        with pytest.raises(ValueError, match=match) as caught:
            FlowMatchingPipeline.from_pretrained(tmp_path)
        assert "\n" not in str(caught.value)

    refused("model_index.json is missing")
    tiny_pipeline.save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    good = index.read_text()
    index.write_text("{")
    refused("not valid JSON")
    index.write_text(json.dumps({**json.loads(good), "_class_name": "DDPMPipeline"}))
    refused("holds a DDPMPipeline, not a FlowMatchingPipeline")
    index.write_text(good)
    weights = next(tmp_path.rglob("*.safetensors"))
    torch.save(load_file(weights), weights.with_name("diffusion_pytorch_model.bin"))
    weights.unlink()
    refused("pickled weights are never loaded")


def test_names_are_resolved_or_refused(saved):
    with pytest.raises(ValueError, match=r"no pipeline 'nothing': give one of .*fashion-mnist.*, a pipeline's folder"):
        FlowMatchingPipeline.from_pretrained("nothing")
    with pytest.raises(ValueError, match="revision must be None for a bundled or local pipeline"):
        FlowMatchingPipeline.from_pretrained(saved, revision="main")


def test_autocast_is_off_inside(tiny_pipeline):
    expected = tiny_pipeline(_latents(2), 0).images
    with torch.autocast("cpu", torch.bfloat16):
        images = tiny_pipeline(_latents(2), 0).images
        back = tiny_pipeline.invert(images, 0)
        assert torch.is_autocast_enabled("cpu"), "and on again after"
    assert torch.equal(images, expected)
    assert torch.equal(back, tiny_pipeline.invert(expected, 0))


def test_images_that_are_not_finite_are_refused(tiny_pipeline):
    z = _latents(3)
    z[1] *= 1e38
    with pytest.raises(NotFiniteError, match=r"images must be finite, got NaN or infinity in rows \[1\]") as caught:
        tiny_pipeline(z, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labels", ["7", ["a", "b"], {1}, [None, None]])
def test_labels_that_are_no_numbers(tiny_pipeline, labels):
    with pytest.raises(ValueError, match=r"class_labels must be integers in 0 … 2, one for all rows or one for each"):
        tiny_pipeline(_latents(2), labels)


def test_latents_are_drawn_where_none_are_given(tiny_pipeline):
    def drawn(**options):
        return tiny_pipeline(generator=torch.Generator().manual_seed(3), **options).images

    z = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn(class_labels=2, num_images=4), tiny_pipeline(z, 2).images)
    assert torch.equal(drawn(class_labels=[0, 1, 2, 0]), tiny_pipeline(z, [0, 1, 2, 0]).images)
    assert torch.equal(drawn(class_labels=torch.tensor(2)), tiny_pipeline(z[:1], 2).images)
    assert tiny_pipeline.in_precision(torch.float64)(class_labels=1, num_images=2).images.dtype == torch.float64


def test_pictures_are_clamped_and_for_looking_only(tiny_pipeline):
    z = 20 * _latents(2)
    pictures = tiny_pipeline(z, 0, output_type="pil").images
    expected = ((tiny_pipeline(z, 0).images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    assert [(picture.mode, picture.size) for picture in pictures] == [("L", (8, 8))] * 2
    assert torch.equal(torch.stack([torch.from_numpy(np.array(picture)) for picture in pictures]), expected[:, 0])
    assert expected.min() == 0 and expected.max() == 255  # noqa: PT018


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (2, None)])
def test_pictures_have_colours_or_are_refused(channels, mode):
    images = torch.zeros(1, channels, 4, 4)
    if mode is None:
        with pytest.raises(ValueError, match="output_type must be 'pt': images of 2 channels are neither grey nor RGB"):
            pil_images(images, View.of_shape((channels, 4, 4), 1.0))
    else:
        (picture,) = pil_images(images, View.of_shape((channels, 4, 4), 1.0))
        assert (picture.mode, picture.getpixel((0, 0))) == (mode, (128, 128, 128))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_inference_steps": 50}, "num_inference_steps must be None, got 50: the steps are the map; make another"),
        ({"return_dict": False}, r"return_dict must be True, got False: the result has one form, \.images"),
        ({"callback_on_step_end": print}, "callback_on_step_end must be None, .* nothing may change a sample"),
        ({"guidance_scale": 7.5}, "guidance_scale must be None, got 7.5: there is no guidance"),
        ({"output_type": "np"}, r"output_type must be 'pt' \(tensors\) or 'pil'"),
        ({"latents": _latents(2), "generator": torch.Generator()}, "generator must be None where latents are given"),
        ({"latents": _latents(2), "num_images": 2}, "num_images must be None where latents are given"),
        ({"num_images": 0}, "num_images must be a positive integer, got 0"),
        ({"num_images": True}, "num_images must be a positive integer, got True"),
        ({"generator": [torch.Generator()]}, "generator must be one torch.Generator for all images, got list"),
    ],
)
def test_arguments_of_diffusers_that_have_no_meaning_here(tiny_pipeline, options, match):
    with pytest.raises(ValueError, match=match) as caught:
        tiny_pipeline(class_labels=0, **options)
    assert "\n" not in str(caught.value)


def test_arguments_that_ask_for_nothing_are_taken_and_nobodys_are_not(tiny_pipeline):
    z = _latents(1)
    assert torch.equal(
        tiny_pipeline(z, 0, return_dict=True, num_inference_steps=None).images, tiny_pipeline(z, 0).images
    )
    with pytest.raises(TypeError, match="wobble is no argument of a flow-matching pipeline"):
        tiny_pipeline(z, 0, wobble=1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"variant": "fp16"}, "variant must be None, got 'fp16': a pipeline has one set of weights"),
        (
            {"device_map": "balanced"},
            r"device_map must be None, got 'balanced': load it, then move it with \.to\(device\)",
        ),
        ({"use_safetensors": False}, "use_safetensors must be True, got False"),
        ({"trust_remote_code": True}, "trust_remote_code must be False, got True: no code of a repository is run"),
        ({"torch_dtype": torch.float64, "dtype": torch.float32}, "torch_dtype must be dtype, or be left out"),
        ({"dtype": "float64"}, "dtype must be a floating-point torch.dtype, got 'float64'"),
        ({"dtype": torch.int64}, "dtype must be a floating-point torch.dtype"),
    ],
)
def test_arguments_of_loading_that_have_no_meaning_here(saved, options, match):
    with pytest.raises(ValueError, match=match):
        FlowMatchingPipeline.from_pretrained(saved, **options)


def test_diffusers_name_of_the_dtype_is_taken(saved):
    assert FlowMatchingPipeline.from_pretrained(saved, torch_dtype=torch.float64, variant=None).dtype == torch.float64


def test_a_variant_is_not_saved(tiny_pipeline, tmp_path):
    with pytest.raises(ValueError, match=r"variant must be None, got 'fp16': it could not be loaded again"):
        tiny_pipeline.save_pretrained(tmp_path, variant="fp16")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("load", [FlowMatchingPipeline.from_pretrained, DiffusionPipeline.from_pretrained])
def test_where_a_pipeline_was_loaded_from_is_not_stored(saved, tmp_path, load):
    load(str(saved)).save_pretrained(tmp_path)
    for path in tmp_path.rglob("*.json"):
        assert "_name_or_path" not in path.read_text()
        assert str(saved) not in path.read_text()


def test_diffusers_loads_pipelines_of_sounds(tmp_path):
    made = tiny_sounds(companding={"knee": 0.1, "scale": 1.1})
    made.save_pretrained(tmp_path)
    found = DiffusionPipeline.from_pretrained(str(tmp_path))
    assert (found.digest, found.layout) == (made.digest, made.layout)


def test_another_scheduler_or_network_is_refused(tiny_pipeline, saved):
    match = "scheduler must be a FlowMatchODEScheduler, got DDIMScheduler"
    with pytest.raises(ValueError, match=match):
        FlowMatchingPipeline(tiny_pipeline.unet, DDIMScheduler(), patch_size=2)
    with pytest.raises(ValueError, match=match):
        DiffusionPipeline.from_pretrained(str(saved), scheduler=DDIMScheduler())
    with pytest.raises(ValueError, match="unet must be a UNet2DModel, got NoneType"):
        FlowMatchingPipeline(None, tiny_pipeline.scheduler)


@pytest.mark.parametrize(("patch", "names"), [("2", None), (True, None), (2, 5), (2, ["a", "b", 3])])
def test_settings_of_other_types_are_refused(tiny_pipeline, patch, names):
    with pytest.raises(ValueError, match=r"(patch_size|class_names) must be a"):
        FlowMatchingPipeline(tiny_pipeline.unet, tiny_pipeline.scheduler, patch_size=patch, class_names=names)


def test_another_precision_is_a_map_of_its_own(pipe):
    same, wide = pipe.in_precision(torch.float32), pipe.in_precision(torch.float64)
    assert same.unet is pipe.unet, "weights are shared where they stay"
    assert same.scheduler is not pipe.scheduler
    assert (pipe.dtype, wide.dtype, wide.class_names) == (torch.float32, torch.float64, pipe.class_names)
    pipe.unet.train()
    assert not pipe.in_precision(torch.float32).unet.training
    assert pipe.unet.training


def test_the_set_up_of_a_network(pipe):
    expected = pipe(_latents(2), 0).images
    pipe.set_up(channels_last=True)
    assert pipe.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(pipe(_latents(2), 0).images, expected, atol=1e-5)
    called = []
    pipe.unet._compiled_call_impl = lambda *given, **named: called.append(1) or pipe.unet._call_impl(*given, **named)
    pipe.warm_up(2, 0)
    assert called, "what is compiled at the first call is compiled now"


def test_a_warning_that_names_nothing_is_dropped(tiny_pipeline):
    logger = logging.getLogger("diffusers.models.modeling_utils")
    said = {modules: f"modules should be kept in float32: {modules}" for modules in ("[]", "['norm']")}
    records = {each: logger.makeRecord("n", logging.WARNING, "f", 1, text, (), None) for each, text in said.items()}
    assert not logger.filter(records["[]"])
    assert logger.filter(records["['norm']"])
