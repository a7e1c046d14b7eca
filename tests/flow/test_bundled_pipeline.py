"""The bundled Fashion-MNIST pipeline: what its card states is about these weights, and holds."""

import json
import os
from pathlib import Path

import pytest
import torch

from mmmi_hf.flow import FlowMatchingPipeline, round_trip

CARD = Path("model_cards/fashion-mnist")
BOUNDS = {"float32": 2e-5, "float64": 1e-10}


@pytest.fixture(scope="module")
def pipeline():
    return FlowMatchingPipeline.from_pretrained("fashion-mnist")


def test_it_is_small_and_has_ten_classes(pipeline):
    folder = Path("mmmi_hf/flow/pretrained/fashion-mnist")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 10_000_000
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert (pipeline.latent_shape, pipeline.num_classes) == ((1, 32, 32), 10)


def test_the_card_measures_these_weights(pipeline):
    evaluation = json.loads((CARD / "evaluation.json").read_text())
    assert evaluation["pipeline"]["digest"] == pipeline.digest
    assert json.loads((CARD / "training.json").read_text())["digest"] == pipeline.digest
    parts = evaluation["parts"]
    for dtype, bound in BOUNDS.items():
        part = parts[f"round_trip_{dtype}"]
        assert part["settings"]["per_class"] >= 64
        assert part["results"]["n"] >= 640
        assert part["results"]["failures"] == 0
        assert part["results"]["relative_error_max"] <= bound
    accuracy = parts["samples"]["results"]["accuracy"]
    assert accuracy["samples"]["overall"]["value"] >= 0.80
    assert accuracy["test_images"]["overall"]["value"] >= 0.90


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_the_round_trip_of_a_few_latents(pipeline, dtype):
    latents = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(5), dtype=dtype)
    pipe = FlowMatchingPipeline.from_pretrained("fashion-mnist", dtype=dtype)
    back = pipe.invert(pipe(latents, [3, 8]).images, [3, 8])
    error = (back - latents).flatten(1).norm(dim=1) / latents.flatten(1).norm(dim=1)
    assert float(error.max()) <= BOUNDS[str(dtype).removeprefix("torch.")]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_round_trip_over_every_class(pipeline, dtype):
    report = round_trip(pipeline, per_class=64, seed=1, dtype=dtype, batch_size=32)
    print(report)
    assert report.n == 640
    assert report.failures == 0
    assert report.relative_error_max <= BOUNDS[str(dtype).removeprefix("torch.")]


@pytest.mark.slow
@pytest.mark.statistical
def test_samples_belong_to_their_class(pipeline, tmp_path):
    from mmmi_hf.flow.evaluation import evaluate_flow

    data = os.environ.get("FASHION_MNIST")
    if data is None:
        pytest.skip("set FASHION_MNIST to a folder or Hub id of Fashion-MNIST")
    report = evaluate_flow(
        pipeline,
        data,
        tmp_path,
        samples_per_class=1000,
        round_trip_per_class=0,
        certificate_per_class=0,
        storage_per_class=0,
        seed=1,
        progress=False,
    )
    accuracy = report["parts"]["samples"]["results"]["accuracy"]
    print(accuracy)
    assert accuracy["samples"]["overall"]["value"] >= 0.80
    assert accuracy["test_images"]["overall"]["value"] >= 0.90
