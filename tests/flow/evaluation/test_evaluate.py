"""The evaluation end to end on a tiny pipeline: its parts, what is kept between runs, and every refusal."""

import json

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from mmmi_hf.flow.evaluation import evaluate as evaluation
from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.evaluation.evaluate import evaluate_flow
from mmmi_hf.flow.evaluation.real_images import EvaluationDataset
from mmmi_hf.flow.evaluation.record import BandLevels, Evaluation, Parts
from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler
from mmmi_hf.flow.training.recipe import TrainingRecipe
from tests.flow.training.recipes import signals_of
from tests.networks import tiny_sounds

QUICK = ClassifierSettings(widths=(4, 4, 8), epochs=1, batch_size=16, max_shift=1, mixed_precision=False)
SKIP = {"samples_per_class": 0, "round_trip_per_class": 0, "certificate_per_class": 0, "storage_per_class": 0}


def _pipeline(channels=1, classes=2):
    recipe = TrainingRecipe(
        "none",
        channels=channels,
        image_size=8,
        block_out_channels=(8, 8),
        attention=(False, False),
        norm_num_groups=4,
        attention_head_dim=4,
    )
    scheduler = FlowMatchODEScheduler(num_inference_steps=2)
    return FlowMatchingPipeline(recipe.network(classes).eval(), scheduler, patch_size=2, class_names=["cat", "dog"])


@pytest.fixture(scope="module")
def pipeline():
    return _pipeline()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset folder of colour images with two classes; read as grey by a one-channel pipeline."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    for split, n in (("train", 40), ("test", 20)):
        images = [Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)) for _ in range(n)]
        table = datasets.Dataset.from_dict({"image": images, "label": [i % 2 for i in range(n)]}, features=features)
        table.to_parquet(folder / f"{split}.parquet")
    return str(folder)


def _evaluate(pipeline, data, out, **changes):
    small = {"samples_per_class": 3, "round_trip_per_class": 2, "certificate_per_class": 1, "storage_per_class": 1}
    fixed = {"batch_size": 4, "classifier": QUICK, "progress": False}
    return evaluate_flow(pipeline, data, out, **{**small, **fixed, **changes})


def test_every_part_is_measured_and_written(pipeline, data, tmp_path):
    report = _evaluate(pipeline, data, tmp_path / "out", cas=True)
    assert Evaluation.read(tmp_path / "out/evaluation.json") == report
    assert len(report.parts.measured) == len(Parts.model_fields) == 6
    assert report.pipeline.digest == pipeline.digest
    assert report.pipeline.class_names == ("cat", "dog")
    assert report.pipeline.scheduler.sigma_min == 0.02
    for part in report.parts.measured.values():
        assert part.seconds >= 0
        assert part.command.startswith("mmmi-hf evaluate-flow PIPELINE --dataset")
        assert part.versions["torch"] == torch.__version__
    assert report.parts.round_trip_float32.results.relative_error_max < 1e-4
    assert report.parts.round_trip_float64.results.relative_error_max < 1e-10
    assert report.parts.round_trip_float64.results.n == 4
    assert len(report.parts.certificate.results.steps) == 2
    assert report.parts.storage.results.rows == 2
    assert report.parts.samples.results.accuracy.samples.overall.images == 6
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"evaluation.json", "samples.png", "neighbours.png", "cache"}


def test_colour_pipelines_are_evaluated_too(data, tmp_path):
    colour = _pipeline(channels=3)
    report = evaluate_flow(
        colour,
        data,
        tmp_path / "out",
        **{**SKIP, "samples_per_class": 2},
        classifier=QUICK,
        cache=tmp_path / "elsewhere",
        progress=False,
    )
    assert set(report.parts.measured) == {"Quality of the samples"}
    assert not (tmp_path / "out/cache").exists()
    assert list((tmp_path / "elsewhere").glob("classifier-*.safetensors"))


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """A dataset folder of sounds of two classes: tones of 1 and of 3 kHz, as numbers of 16 bits."""
    folder = tmp_path_factory.mktemp("notes")
    rng, time = np.random.default_rng(0), np.arange(512) / 8000
    for split, n in (("train", 40), ("test", 20)):
        hertz = np.array([1000, 3000])[np.arange(n) % 2] + rng.uniform(-50, 50, n)
        rows = (2000 * np.sin(2 * np.pi * hertz[:, None] * time)).astype(np.int16)
        signals_of(list(rows), names=("cat", "dog")).to_parquet(folder / f"{split}.parquet")
    return str(folder)


def test_sounds_are_judged_by_their_spectrograms(notes, tmp_path):
    pipeline = tiny_sounds(512, num_inference_steps=2)
    data = EvaluationDataset(notes, signal_column="signal", gain=1 / 1000)
    report = _evaluate(pipeline, data, tmp_path / "out", cas=True)
    assert report.pipeline.kind == "sound"
    found = report.parts.samples.results
    assert found.accuracy.test_images.overall.images == 20
    assert found.pixels.share_clipped == pytest.approx(0.0, abs=0.01)
    assert found.sheets.spectra == "spectra.png"
    assert {"samples.png", "neighbours.png", "spectra.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert report.parts.samples.command.split()[5:9] == ["--signal-column", "signal", "--gain", "0.001"]
    low, high = (found.spectra.per_class[name] for name in ("cat", "dog"))
    bands = found.spectra.bands_to
    assert (len(bands), bands[0], bands[-1]) == (16, 250.0, 4000.0)
    for levels, band in ((low, 4), (high, 12)):  # 1 and 3 kHz lie at the ends of bands
        around = 10 * np.log10(np.sum(10 ** (np.array(levels.test_sounds[band - 1 : band + 1]) / 10)))
        assert around == pytest.approx(10 * np.log10(2**2 / 2), abs=0.2), "a sine of amplitude 2"
        assert levels.difference(levels.test_sounds) == 0.0
    assert low.difference(high.test_sounds) > 10


def test_a_band_without_sounds_has_no_difference():
    assert BandLevels(samples=(), training_sounds=(), test_sounds=(1.0,)).difference(()) is None


@pytest.mark.parametrize(
    ("makes_sounds", "column", "says"),
    [(True, None, "signal_column must name the column of the signals for a pipeline that makes .* 'sound', got None"),
     (False, "signal", "signal_column must be left out for a pipeline that makes .* 'image', got 'signal'")],
)  # fmt: skip
def test_the_column_of_signals_goes_with_sounds(pipeline, notes, tmp_path, makes_sounds, column, says):
    made = tiny_sounds(512, num_inference_steps=1) if makes_sounds else pipeline
    data = EvaluationDataset(notes, signal_column=column)
    with pytest.raises(ValueError, match=says):
        _evaluate(made, data, tmp_path, round_trip_per_class=0, certificate_per_class=0, storage_per_class=0)


def test_what_is_there_with_the_same_settings_is_kept(pipeline, data, tmp_path, monkeypatch):
    first = _evaluate(pipeline, data, tmp_path)
    monkeypatch.setattr(EvaluationDataset, "load", lambda *a: pytest.fail("images were loaded again"))
    for name in ("stored_samples", "round_trip", "step_certificate", "storage_losses"):
        monkeypatch.setattr(evaluation, name, lambda *a, n=name, **k: pytest.fail(f"{n} was measured again"))
    assert _evaluate(pipeline, data, tmp_path) == first
    with pytest.raises(pytest.fail.Exception, match="round_trip was measured again"):
        _evaluate(pipeline, data, tmp_path, round_trip_per_class=3)


def test_parts_can_be_made_in_separate_runs(pipeline, data, tmp_path):
    evaluate_flow(pipeline, None, tmp_path, **{**SKIP, "storage_per_class": 1}, command="first", progress=False)
    report = evaluate_flow(
        pipeline, None, tmp_path, **{**SKIP, "certificate_per_class": 1}, command="second", progress=False
    )
    commands = {title: part.command for title, part in report.parts.measured.items()}
    assert commands == {"Storage": "first", "Step certificate": "second"}


def test_a_killed_evaluation_keeps_its_finished_parts(pipeline, data, tmp_path, monkeypatch):
    def killed(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "step_certificate", killed)
    with pytest.raises(KeyboardInterrupt):
        _evaluate(pipeline, data, tmp_path)
    kept = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(kept["parts"]) == {"samples", "round_trip_float32", "round_trip_float64"}
    assert not list(tmp_path.rglob("*.partial"))


def test_a_pipeline_is_loaded_by_its_folder_and_named_in_the_command(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "pipe")
    report = evaluate_flow(
        tmp_path / "pipe", None, tmp_path / "out", **{**SKIP, "storage_per_class": 1}, progress=False
    )
    command = report.parts.storage.command
    assert f"evaluate-flow {tmp_path / 'pipe'} --out" in command
    assert command.endswith("--storage-per-class 1 --seed 0 --batch-size 50")


def test_classifiers_are_given_by_files_and_named_in_the_command(pipeline, data, tmp_path):
    files = {name: tmp_path / f"{name}.yaml" for name in ("judge", "pupil")}
    files["judge"].write_text("{widths: [4, 4, 8], epochs: 1, batch_size: 16}")
    files["pupil"].write_text("{widths: [4, 4, 4], epochs: 1, batch_size: 16}")
    chosen = {"classifier": str(files["judge"]), "cas_classifier": files["pupil"]}
    report = _evaluate(pipeline, data, tmp_path / "out", **SKIP | {"samples_per_class": 2}, cas=True, seed=3, **chosen)
    judge, pupil = (
        part.settings.classifier for part in (report.parts.samples, report.parts.classification_accuracy_score)
    )
    assert (judge.widths, judge.seed) == ((4, 4, 8), 3)
    assert (pupil.widths, pupil.seed) == ((4, 4, 4), 3)
    command = report.parts.samples.command
    assert f"--cas --classifier {files['judge']} --cas-classifier {files['pupil']} --seed 3" in command
    assert {part.device for part in report.parts.measured.values()} == {"cpu"}


def test_it_is_computed_where_it_is_asked_for(pipeline, tmp_path):
    one = {**SKIP, "storage_per_class": 1}
    for device in ("cuda:99", "nonsense", "meta"):
        with pytest.raises(ValueError, match=f"device must be one that torch can use here, got '{device}'"):
            evaluate_flow(pipeline, None, tmp_path, **one, device=device, progress=False)
    assert not (tmp_path / "evaluation.json").exists()
    report = evaluate_flow(pipeline, None, tmp_path, **one, device="cpu", progress=False)
    assert report.parts.storage.device == "cpu"


def test_dataset_options_reach_the_reader(pipeline, data, tmp_path):
    options = EvaluationDataset(data, test_split="train", image_column="image", label_column="label")
    report = _evaluate(pipeline, options, tmp_path, **{**SKIP, "samples_per_class": 1})
    assert report.parts.samples.settings.dataset.test_split == "train"
    assert report.parts.samples.results.frechet.rows.test_images == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples_per_class": -1}, r"samples_per_class must be 0 \(skip this part\) or a whole number, got -1"),
        ({"storage_per_class": -2}, "storage_per_class must be 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"samples_per_class": 0, "cas": True}, "cas needs samples"),
        ({"dataset": None}, "dataset must be given to judge samples"),
        ({"cas_classifier": "other.yaml"}, "cas_classifier needs cas, got other.yaml without"),
        ({"samples_per_class": 0}, "classifier needs samples to judge, got .* and samples_per_class=0"),
        ({"classifier": "nowhere.yaml"}, "there is no file nowhere.yaml"),
    ],
)
def test_requests_that_make_no_sense_are_refused(pipeline, data, tmp_path, changes, message):
    dataset = changes.pop("dataset", data)
    with pytest.raises(ValueError, match=message):
        _evaluate(pipeline, dataset, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_a_pipeline_without_classes_is_refused(tmp_path, small_recipe):
    unconditional = FlowMatchingPipeline(small_recipe.network(None), FlowMatchODEScheduler(), patch_size=2)
    with pytest.raises(ValueError, match="pipeline must have classes"):
        evaluate_flow(unconditional, None, tmp_path, **SKIP)


def test_data_of_other_classes_are_refused(data, tmp_path, small_recipe):
    three = FlowMatchingPipeline(small_recipe.network(3), FlowMatchODEScheduler(num_inference_steps=2), patch_size=2)
    with pytest.raises(ValueError, match=r"has 2 classes in training and 2 in test, the pipeline has 3"):
        _evaluate(three, data, tmp_path, **{**SKIP, "samples_per_class": 1})


def test_folders_of_something_else_are_left_alone(pipeline, tmp_path):
    one = {**SKIP, "storage_per_class": 1}
    report = tmp_path / "evaluation.json"
    evaluate_flow(pipeline, None, tmp_path, **one, progress=False)
    report.write_text(report.read_text().replace(pipeline.digest, "ab" * 32))
    with pytest.raises(ValueError, match="evaluation of another pipeline"):
        evaluate_flow(pipeline, None, tmp_path, **one)
    report.write_text("{")
    with pytest.raises(ValueError, match=r"evaluation.json: invalid JSON"):
        evaluate_flow(pipeline, None, tmp_path, **one)
    report.write_text("[]")
    with pytest.raises(ValueError, match=r"evaluation.json: input should be an object"):
        evaluate_flow(pipeline, None, tmp_path, **one)
    report.write_text('{"format": 1, "parts": {"samples": {"settings": {"seed": "0"}}}}')
    with pytest.raises(ValueError, match=r"evaluation.json, line 1: pipeline: is missing"):
        evaluate_flow(pipeline, None, tmp_path, **one)
    with pytest.raises(ValueError, match="out must be a folder"):
        evaluate_flow(pipeline, None, report, **one)
