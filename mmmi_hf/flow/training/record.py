"""The record of a training, `training.json`: by which recipe weights were made, from what, in how much work.

Owns the type, its writer and its reader. It lies beside the weights of a run, and in the card of a pipeline.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from mmmi_hf.common.records import Amount, Count, Digest, Positive, Record, RecordError
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe
from mmmi_hf.flow.training.recipe import SignalRecipe, TrainingRecipe

TRAINING = "training.json"


_KINDS = {"teacher": "distillation", "signal_column": "signals"}
"""Field that only recipes of a kind have → its name below."""


def _kind(recipe: Any) -> str:
    there = recipe if isinstance(recipe, dict) else vars(recipe)
    return next((kind for field, kind in _KINDS.items() if field in there), "images")


AnyRecipe = TrainingRecipe | SignalRecipe | DistillationRecipe
_Recipe = Annotated[
    Annotated[TrainingRecipe, Tag("images")]
    | Annotated[SignalRecipe, Tag("signals")]
    | Annotated[DistillationRecipe, Tag("distillation")],
    Discriminator(_kind),
]


class Guide(Record):
    """The pipeline that a teacher's journeys were led away from: how it was found, and the digest of its map."""

    pipeline: str
    digest: Digest


class Teacher(Record):
    """The pipeline that a student learned from, likewise, and the guide of its journeys; `recipe` has the guidance."""

    pipeline: str
    digest: Digest
    guide: Guide | None = None


class Initial(Record):
    """The pipeline that a run went on from, with the record of its training if that lay beside its folder."""

    pipeline: str
    digest: Digest
    training: TrainingRecord | None = None


class StartedFrom(Record):
    """What a distillation begins with."""

    teacher: Teacher
    initial: Initial | None = None


class TrainingRecord(Record):
    """What a run made, and how.

    Attributes:
        recipe: what it depends on.
        steps: that were made; fewer than the recipe's of a run that is not finished.
        images_seen: examples, those that came again included.
        seconds: of making the steps.
        final_loss: the mean of the last logged steps.
        parameters, weights_bytes: of the stored network.
        digest: of the pipeline.
        world_size, device, device_name: on what; older records do not say.
        class_names: what the pipeline draws; None where it has no names.
        num_images: different examples; of a student trajectories.
        network_rows: of a student, evaluations of the network forth and back.
        teacher: of a student.
        initial: None where the run began with untrained weights, or the teacher's.
        versions: of the software.
    """

    recipe: _Recipe
    steps: Count
    images_seen: Count
    seconds: Amount
    final_loss: float | None = None
    parameters: Positive
    weights_bytes: Positive
    digest: Digest
    world_size: Positive
    device: str | None = None
    device_name: str | None = None
    class_names: tuple[str, ...] | None = None
    num_images: Positive
    network_rows: Positive | None = None
    teacher: Teacher | None = None
    initial: Initial | None = None
    versions: dict[str, str]

    @property
    def earlier(self) -> tuple[Initial, ...]:
        """The pipelines that the training went on from, the last one first."""
        if self.initial is None:
            return ()
        before = self.initial.training
        return (self.initial, *(before.earlier if before is not None else ()))

    @property
    def images_seen_of_all(self) -> int:
        """Of all legs that there is a record of."""
        return self.images_seen + sum(one.training.images_seen for one in self.earlier if one.training)

    @property
    def seconds_of_all(self) -> float:
        """Of all legs that there is a record of."""
        return self.seconds + sum(one.training.seconds for one in self.earlier if one.training)


def record_beside(pipeline: Path, digest: str) -> TrainingRecord | None:
    """The record of a pipeline's training, where a run left it beside the pipeline's folder; None elsewhere."""
    try:
        found = TrainingRecord.read(pipeline.parent / TRAINING)
    except (OSError, RecordError):
        return None
    return found if found.digest == digest else None
