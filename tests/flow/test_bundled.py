"""The bundled pipelines: what their cards state is about these weights, and holds."""

import json
import os
from pathlib import Path

import pytest
import torch

from mmmi_hf.dataset.certificate.recording import step_certificates
from mmmi_hf.dataset.releases.pipelines import CIFAR10_PIPELINE, DEFAULT_PIPELINE, SOUND_PIPELINE
from mmmi_hf.flow import FlowMatchingPipeline, bundled_pipelines, round_trip
from mmmi_hf.flow.bundled import RELEASED

BOUNDS = {"float32": 2e-5, "float64": 1e-10}


@pytest.fixture(scope="module", params=RELEASED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def pipeline():
    return FlowMatchingPipeline.from_pretrained("fashion-mnist")


def evaluation_of(name):
    return json.loads(Path(f"model_cards/{name}/evaluation.json").read_text())


def test_what_is_released_is_bundled_and_used():
    assert bundled_pipelines() == RELEASED
    assert set(RELEASED) - {DEFAULT_PIPELINE, CIFAR10_PIPELINE, SOUND_PIPELINE} == {
        "fashion-mnist"
    }  # what version 1.0.0 was made by


def test_they_are_small_and_have_ten_classes(name):
    files = [path for path in Path(f"mmmi_hf/flow/pretrained/{name}").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= (24_000_000 if name == "cifar10" else 10_000_000)
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    pipe = FlowMatchingPipeline.from_pretrained(name)
    shape = {"cifar10": (3, 32, 32), "instruments": (2048,)}.get(name, (1, 32, 32))
    assert (pipe.latent_shape, pipe.num_classes) == (shape, 10)
    assert pipe.view.kind == ("sound" if name == "instruments" else "image")


def test_the_card_measures_these_weights(name):
    digest = FlowMatchingPipeline.from_pretrained(name).digest
    evaluation = evaluation_of(name)
    assert evaluation["pipeline"]["digest"] == digest
    assert json.loads(Path(f"model_cards/{name}/training.json").read_text())["digest"] == digest
    for dtype, bound in BOUNDS.items():
        results = evaluation["parts"][f"round_trip_{dtype}"]["results"]
        assert results["n"] >= 10
        assert results["failures"] == 0
        assert results["relative_error_max"] <= bound
    samples = evaluation["parts"]["samples"]
    assert samples["settings"]["per_class"] >= 100
    assert {"certificate", "storage"} <= evaluation["parts"].keys()


def test_samples_of_the_card_are_of_their_class(name):
    accuracy = evaluation_of(name)["parts"]["samples"]["results"]["accuracy"]
    assert accuracy["samples"]["overall"]["value"] >= 0.80
    assert accuracy["test_images"]["overall"]["value"] >= 0.90


def test_the_card_of_the_default_pipeline():
    parts = evaluation_of("fashion-mnist")["parts"]
    assert all(parts[f"round_trip_{dtype}"]["results"]["n"] >= 640 for dtype in BOUNDS)


def test_the_card_of_the_pipeline_of_cifar10():
    parts = evaluation_of("cifar10")["parts"]
    assert parts["samples"]["settings"]["per_class"] >= 1000
    assert "classification_accuracy_score" in parts


def test_the_card_of_the_pipeline_of_sounds():
    parts = evaluation_of("instruments")["parts"]
    assert parts["samples"]["settings"]["per_class"] >= 300
    assert parts["round_trip_float32"]["results"]["n"] >= 160
    assert FlowMatchingPipeline.from_pretrained("instruments").view.rate == 8000


def test_no_step_of_a_card_folds(name):
    measured = evaluation_of(name)["parts"]["certificate"]["results"]
    assert min(step["smallest_stretch"] for step in measured["steps"]) == measured["smallest_stretch"] > 0.1
    assert all(step["contraction"] < 5.0 and step["monotonicity"] > 0.1 for step in measured["steps"])


def test_certificates_of_datasets_cite_the_step_certificate_of_the_card(name):
    evaluation = evaluation_of(name)
    measured = evaluation["parts"]["certificate"]["results"]
    assert step_certificates()[evaluation["pipeline"]["digest"]].model_dump() == {
        key: value for key, value in measured.items() if key != "steps"
    }


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)])
def test_the_round_trip_of_a_few_latents(name, dtype):
    pipe = FlowMatchingPipeline.from_pretrained(name, dtype=dtype)
    # The network of cifar10 is large; the card has twenty of them. Released sounds are of class 5.
    labels = {"cifar10": [8], "instruments": [3, 5, 8]}.get(name, [3, 8])
    latents = torch.randn(len(labels), *pipe.latent_shape, generator=torch.Generator().manual_seed(5), dtype=dtype)
    back = pipe.invert(pipe(latents, labels).images, labels)
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
    from mmmi_hf.flow.evaluation.evaluate import evaluate_flow

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
    accuracy = report.parts.samples.results.accuracy
    print(accuracy)
    assert accuracy.samples.overall.value >= 0.80
    assert accuracy.test_images.overall.value >= 0.90
