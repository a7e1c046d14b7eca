"""Settings of estimators as texts and as plain values.

Owns how `NAME.SETTING=VALUE` becomes a setting of the type that the estimator declares, and what is told of settings.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mmmi_hf.benchmark.estimator import REVISION, SOURCE, Estimator, setting_types
from mmmi_hf.benchmark.registry import estimator_class, make_estimator
from mmmi_hf.common.records import told

_OF_CODE = ("estimator", SOURCE, REVISION)


def estimator_with(name: str, texts: Sequence[str], **settings: Any) -> Estimator:
    """An estimator with settings, some of which are told as texts.

    Args:
        name: of the estimator.
        texts: such as "neighbours=5"; a setting that has fields itself takes them one by one, "training.steps=100".
            Values are written as in JSON, texts without quotes. The last of several counts.
        settings: the others, as `make_estimator` takes them.

    Raises:
        ValueError: an unknown estimator or setting, or a value of another type; says what there is.
    """
    for text in texts:
        setting, _, value = text.partition("=")
        path = setting.split(".")
        settings = _replaced(estimator_class(name), settings, path, value, name)
    return make_estimator(name, **settings)


def _replaced(kind: Any, given: Mapping[str, Any], path: Sequence[str], text: str, where: str) -> dict[str, Any]:
    """Settings of a kind with the one at a path replaced."""
    types, (first, *rest) = setting_types(kind), path
    if first not in types:
        raise ValueError(f"set: {where!r} has no setting {first!r}, expected {', '.join(types) or 'none'}")
    inner, where = types[first], f"{where}.{first}"
    if not rest:
        return {**given, first: _typed(inner, text, where)}
    present = given[first] if first in given else _default(kind, first)
    fields = {name: getattr(present, name) for name in setting_types(inner)}
    return {**given, first: inner(**_replaced(inner, fields, rest, text, where))}


def _typed(kind: Any, text: str, where: str) -> Any:
    adapter = TypeAdapter[Any](kind)
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as first:
        try:
            return adapter.validate_python(text, strict=True)  # a text without quotes
        except ValidationError as second:
            wrong = second if first.errors()[0]["type"] == "json_invalid" else first
            raise ValueError(told(wrong, f"set: {where}")) from None


def by_estimator(texts: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Texts such as "ksg.neighbours=5" by the names of the estimators that are asked for.

    Raises:
        ValueError: a text of another form, or of an estimator that is not asked for.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for text in texts:
        place, equals, _ = text.partition("=")
        name, dot, _ = place.partition(".")
        if not equals or not dot:
            raise ValueError(f"set: {text!r} is no setting; write e.g. ksg.neighbours=5")
        estimator_class(name)
        if name not in found:
            raise ValueError(f"set: {name!r} is not asked for, only {', '.join(names)}; add it to --estimators")
        found[name].append(text.removeprefix(f"{name}."))
    return found


def restored(settings: Mapping[str, Any]) -> Estimator:
    """The estimator of plain settings, as `Estimator.settings` tells them; of today's code, whichever they name."""
    plain = {name: value for name, value in settings.items() if name not in _OF_CODE}
    types = setting_types(estimator_class(settings["estimator"]))
    values = {
        name: TypeAdapter[Any](types[name]).validate_json(json.dumps(value)) if name in types else value
        for name, value in plain.items()
    }
    return make_estimator(settings["estimator"], **values)


def told_settings(settings: Mapping[str, Any]) -> list[str]:
    """Plain settings as texts, "neighbours=3", fields of settings one by one; without name and code."""
    texts = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            texts += [f"{name}.{text}" for text in told_settings(value)]
        elif name not in _OF_CODE:
            texts.append(f"{name}={value if isinstance(value, str) else json.dumps(value)}")
    return texts


def _default(kind: Any, name: str) -> Any:
    (field,) = (field for field in dataclasses.fields(kind) if field.name == name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
