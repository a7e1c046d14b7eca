"""From the `causal_model` field of a configuration to a CausalModel, and back.

Owns the plain (YAML) form of causal models. Three forms are read:

- a story: `story: common_cause`, `shape: [1, 32, 32]` and the keyword arguments of that function of mmmi_hf.causal;
- explicit coefficients: `eta`, `weights`, `mixing`, `shape` and optionally `templates`, as CausalModel takes them;
- `json`: the fields of `CausalModel.to_json()`, which is also how a CausalModel object is written.

The first two take `target`, what y is made of: {classes: {quantiles: 10}}, as CausalModel takes it, `common_scale`,
{dof: 5, dimensions: 8}, or `shift`, {cause: 0, scale: 2}, as `with_common_scale` and `with_shift` do, and `missing`,
{x1: 0.3}, the modalities that rows lack by chance, as `with_missing` does.

A template is a name ("ones"), one name with its parameters ({gaussian: {centre: [16, 16], width: 4}}), an image file
({image: {path: mask.png}}, relative to the YAML file) or an array ({array: [[…]]}).
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmmi_hf.causal import CausalModel, InvalidModelError, stories, templates
from mmmi_hf.causal.arguments import read_numbers, shown
from mmmi_hf.common.failures import in_one_line
from mmmi_hf.common.yaml_files import FieldPath
from mmmi_hf.dataset.releases.yaml_source import FieldError, check_fields

STORIES: dict[str, Callable[..., CausalModel]] = {
    name: getattr(stories, name)
    for name in (
        "common_cause",
        "two_telescopes",
        "decaying_modalities",
        "template_ablation",
        "independent",
        "categorical_cause",
    )
}
_HERE: FieldPath = ("causal_model",)
_CHANGES = {"common_scale": (("dof",), ("dof", "dimensions")), "shift": (("cause", "scale"),) * 2}
"""What a model may be changed by after it was made: its fields, those that are needed and all."""
_ARGUMENT, _INDEX = re.compile(r"(?P<name>\w+)(?P<indices>(?:\[[\d, ]+\])*)"), re.compile(r"\d+")


def build_model(spec: Mapping[str, Any], *, folder: Path | None = None) -> CausalModel:
    """The CausalModel that a mapping describes.

    Args:
        spec: one of the three forms of this module.
        folder: where relative paths of image templates start (default: the working directory).

    Raises:
        FieldError: an unknown story or field, or a value that the model refuses (with the model's own words).
    """
    forms = [form for form in ("story", "json") if form in spec]
    forms += ["eta"] if "eta" in spec and "story" not in forms else []  # stories take an eta, too
    if len(forms) != 1:
        raise FieldError(
            _HERE,
            "give exactly one of: a story with its coefficients; eta, weights, mixing and shape; json "
            f"(found {', '.join(forms) or 'none of these'})",
        )
    if "target" in spec and forms != ["json"] and not _names_of_story(spec):
        plain = build_model({key: value for key, value in spec.items() if key != "target"}, folder=folder)
        return _with_target(plain, spec["target"])
    if "missing" in spec and forms != ["json"]:
        plain = build_model({key: value for key, value in spec.items() if key != "missing"}, folder=folder)
        given = spec["missing"]
        if given is None:
            raise FieldError((*_HERE, "missing"), "is empty: give a modality with a probability, {x1: 0.3}")
        return _said_here(lambda: plain.with_missing(given), (*_HERE, "missing"))
    for change, (needed, known) in _CHANGES.items():
        if change in spec and forms != ["json"]:
            plain = build_model({key: value for key, value in spec.items() if key != change}, folder=folder)
            here, given = (*_HERE, change), spec[change]
            if not isinstance(given, Mapping) or not set(needed) <= set(given):
                raise FieldError(here, f"got {shown(given)}, expected the fields {', '.join(known)}")
            check_fields(given, known, here)
            return _said_here(partial(getattr(plain, f"with_{change}"), **given), here)
    if forms == ["story"]:
        return _from_story(spec, folder)
    if forms == ["json"]:
        check_fields(spec, ("json",), _HERE)
        return _said_here(lambda: CausalModel.from_json(json.dumps(spec["json"])), (*_HERE, "json"))
    return _from_coefficients(spec, folder)


def _names_of_story(spec: Mapping[str, Any]) -> bool:
    """Whether `target` is the word that a story has for its own, and no kind of target."""
    story = STORIES.get(spec["story"]) if isinstance(spec.get("story"), str) else None
    return story is not None and "target" in inspect.signature(story).parameters and isinstance(spec["target"], str)


def _with_target(plain: CausalModel, given: Any) -> CausalModel:
    """The model with a target; what is wrong is said at the kind's field that is wrong."""
    here: FieldPath = (*_HERE, "target")
    if given is None:
        raise FieldError(
            here, "is empty: give one kind with its arguments, {classes: {quantiles: 10}}, or leave it out"
        )
    if isinstance(given, Mapping) and len(given) == 1:
        ((kind, fields),) = given.items()
        if isinstance(fields, Mapping):
            return _said_here(lambda: plain.with_target(given), (*here, str(kind)), fields)
    return _said_here(lambda: plain.with_target(given), here)


def model_to_mapping(model: CausalModel) -> dict[str, Any]:
    """A CausalModel in the `json` form."""
    return {"json": json.loads(model.to_json())}


def _from_story(spec: Mapping[str, Any], folder: Path | None) -> CausalModel:
    name = spec["story"]
    if not isinstance(name, str) or name not in STORIES:
        raise FieldError((*_HERE, "story"), f"got {name!r}, expected one of {', '.join(STORIES)}")
    story = STORIES[name]
    known = tuple(inspect.signature(story).parameters)
    check_fields({key: value for key, value in spec.items() if key != "story"}, known, _HERE)
    if "shape" not in spec:
        raise FieldError(_HERE, "the field 'shape' is missing, e.g. shape: [1, 32, 32]")
    shape = _shape(spec["shape"])
    arguments = {
        key: _all_templates(value, shape, 1, (*_HERE, key), folder) if "template" in key else value
        for key, value in spec.items()
        if key not in ("story", "shape")
    }
    return _said_here(lambda: story(shape, **arguments), _HERE, spec)


def _from_coefficients(spec: Mapping[str, Any], folder: Path | None) -> CausalModel:
    check_fields(spec, ("eta", "weights", "mixing", "shape", "templates"), _HERE)
    for required in ("weights", "mixing", "shape"):
        if required not in spec:
            raise FieldError(_HERE, f"the field {required!r} is missing")
    arrays = {name: _numbers(spec[name], (*_HERE, name)) for name in ("eta", "weights", "mixing")}
    if arrays["eta"].ndim != 1:
        raise FieldError((*_HERE, "eta"), f"expected a list with one number per cause, got {spec['eta']!r}")
    shape = _shape(spec["shape"])
    given = spec.get("templates", "ones")
    given = _all_templates(given, shape, len(arrays["eta"]), (*_HERE, "templates"), folder)
    return _said_here(lambda: CausalModel(**arrays, shape=shape, templates=given), _HERE, spec)


def _said_here(build: Callable[[], CausalModel], path: FieldPath, spec: Mapping[str, Any] | None = None) -> CausalModel:
    """The model, or its refusal as a FieldError: at the field of `spec` that the message names first, or at `path`."""
    try:
        return build()
    except FieldError:
        raise
    except (ValueError, TypeError, KeyError, MemoryError, OverflowError) as error:
        message = in_one_line(error)
        found = _ARGUMENT.match(message)
        if spec is not None and found is not None and found["name"] in spec:
            path = (*path, found["name"], *map(int, _INDEX.findall(found["indices"])))
        raise FieldError(path, message) from error


def _numbers(value: Any, path: FieldPath) -> np.ndarray:
    try:
        return read_numbers(str(path[-1]), value)
    except InvalidModelError:
        raise FieldError(path, f"expected numbers in rows of equal length, got {shown(value)}") from None


def _shape(value: Any) -> Any:
    """[1, 32, 32] as a tuple; a list of such as a list of tuples; anything else is left for the model to refuse."""
    if isinstance(value, list) and value and all(isinstance(entry, list) for entry in value):
        return [tuple(entry) for entry in value]
    return tuple(value) if isinstance(value, list) else value


def _all_templates(value: Any, shape: Any, causes: int, path: FieldPath, folder: Path | None) -> Any:
    """The templates of a model; where modalities differ in shape, one row (or entry) per modality."""
    if not isinstance(shape, list):
        return _templates(value, shape, path, folder)
    if isinstance(value, Mapping):
        value = [value] * len(shape)
    if not isinstance(value, list):
        return value
    if len(value) != len(shape):
        raise FieldError(path, f"got {len(value)} rows, expected one per modality: {len(shape)}")
    rows = [row if isinstance(row, list) else [row] * causes for row in value]
    return [_templates(row, one, (*path, i), folder) for i, (row, one) in enumerate(zip(rows, shape, strict=True))]


def _templates(value: Any, shape: Any, path: FieldPath, folder: Path | None) -> Any:
    """Replace every {name: parameters} by the array that it describes; names and None stay."""
    if isinstance(value, list):
        return [_templates(entry, shape, (*path, index), folder) for index, entry in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    if len(value) != 1:
        raise FieldError(path, f"a template is one name with its parameters, got {sorted(map(str, value))}")
    ((name, parameters),) = value.items()
    if name == "array":
        return _numbers(parameters, (*path, "array"))
    function = getattr(templates, str(name), None) if str(name) in templates.__all__ else None
    if function is None:
        raise FieldError(path, f"unknown template {name!r}, expected one of {', '.join((*templates.__all__, 'array'))}")
    if not isinstance(parameters, Mapping):
        raise FieldError((*path, str(name)), f"expected its parameters by name, got {parameters!r}")
    arguments = dict(parameters)
    known = tuple(key for key in inspect.signature(function).parameters if key != "shape")
    check_fields(arguments, known, (*path, str(name)))
    if "path" in arguments and folder is not None:
        arguments["path"] = folder / str(arguments["path"])
    try:
        return function(shape=shape, **arguments)
    except (ValueError, TypeError, OSError, MemoryError, OverflowError) as error:
        raise FieldError((*path, str(name)), in_one_line(error)) from error
