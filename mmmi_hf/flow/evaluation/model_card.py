"""Model cards: README.md rendered from the recipe, the training's record and the evaluation, never typed.

Owns the data of the template. Reads `recipe.yaml` (of a student `distillation.yaml`, and its teacher's record),
`training.json`, `evaluation.json` and, where they are, the recipes of earlier legs of the training, `seen.md`, which
tells what the samples look like, and `speed-*.txt`, of a folder, and refuses to render when they speak of different
pipelines.
Imports neither torch nor diffusers by itself.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mmmi_hf.common.cards import Card, environment
from mmmi_hf.common.files import read_json
from mmmi_hf.common.hub_ids import is_repository
from mmmi_hf.common.yaml_files import parse_file
from mmmi_hf.flow.bundled import bundled_pipelines

if TYPE_CHECKING:
    import os

RECIPE, TRAINING, EVALUATION, CARD = "recipe.yaml", "training.json", "evaluation.json", "README.md"
DISTILLATION = "distillation.yaml"
"""The recipe of a student, in the place of `recipe.yaml`."""
EARLIER_RECIPES = "{}-*.yaml"
"""Of the runs whose weights the last one went on from, by the stem of the last one's."""
SEEN = "seen.md"
"""What somebody saw who looked at the sheet of samples: the only words of a card that are typed. Optional."""
CLASSIFIERS = "classifier*.yaml"
"""Settings of the classifiers, as the commands name them. Optional."""
SPEED = "speed-*.txt"
"""Commands of `tests/performance/` with what they printed, one file for each machine. Optional."""
TEMPLATE = "model_card.md.j2"
FAR_FROM_REAL = 0.9
_TITLES = {
    "samples": "Quality of the samples",
    "classification_accuracy_score": "Classification accuracy score",
    "round_trip_float32": "Round trip in float32",
    "round_trip_float64": "Round trip in float64",
    "certificate": "Step certificate",
    "storage": "Storage",
}


def model_card(folder: str | os.PathLike[str], *, location: str | None = None, revision: str | None = None) -> str:
    """The text of a pipeline's card.

    Args:
        folder: holds `recipe.yaml`, `training.json` and `evaluation.json`; its name is the pipeline's.
        location, revision: what the card tells people to load; by default the bundled name.

    Raises:
        ValueError: a file is missing or unreadable, or two of them do not belong together.
    """
    folder = Path(folder)
    training, evaluation = (_read(folder / name) for name in (TRAINING, EVALUATION))
    teacher = _teacher(folder, training)
    file = RECIPE if teacher is None else DISTILLATION
    stated, recipe = _read(folder / file), training["recipe"]
    _check_consistent(folder, file, stated, training, evaluation)
    network = recipe if teacher is None else teacher["training"]["recipe"]
    parts = evaluation["parts"]
    scheduler = evaluation["pipeline"]["scheduler"]
    name = folder.resolve().name
    return (
        environment(__package__, _FILTERS)
        .get_template(TEMPLATE)
        .render(
            front_matter=_front_matter(dataset := (teacher or stated)["dataset"], name),
            title=name,
            load_name=location or (name if name in bundled_pipelines() else "PATH_OR_REPOSITORY"),
            pinned=f', revision="{revision}"' if revision else "",
            dataset_name=dataset,
            recipe=recipe,
            network=network,
            teacher=teacher,
            training=training,
            shape=evaluation["pipeline"]["latent_shape"],
            scheduler=scheduler,
            network_evaluations=scheduler["num_inference_steps"] * (2 if scheduler["solver"] == "midpoint" else 1),
            attention=_attention(network),
            epochs=round(training["images_seen"] / training["num_images"], 1),
            earlier=_earlier(training),
            seen=(folder / SEEN).read_text().strip() if (folder / SEEN).is_file() else "",
            far_from_real=_far_from_real(parts.get("samples")),
            precision={"no": "float32", "bf16": "bf16 autocast", "fp16": "fp16 autocast"}[recipe["mixed_precision"]],
            samples=parts.get("samples"),
            cas=parts.get("classification_accuracy_score"),
            judge=_network(_classifier(parts, "samples")),
            pupil=_pupil(parts),
            trained_on=_trained_on(training),
            speed=[text for path in sorted(folder.glob(SPEED)) if (text := path.read_text().strip())],
            round_trips=[parts[key] for key in ("round_trip_float32", "round_trip_float64") if key in parts],
            certificate=parts.get("certificate"),
            storage=parts.get("storage"),
            commands=_commands(folder, file, stated, training, parts),
            measured=[part | {"title": _TITLES[key]} for key, part in parts.items()],
        )
    )


def card_of(folder: Path) -> Card:
    """The card of a folder, `README.md`."""
    return Card(folder / CARD, lambda: model_card(folder))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is missing; a card is rendered from {RECIPE}, {TRAINING} and {EVALUATION}")
    try:
        content = parse_file(path).data if path.suffix == ".yaml" else read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}; restore it") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a mapping, got {type(content).__name__}; restore it")
    return content


def _teacher(folder: Path, training: dict[str, Any]) -> dict[str, Any] | None:
    """What a student's record says of its teacher, with the teacher's own record and dataset; None for others.

    The teacher's card lies beside the student's, or beside what its path names.
    """
    teacher: dict[str, Any] | None = training.get("teacher")
    if teacher is None:
        return None
    beside = folder.resolve().parent / Path(teacher["pipeline"]).name
    record = _read(beside / TRAINING)
    if record["digest"] != teacher["digest"]:
        raise ValueError(
            f"{folder}: {TRAINING} names teacher {teacher['digest'][:12]}, the record of {teacher['pipeline']} is of "
            f"{record['digest'][:12]}; put the right teacher's card beside it"
        )
    return teacher | {"training": record, "dataset": _read(beside / RECIPE)["dataset"]}


def _check_consistent(
    folder: Path, file: str, stated: dict[str, Any], training: dict[str, Any], evaluation: dict[str, Any]
) -> None:
    recipe = training["recipe"]
    for name in _differing(stated, recipe):
        raise ValueError(
            f"{folder}: {file} has {name} = {stated[name]!r}, {TRAINING} was made with {recipe.get(name)!r}; "
            "train again, or restore the recipe"
        )
    trained, evaluated = training["digest"], evaluation["pipeline"]["digest"]
    if trained != evaluated:
        raise ValueError(
            f"{folder}: {EVALUATION} is of pipeline {evaluated[:12]}, {TRAINING} of {trained[:12]}; evaluate again"
        )


def _front_matter(dataset: str, name: str) -> str:
    data: dict[str, Any] = {
        "license": "apache-2.0",
        "library_name": "diffusers",
        "pipeline_tag": "unconditional-image-generation",
        "tags": [
            "flow-matching",
            "class-conditional",
            "invertible",
            "mutual-information",
            "mmmi-hf",
            "arxiv:2510.21686",
        ],
    }
    if is_repository(dataset):
        data["datasets"] = [dataset]
    data["model_name"] = name
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---\n\n"


def _far_from_real(samples: dict[str, Any] | None) -> bool:
    """Whether the classifier recognises far fewer samples than real images, so that a card says so in words."""
    if samples is None:
        return False
    accuracy = samples["results"]["accuracy"]
    of_samples, of_real = (accuracy[kind]["overall"]["value"] for kind in ("samples", "test_images"))
    return bool(of_samples < FAR_FROM_REAL * of_real)


def _pupil(parts: dict[str, Any]) -> str:
    """The classifier of the classification accuracy score, which need not be the one that judges the samples."""
    settings = _classifier(parts, "classification_accuracy_score")
    if settings in (None, _classifier(parts, "samples")):
        return "a classifier of the same settings"
    return f"another classifier{_network(settings)}"


def _classifier(parts: dict[str, Any], key: str) -> dict[str, Any] | None:
    """The settings of a part's classifier; None if the part or the settings are not there."""
    found: dict[str, Any] | None = parts.get(key, {}).get("settings", {}).get("classifier")
    return found


def _network(settings: dict[str, Any] | None) -> str:
    if settings is None:
        return ""
    return f" (widths {', '.join(map(str, settings['widths']))}; {settings['epochs']} epochs)"


def _trained_on(training: dict[str, Any]) -> str:
    kind, name = training.get("device", "cpu"), training.get("device_name")
    if kind == "cpu":
        return "CPUs"
    if training["world_size"] == 1:
        return f"one {name or 'GPU'}"
    return "GPUs" if name is None else f"GPUs ({name})"


def _earlier(training: dict[str, Any]) -> list[dict[str, Any]]:
    """The pipelines that the training went on from, the last one first; each with its record, where there is one."""
    found = []
    while initial := training.get("initial"):
        found.append(initial)
        training = initial["training"] or {}
    return found


def _attention(recipe: dict[str, Any]) -> str:
    finest = recipe["image_size"] // recipe["patch_size"]
    sides = [finest // 2**level for level, here in enumerate(recipe["attention"]) if here]
    return ", ".join(f"{side}×{side}" for side in sides) or "no level"


def _commands(
    folder: Path, file: str, stated: dict[str, Any], training: dict[str, Any], parts: dict[str, Any]
) -> list[str]:
    """What to type for the same weights and figures: every leg of the training whose recipe is there, and each part."""
    name = folder.resolve().name
    earlier = EARLIER_RECIPES.format(Path(file).stem)
    recipes = {path.name: _read(path) for path in sorted(folder.glob(earlier))}
    trains = [_train_command(name, file, stated, training["recipe"], f"runs/{name}")]
    for one in (one for one in _earlier(training) if one["training"]):
        made_with = one["training"]["recipe"]
        leg = next((leg for leg, recipe in recipes.items() if not _differing(recipe, made_with)), None)
        if leg is not None:
            out = Path(one["pipeline"]).parent.as_posix()
            trains.insert(0, _train_command(name, leg, recipes[leg], made_with, out))
    return list(dict.fromkeys([*trains, *(part["command"] for part in parts.values())]))


def _train_command(name: str, file: str, stated: dict[str, Any], made_with: dict[str, Any], out: str) -> str:
    what = "distill" if "teacher" in made_with else "train"
    other = ["--dataset", made_with["dataset"]] if made_with.get("dataset") != stated.get("dataset") else []
    return shlex.join(["mmmi-hf", what, f"model_cards/{name}/{file}", *other, "--out", out])


def _differing(stated: dict[str, Any], made_with: dict[str, Any]) -> list[str]:
    """The fields of a recipe that a training was not made with; a local copy of the dataset may have been used."""
    return [
        field
        for field, value in stated.items()
        if field != "dataset" and (field not in made_with or made_with[field] != value)
    ]


def _accuracy(share: dict[str, Any]) -> str:
    if share["value"] is None:
        return "–"
    low, high = share["interval_95"]
    return f"{100 * share['value']:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def _machine(part: dict[str, Any]) -> str:
    """What a part was computed on; older evaluations know of CPUs only."""
    if (device := part.get("device", "cpu")) != "cpu":
        return f"one {device}"
    return "1 thread" if part["threads"] == 1 else f"{part['threads']} threads"


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
    "percent": lambda value: f"{100 * value:.1f} %",
    "sci": _scientific,
    "versions": lambda versions: ", ".join(f"{package} {number}" for package, number in versions.items()),
}
