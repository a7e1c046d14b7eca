"""The record of a training: old ones are read, what is wrong is named with file, line and field."""

import re
from pathlib import Path

import pytest

from mmmi_hf.common.records import RecordError
from mmmi_hf.flow.evaluation.record import Evaluation
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe
from mmmi_hf.flow.training.recipe import TrainingRecipe
from mmmi_hf.flow.training.record import TrainingRecord, record_beside

STUDENT = Path("model_cards/fashion-mnist-2/training.json")


@pytest.mark.parametrize("kind", [TrainingRecord, Evaluation])
def test_the_records_of_releases_are_read_and_lose_nothing(kind):
    name = {TrainingRecord: "training.json", Evaluation: "evaluation.json"}[kind]
    for path in Path("model_cards").glob(f"*/{name}"):
        found = kind.read(path)
        assert kind.from_json(found.to_json(), "again") == found


def test_what_a_record_tells():
    student = TrainingRecord.read(STUDENT)
    assert isinstance(student.recipe, DistillationRecipe)
    assert [one.pipeline for one in student.earlier] == [f"runs/leg{leg}/pipeline" for leg in (4, 3, 2, 1)]
    first = TrainingRecord.read(STUDENT.parents[1] / "cifar10/training.json")
    assert isinstance(first.recipe, TrainingRecipe)
    assert first.earlier == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"penalty_rows": 4',
            '"penalty_rows": true',
            r"line \d+: recipe.penalty_rows: input should be a valid int",
        ),
        ('"penalty_rows": 4', '"penalty_row": 4', r"line \d+: recipe.penalty_row: unknown field"),
        ('"journey_steps": 0', '"journey_steps": 8000', "line 16: recipe: journey_steps must lie in 0 … steps = 7000"),
        ('"world_size": 1', '"world_size": 0', "world_size: input should be greater than or equal to 1, got 0"),
        ('"digest": "f9', '"digest": "g9', r"teacher.digest: string should match pattern"),
        ('"seconds": 814.1', '"seconds": 814.1, "minutes": 1', "minutes: unknown field"),
    ],
)
def test_what_is_wrong_is_said_at_its_line(tmp_path, old, new, says):
    text = STUDENT.read_text()
    assert old in text
    path = tmp_path / "training.json"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RecordError, match=re.escape(str(path)) + ".*" + says):
        TrainingRecord.read(path)


def test_a_record_beside_is_taken_only_if_it_is_of_these_weights(tmp_path):
    folder, digest = tmp_path / "pipeline", TrainingRecord.read(STUDENT).digest
    assert record_beside(folder, digest) is None
    (tmp_path / "training.json").write_text(STUDENT.read_text())
    assert record_beside(folder, digest) == TrainingRecord.read(STUDENT)
    assert record_beside(folder, "0" * 64) is None
    (tmp_path / "training.json").write_text("{")
    assert record_beside(folder, digest) is None
