"""`evaluate-flow` on the command line: its options arrive, and wrong ones are one line."""

import json
from pathlib import Path

import pytest

from mmmi_hf.dataset.generation.rows import MICRO_BATCH
from mmmi_hf.flow.evaluation import evaluate as evaluation
from mmmi_hf.flow.evaluation.map_share import MapShare
from mmmi_hf.flow.evaluation.real_images import EvaluationDataset
from mmmi_hf.flow.evaluation.record import Evaluation
from tests.networks import smaller_flow


def test_every_option_of_the_evaluation_arrives(run, tmp_path, monkeypatch):
    seen = {}

    def measured(pipeline, dataset, out, **keywords):
        seen.update(keywords, pipeline=pipeline, dataset=dataset, out=out)
        return Evaluation.read(Path("model_cards/fashion-mnist/evaluation.json"))

    monkeypatch.setattr(evaluation, "evaluate_flow", measured)
    numbers = ("--samples-per-class", 1, "--round-trip-per-class", 2, "--certificate-per-class", 3)
    files = ("--classifier", "judge.yaml", "--cas-classifier", "pupil.yaml")
    others = ("--storage-per-class", 4, "--cas", "--device", "cpu", "--seed", 5, "--batch-size", 6, "--quiet")
    data = ("--dataset", "data", "--signal-column", "sound", "--gain", 0.5)
    code, out, _ = run("evaluate-flow", "pipe", *data, "--out", tmp_path, *numbers, *files, *others)
    assert code == 0
    assert "storage: formats.float32.relative error" in out
    assert "samples: accuracy.samples.overall.value" in out
    assert seen == {
        "pipeline": "pipe",
        "dataset": EvaluationDataset("data", signal_column="sound", gain=0.5),
        "out": tmp_path,
        "samples_per_class": 1,
        "round_trip_per_class": 2,
        "certificate_per_class": 3,
        "storage_per_class": 4,
        "cas": True,
        "classifier": Path("judge.yaml"),
        "cas_classifier": Path("pupil.yaml"),
        "device": "cpu",
        "seed": 5,
        "batch_size": 6,
        "progress": False,
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--samples-per-class", 0, "--device", "nonsense"), "device must be one that torch can use here"),
        (("--samples-per-class", 0, "--cas"), "cas needs samples"),
        (("--samples-per-class", 0, "--cas-classifier", "pupil.yaml"), "cas_classifier needs cas"),
        (("--dataset", "data", "--classifier", "nowhere.yaml"), "there is no file nowhere.yaml"),
        (
            ("--signal-column", "sound", "--samples-per-class", 0),
            "--signal-column and --gain say how a --dataset is read",
        ),
        (("--gain", 2.0, "--samples-per-class", 0), "--signal-column and --gain say how a --dataset is read, got none"),
        (("--dataset", "data", "--gain", 0.0), "gain: input should be greater than 0"),
    ],
)
def test_wrong_requests_are_one_line(run, tmp_path, options, says):
    code, _, err = run("evaluate-flow", "fashion-mnist", "--out", tmp_path / "out", *options, "--quiet")
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_classes_of_a_map_are_looked_at_before_the_first_is_counted(run, tmp_path):
    pipeline = tmp_path / "pipeline"
    smaller_flow(2).save_pretrained(pipeline)
    for label in (2, -1):
        code, out, err = run("map-share", pipeline, "--label", 0, "--label", label, "--out", tmp_path / "counts")
        assert (code, out) == (2, "")
        assert err == f"mmmi-hf: the class must be a whole number in 0 … 1, got {label}\n"
    assert not (tmp_path / "counts").exists()


def test_counts_of_a_map_go_on_and_are_joined(run, tmp_path):
    pipeline = smaller_flow(2)
    pipeline.save_pretrained(tmp_path / "pipeline")
    for rows in (2, 40):
        classes = ("--label", 1, "--label", 0, "--rows", rows, "--batch-size", 16)
        code, out, err = run(
            "map-share", tmp_path / "pipeline", *classes, "--out", tmp_path / "counts", "--quiet", "--device", "cpu"
        )
        assert code == 0, err
    joined = json.loads((tmp_path / "counts/map_shares.json").read_text())
    counts = [MapShare.from_json(json.dumps(each), "counts") for each in joined]
    assert {each.pipeline for each in counts} == {pipeline.digest}
    assert [(each.label, each.rows, each.micro_batch, each.inverted_together) for each in counts] == [
        (label, 2 * MICRO_BATCH, MICRO_BATCH, 16) for label in (1, 0)
    ]
    assert f"micro-batches of {MICRO_BATCH}" in out
