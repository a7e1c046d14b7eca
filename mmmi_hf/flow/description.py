"""What the files of a pipeline say: shape, classes, and whether they describe one at all.

Owns the reading of a pipeline's JSON and the headers of its weights, and one line, naming file and field, for each that
does not fit. Imports no torch: shapes and classes are known without a network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmmi_hf.common.files import UnusableFileError, check_regular, read_json
from mmmi_hf.common.numbers import is_finite, is_whole
from mmmi_hf.flow.bijection import View
from mmmi_hf.flow.bundled import INDEX, resolve
from mmmi_hf.flow.computing.layouts import layout_of

CLASS = "FlowMatchingPipeline"
UNET = "unet/config.json"
SCHEDULER = "scheduler/scheduler_config.json"
MOST_STEPS = 10_000
MOST_CHANNELS, MOST_SIDE, MOST_CLASSES = 1 << 14, 1 << 12, 1 << 20
MOST_BLOCKS = 16
"""Of a network, and layers of a block."""
MOST_BYTES = 4 << 20
"""Of a JSON file of a pipeline."""
_WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Description:
    """What a pipeline makes.

    Attributes:
        latent_shape: (channels, height, width) of its latents and images; (length,) of sounds.
        num_classes: class labels, 0 … num_classes − 1; None without classes.
        class_names: a name per class, or None.
        view: what the output is.
    """

    latent_shape: tuple[int, ...]
    num_classes: int | None
    class_names: tuple[str, ...] | None
    view: View


def described(name_or_path_or_repo: str | os.PathLike[str]) -> Description:
    """What a pipeline makes, read from its files without loading its weights.

    Raises:
        ValueError: no such pipeline, or files that do not describe one.
        OSError: a repository that cannot be reached.
    """
    return describe(resolve(name_or_path_or_repo))


def describe(folder: Path) -> Description:
    """What the pipeline of a folder makes.

    Raises:
        ValueError: the folder holds none; names the file and the field, and what would be right.
    """
    index = _index(folder)
    unet, scheduler = read_object(folder / UNET), read_object(folder / SCHEDULER)
    for path, stored in ((folder / INDEX, index), (folder / UNET, unet), (folder / SCHEDULER, scheduler)):
        _check_fields(path, stored)
    patch, channels, size = index["patch_size"], unet["in_channels"], unet["sample_size"]
    classes = unet.get("num_class_embeds")
    if channels != unet["out_channels"]:
        raise ValueError(
            f"{folder / UNET}: in_channels must be as many as out_channels, {unet['out_channels']}, got {channels}"
        )
    try:
        layout = layout_of(patch, index.get("sound"))
    except ValueError as error:
        raise ValueError(f"{folder / INDEX}: {error}") from error
    height, width = (size, size) if isinstance(size, int) else size
    try:
        shape = layout.latent_shape(channels, height, width)
    except ValueError as error:
        raise ValueError(f"{folder / UNET}: {error}") from error
    names = class_names_of(index.get("class_names"))
    if names is not None and len(names) != (classes or 0):
        raise ValueError(f"{folder / INDEX}: class_names must name the {classes or 0} classes, got {len(names)} names")
    if index.get("class_names") is not None and names is None:
        raise ValueError(f"{folder / INDEX}: class_names must be a name for each class, got {index['class_names']!r}")
    return Description(shape, classes, names, layout.view(shape))


def class_names_of(stored: object) -> tuple[str, ...] | None:
    """The names of classes as files have them: {"0": name, …}, or a list in old ones; None if it is neither.

    diffusers takes every list in a model_index.json for a component, so new files hold the mapping.
    """
    if isinstance(stored, Mapping) and list(stored) == [str(label) for label in range(len(stored))]:
        stored = list(stored.values())
    if isinstance(stored, list | tuple) and all(isinstance(name, str) for name in stored):
        return tuple(stored)
    return None


def check_weights(folder: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are not exactly the tensors of a network.

    Args:
        folder: of the pipeline.
        expected: name → shape of every tensor of the network.

    Raises:
        ValueError: names the file, and a tensor that is missing, too many or of another shape.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, tuple[Path, tuple[int, ...]]] = {}
    for path in _weight_files(folder):
        try:
            check_regular(path)
            with safe_open(path, framework="numpy") as file:
                found.update({name: (path, tuple(file.get_slice(name).get_shape())) for name in file.keys()})  # noqa: SIM118
        except (SafetensorError, OSError, UnusableFileError) as error:
            raise ValueError(f"{path} cannot be read ({error}); copy the pipeline again") from error
    where = folder / "unet"
    remedy = "save the pipeline again with save_pretrained"
    if missing := sorted(set(expected) - set(found)):
        raise ValueError(f"{where}: the tensor {missing[0]!r} is missing from the weights{_more(missing)}; {remedy}")
    if extra := sorted(set(found) - set(expected)):
        raise ValueError(
            f"{found[extra[0]][0]}: the network has no tensor {extra[0]!r}{_more(extra)}; {remedy}, or mend {UNET}"
        )
    for name, shape in expected.items():
        path, given = found[name]
        if given != shape:
            raise ValueError(f"{path}: the tensor {name!r} must have the shape {shape}, got {given}; {remedy}")


def _weight_files(folder: Path) -> list[Path]:
    unet = folder / "unet"
    index = unet / f"{_WEIGHTS}.index.json"
    if not index.is_file():
        if not (unet / _WEIGHTS).is_file():
            raise ValueError(f"{unet / _WEIGHTS} is missing; weights under another name, or a variant, are not loaded")
        return [unet / _WEIGHTS]
    shards = read_object(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise ValueError(f"{index}: weight_map must be a file for each tensor, got {type(shards).__name__}")
    paths = [unet / name for name in sorted(set(shards.values()))]
    for path in paths:
        if path.parent != unet or not path.is_file():
            raise ValueError(f"{index}: weight_map names {path.name!r}, which is missing; copy the pipeline again")
    return paths


def _index(folder: Path) -> dict[str, Any]:
    if not (folder / INDEX).is_file():
        raise ValueError(f"{folder} holds no pipeline: {INDEX} is missing; give a folder made by save_pretrained")
    index = read_object(folder / INDEX)
    if index.get("_class_name") != CLASS:
        raise ValueError(
            f"{folder} holds a {str(index.get('_class_name'))[:60]}, not a {CLASS}; give a folder saved by {CLASS}"
        )
    if not any((folder / "unet").glob("*.safetensors")):
        raise ValueError(
            f"{folder / 'unet'} holds no *.safetensors weights; pickled weights are never loaded: save them again "
            "with save_pretrained"
        )
    return index


def read_object(path: Path) -> dict[str, Any]:
    """The mapping that a JSON file holds."""
    try:
        stored = read_json(path, MOST_BYTES)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); save the pipeline again") from error
    except ValueError as error:
        raise ValueError(f"{error}; save the pipeline again") from error
    if not isinstance(stored, dict):
        raise ValueError(f"{path} must hold a mapping, got {type(stored).__name__}; save the pipeline again")
    return stored


def _check_fields(path: Path, stored: Mapping[str, Any]) -> None:
    """Refuse the first field that does not fit; one that is left out has its component's default, if there is one."""
    for field, (fits, wanted) in _FIELDS[path.name].items():
        if field not in stored and field in _DEFAULTS:
            continue
        if not fits(stored.get(field)):
            given = json.dumps(stored[field]) if field in stored else "nothing"
            raise ValueError(f"{path}: {field} must be {wanted}, got {given[:60]}{'…' if len(given) > 60 else ''}")


def _count(value: object, most: int | None = None) -> bool:
    return is_whole(value, 1) and (most is None or value <= most)


def _at_most(most: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: _count(value, most), f"an integer in 1 … {most}"


def _listed(fits: Callable[[Any], bool], wanted: str) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda value: isinstance(value, list) and 0 < len(value) <= MOST_BLOCKS and all(map(fits, value)),
        f"a list of at most {MOST_BLOCKS} {wanted}",
    )


def _or_null(fits: tuple[Callable[[Any], bool], str]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value is None or fits[0](value), f"{fits[1]}, or null"


def _sides(value: object) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(_count(side, MOST_SIDE) for side in sides)


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _exactly(wanted: object) -> tuple[Callable[[Any], bool], str]:
    return lambda value: bool(value == wanted), json.dumps(wanted)


_KINDS = ("positional", "fourier", "learned")
_DEFAULTS = (
    "time_embedding_type",
    "sigma_min",
    "timestep_scale",
    "num_inference_steps",
    "layers_per_block",
    "block_out_channels",
    "down_block_types",
    "up_block_types",
    "norm_num_groups",
    "attention_head_dim",
)
_FIELDS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    INDEX: {
        "unet": _exactly(["diffusers", "UNet2DModel"]),
        "scheduler": _exactly(
            ["mmmi_hf.flow.scheduler", "FlowMatchODEScheduler"]
        ),  # this path stands in published files
        "patch_size": _at_most(MOST_SIDE),
    },
    "config.json": {
        "in_channels": _at_most(MOST_CHANNELS),
        "out_channels": _at_most(MOST_CHANNELS),
        "sample_size": (_sides, f"an integer in 1 … {MOST_SIDE}, or two"),
        "num_class_embeds": _or_null(_at_most(MOST_CLASSES)),
        "layers_per_block": _at_most(MOST_BLOCKS),
        "block_out_channels": _listed(lambda value: _count(value, MOST_CHANNELS), f"integers in 1 … {MOST_CHANNELS}"),
        "down_block_types": _listed(lambda value: isinstance(value, str), "names"),
        "up_block_types": _listed(lambda value: isinstance(value, str), "names"),
        "norm_num_groups": _at_most(MOST_CHANNELS),
        "attention_head_dim": _or_null(_at_most(MOST_CHANNELS)),
        "time_embedding_type": (lambda value: value in _KINDS, f"one of {', '.join(_KINDS)}"),
    },
    "scheduler_config.json": {
        "sigma_min": (is_finite, "a finite number"),
        "timestep_scale": (is_finite, "a finite number"),
        "num_inference_steps": _at_most(MOST_STEPS),
    },
}
