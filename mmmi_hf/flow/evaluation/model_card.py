"""Model cards: README.md rendered from the recipe, the training's record and the evaluation, never typed.

Owns the data of the template. Reads `recipe.yaml` (of a student `distillation.yaml`, and its teacher's record),
`training.json`, `evaluation.json` and, where they are, the recipes of earlier legs of the training, `seen.md`, which
tells what the samples look like, and `speed-*.txt`, of a folder, and refuses to render when they speak of different
pipelines.
"""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mmmi_hf.common.cards import Card, environment
from mmmi_hf.common.places import is_repository
from mmmi_hf.common.records import Record, RecordError
from mmmi_hf.common.yaml_files import front_matter
from mmmi_hf.flow.bundled import bundled_pipelines
from mmmi_hf.flow.computing.spectrogram import RANGE
from mmmi_hf.flow.evaluation.record import EVALUATION, Accuracy, Evaluation, Parts
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe
from mmmi_hf.flow.training.recipe import FlowRecipe, SignalRecipe, read_recipe
from mmmi_hf.flow.training.record import TRAINING, TrainingRecord

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
    from mmmi_hf.flow.evaluation.record import JudgedSamples, Part
    from mmmi_hf.flow.training.record import AnyRecipe

RECIPE, CARD = "recipe.yaml", "README.md"
DISTILLATION = "distillation.yaml"
"""The recipe of a student, in the place of `recipe.yaml`."""
TEACHER = "teacher"
"""The folder with the recipes and the record of a student's teacher that has no card of its own. Optional."""
GUIDE = "guide.yaml"
"""The recipe of the guide of a student's journeys. Optional."""
EARLIER_RECIPES = "{}-*.yaml"
"""Of the runs whose weights the last one went on from, by the stem of the last one's."""
SEEN = "seen.md"
"""What somebody saw who looked at the sheet of samples; typed, as the words of the next two files. Optional."""
DATA = "data.md"
"""What the examples are and whose, where the name of the data set does not say it. Optional."""
LIMITS = "limits.md"
"""What else is known not to hold, as a list. Optional."""
CLASSIFIERS = "classifier*.yaml"
"""Settings of the classifiers, as the commands name them. Optional."""
SPEED = "speed-*.txt"
"""Commands of `tests/performance/` with what they printed, one file for each machine. Optional."""
TEMPLATE = "model_card.md.j2"
FAR_FROM_REAL = 0.9


R = TypeVar("R", bound=Record)


def model_card(folder: str | os.PathLike[str], *, location: str | None = None, revision: str | None = None) -> str:
    """The text of a pipeline's card.

    Args:
        folder: holds `recipe.yaml`, `training.json` and `evaluation.json`; its name is the pipeline's.
        location, revision: what the card tells people to load; by default the bundled name.

    Raises:
        ValueError: a file is missing or unreadable, or two of them do not belong together.
    """
    folder = Path(folder)
    training = _read(TrainingRecord, folder / TRAINING)
    evaluation = _read(Evaluation, folder / EVALUATION)
    teacher = _teacher(folder, training)
    file = RECIPE if teacher is None else DISTILLATION
    stated = _recipe(folder / file)
    _check_consistent(folder, file, stated, training, evaluation)
    made_from = stated if teacher is None else _recipe(teacher / RECIPE)
    of_teacher = None if teacher is None else _read(TrainingRecord, teacher / TRAINING)
    network = (of_teacher or training).recipe
    assert isinstance(made_from, FlowRecipe)
    assert isinstance(network, FlowRecipe)
    parts, scheduler = evaluation.parts, evaluation.pipeline.scheduler
    name = folder.resolve().name
    return (
        environment(__package__, _FILTERS)
        .get_template(TEMPLATE)
        .render(
            front_matter=_front_matter(made_from, name),
            thing="sound" if isinstance(network, SignalRecipe) else "image",
            is_sound=isinstance(network, SignalRecipe),
            decibels=f"{RANGE:g}",
            title=name,
            load_name=location or (name if name in bundled_pipelines() else "PATH_OR_REPOSITORY"),
            pinned=f', revision="{revision}"' if revision else "",
            dataset_name=made_from.dataset.removeprefix("./"),
            recipe=training.recipe,
            network=network,
            training=training,
            of_teacher=of_teacher if (folder / TEACHER).is_dir() else None,
            shape=evaluation.pipeline.latent_shape,
            scheduler=scheduler,
            attention=_attention(network),
            epochs=round(training.images_seen / training.num_images, 1),
            seen=_typed(folder / SEEN),
            data=_typed(folder / DATA),
            limits=_typed(folder / LIMITS),
            far_from_real=parts.samples is not None and _far_from_real(parts.samples.results),
            precision={"no": "float32", "bf16": "bf16 autocast", "fp16": "fp16 autocast"}[
                training.recipe.mixed_precision
            ],
            samples=parts.samples,
            cas=parts.classification_accuracy_score,
            pupil=_pupil(parts),
            trained_on=_trained_on(training),
            speed=[text for path in sorted(folder.glob(SPEED)) if (text := path.read_text().strip())],
            round_trips=[part for part in (parts.round_trip_float32, parts.round_trip_float64) if part is not None],
            certificate=parts.certificate,
            storage=parts.storage,
            spectra_text=_spectra_text(parts),
            commands=list(
                dict.fromkeys(
                    [
                        *_before(folder, training),
                        *_legs(folder, file, training, f"runs/{name}"),
                        *(part.command for part in parts.measured.values()),
                    ]
                )
            ),
            measured=parts.measured,
        )
    )


def _typed(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""


def card_of(folder: Path) -> Card:
    """The card of a folder, `README.md`."""
    return Card(folder / CARD, lambda: model_card(folder))


def _read(kind: type[R], path: Path) -> R:
    _check_there(path)
    try:
        return kind.read(path)
    except RecordError as error:
        raise ValueError(f"{error}; restore it") from error


def _recipe(path: Path) -> AnyRecipe:
    _check_there(path)
    if path.name.startswith(Path(DISTILLATION).stem):
        return DistillationRecipe.from_yaml(path)
    return read_recipe(path)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path} is missing; a card is rendered from {RECIPE}, {TRAINING} and {EVALUATION}")


def _teacher(folder: Path, training: TrainingRecord) -> Path | None:
    """The folder with a teacher's record: of its card, beside the student's; in the student's if it has no card."""
    teacher = training.teacher
    if teacher is None:
        return None
    inside = folder / TEACHER
    beside = inside if inside.is_dir() else folder.resolve().parent / Path(teacher.pipeline).name
    found = _read(TrainingRecord, beside / TRAINING).digest
    if found != teacher.digest:
        raise ValueError(
            f"{folder}: {TRAINING} names teacher {teacher.digest[:12]}, the record of {teacher.pipeline} is of "
            f"{found[:12]}; put the right teacher's card beside it"
        )
    return beside


def _check_consistent(
    folder: Path,
    file: str,
    stated: AnyRecipe,
    training: TrainingRecord,
    evaluation: Evaluation,
) -> None:
    for name in _differing(stated, training.recipe):
        raise ValueError(
            f"{folder}: {file} has {name} = {getattr(stated, name)!r}, {TRAINING} was made with "
            f"{getattr(training.recipe, name, None)!r}; train again, or restore the recipe"
        )
    trained, evaluated = training.digest, evaluation.pipeline.digest
    if trained != evaluated:
        raise ValueError(
            f"{folder}: {EVALUATION} is of pipeline {evaluated[:12]}, {TRAINING} of {trained[:12]}; evaluate again"
        )


def _front_matter(made_from: FlowRecipe, name: str) -> str:
    is_sound = isinstance(made_from, SignalRecipe)
    data: dict[str, Any] = {
        "license": "apache-2.0",
        "library_name": "diffusers",
        **({} if is_sound else {"pipeline_tag": "unconditional-image-generation"}),
        "tags": [
            *(["audio"] if is_sound else []),
            "flow-matching",
            "class-conditional",
            "invertible",
            "mutual-information",
            "mmmi-hf",
            "arxiv:2510.21686",
        ],
    }
    if is_repository(made_from.dataset):
        data["datasets"] = [made_from.dataset]
    data["model_name"] = name
    return front_matter(data)


def _far_from_real(found: JudgedSamples) -> bool:
    """Whether the classifier recognises far fewer samples than real images, so that a card says so in words."""
    of_samples, of_real = (each.overall.value or 0.0 for each in (found.accuracy.samples, found.accuracy.test_images))
    return of_samples < FAR_FROM_REAL * of_real


def _spectra_text(parts: Parts) -> str:
    """How far the mean spectra of samples are from those of real sounds, beside those of other real sounds."""
    if parts.samples is None or parts.samples.results.spectra is None:
        return ""
    levels = parts.samples.results.spectra.per_class.values()
    far, near = (
        [value for one in levels if (value := one.difference(getattr(one, kind))) is not None]
        for kind in ("samples", "training_sounds")
    )
    if not far or not near:
        return ""
    return (
        f"The mean levels of frequency bands of a class differ from those of the test sounds by {min(far):.1f} to "
        f"{max(far):.1f} dB (root mean square over bands), those of the training sounds by {min(near):.1f} to "
        f"{max(near):.1f} dB."
    )


def _pupil(parts: Parts) -> str:
    """The classifier of the classification accuracy score, which need not be the one that judges the samples."""
    score, samples = parts.classification_accuracy_score, parts.samples
    if score is None or samples is None or score.settings.classifier == samples.settings.classifier:
        return "a classifier of the same settings"
    return f"another classifier{_network(score.settings.classifier)}"


def _network(settings: ClassifierSettings) -> str:
    return f" (widths {', '.join(map(str, settings.widths))}; {settings.epochs} epochs)"


def _trained_on(training: TrainingRecord) -> str:
    if training.device in (None, "cpu"):
        return "CPUs"
    if training.world_size == 1:
        return f"one {training.device_name or 'GPU'}"
    return "GPUs" if training.device_name is None else f"GPUs ({training.device_name})"


def _attention(recipe: FlowRecipe) -> str:
    _, height, width = recipe.layout.network_shape(recipe.latent_shape)
    places = [f"{height // 2**level}×{width // 2**level}" for level, here in enumerate(recipe.attention) if here]
    return ", ".join([*places, *(["the middle"] if recipe.middle_attention else [])]) or "no level"


def _before(folder: Path, training: TrainingRecord) -> Iterator[str]:
    """What to type for the pipelines that a student learned from, where their recipes lie in its folder."""
    if training.teacher is None:
        return
    if (folder / TEACHER).is_dir():
        record = _read(TrainingRecord, folder / TEACHER / TRAINING)
        yield from _legs(folder, f"{TEACHER}/{RECIPE}", record, Path(training.teacher.pipeline).parent.as_posix())
    if training.teacher.guide is not None and (folder / GUIDE).is_file():
        recipe, out = _recipe(folder / GUIDE), Path(training.teacher.guide.pipeline).parent.as_posix()
        yield _train_command(folder.resolve().name, GUIDE, recipe, recipe, out)


def _legs(folder: Path, file: str, training: TrainingRecord, out: str) -> list[str]:
    """What to type for the same weights: every leg of the training whose recipe is there."""
    name, last = folder.resolve().name, folder / file
    earlier = sorted(last.parent.glob(EARLIER_RECIPES.format(last.stem)))
    recipes = {path.relative_to(folder).as_posix(): _recipe(path) for path in earlier}
    trains = [_train_command(name, file, _recipe(last), training.recipe, out)]
    for one in training.earlier:
        if one.training is None:
            continue
        made_with = one.training.recipe
        leg = next((leg for leg, recipe in recipes.items() if not _differing(recipe, made_with)), None)
        if leg is not None:
            trains.insert(0, _train_command(name, leg, recipes[leg], made_with, Path(one.pipeline).parent.as_posix()))
    return trains


def _train_command(
    name: str,
    file: str,
    stated: AnyRecipe,
    made_with: AnyRecipe,
    out: str,
) -> str:
    what, other = "distill", list[str]()
    if isinstance(made_with, FlowRecipe):
        assert isinstance(stated, FlowRecipe)
        what, other = "train", ["--dataset", made_with.dataset] if made_with.dataset != stated.dataset else []
    return shlex.join(["mmmi-hf", what, f"model_cards/{name}/{file}", *other, "--out", out])


def _differing(stated: AnyRecipe, made_with: AnyRecipe) -> list[str]:
    """The fields of a recipe that a training was not made with; a local copy of the dataset may have been used."""
    there, here = dataclasses.asdict(made_with), dataclasses.asdict(stated)
    return [name for name, value in here.items() if name != "dataset" and (name not in there or there[name] != value)]


def _accuracy(share: Accuracy) -> str:
    if share.value is None or share.interval_95 is None:
        return "–"
    low, high = share.interval_95
    return f"{100 * share.value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def _machine(part: Part[Record, Record]) -> str:
    """What a part was computed on."""
    if part.device != "cpu":
        return f"one {part.device}"
    return "1 thread" if part.threads == 1 else f"{part.threads} threads"


def _scientific(value: float | None) -> str:
    if value is None:
        return "–"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


_FILTERS = {
    "accuracy": _accuracy,
    "count": lambda value: f"{value:,}",
    "duration": _duration,
    "machine": _machine,
    "network": _network,
    "percent": lambda value: f"{100 * value:.1f} %",
    "sci": _scientific,
    "versions": lambda versions: ", ".join(f"{package} {number}" for package, number in versions.items()),
}
