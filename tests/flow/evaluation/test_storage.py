"""Storage losses: quantisation against its definition, and errors that grow as the format gets coarser."""

import pytest
import torch

from mmmi_hf.flow.bijection import View
from mmmi_hf.flow.evaluation.record import StorageLoss
from mmmi_hf.flow.evaluation.storage import _errors, formats_of, quantised, storage_losses
from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler
from tests.networks import tiny_sounds


@pytest.fixture(scope="module")
def pipeline(small_recipe):
    return FlowMatchingPipeline(
        small_recipe.network(2).eval(), FlowMatchODEScheduler(num_inference_steps=2), patch_size=2
    )


def test_quantised_values_are_the_nearest_levels():
    x = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    stored = quantised(x, 8, 1.6)
    levels = torch.linspace(-1.6, 1.6, 256, dtype=torch.float64)
    assert len(stored.unique()) == 256
    nearest = (x.clamp(-1.6, 1.6)[:, None] - levels).abs().min(1).values
    assert torch.allclose((stored - x.clamp(-1.6, 1.6)).abs(), nearest, atol=1e-12)
    assert stored[0] == -1.6
    assert stored[-1] == pytest.approx(1.6)


def test_coarser_formats_lose_more(pipeline):
    report = storage_losses(pipeline, 2, batch_size=4, progress=False)
    assert report.rows == 4
    errors = [report.formats[name].relative_error for name in formats_of(pipeline.view)]
    assert errors == sorted(errors)
    assert errors[0] < 1e-5 < errors[1] < 1e-2 < errors[3]
    assert all(row.failed == 0 for row in report.formats.values())
    assert pipeline.unet.dtype == torch.float32, "the pipeline itself is left as it was"


def test_images_keep_the_names_of_their_formats():
    wide, narrow = "8 bits over ±1.6", "8 bits over ±1 (an ordinary PNG)"
    assert list(formats_of(View("image", 1.0))) == ["float32", "float16", wide, narrow]


def test_sounds_are_stored_as_wav_files():
    sound = tiny_sounds(num_inference_steps=2)
    report = storage_losses(sound, 1, batch_size=2, progress=False)
    assert list(report.formats) == ["float32", "float16", "16 bits over ±4 (a WAV file)", "8 bits over ±4"]
    of_wav, of_bytes = list(report.formats.values())[2:]
    assert of_wav.relative_error < of_bytes.relative_error / 50
    assert of_wav.failed == of_bytes.failed == 0


def test_errors_in_closed_form():
    z = torch.ones(3, 1, 2, 2, dtype=torch.float64)
    found = _errors(z, z + 0.1)
    assert found.relative_error == pytest.approx(0.1)
    assert found.mean_direction_error == pytest.approx(0.2), "four coordinates of 0.1 along (1,1,1,1)/2"
    lost = z + 0.1
    lost[1] = torch.nan
    assert dict(_errors(z, lost)) == pytest.approx(dict(found) | {"failed": 1})
    assert _errors(z, torch.full_like(z, torch.nan)) == StorageLoss(failed=3)
