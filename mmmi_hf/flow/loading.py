"""Loading a pipeline with diffusers: what is refused before, and without a word where there is nothing to say.

Owns the checks of a folder that need the network and the scheduler themselves; `description.py` owns the others.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from diffusers.utils import logging as diffusers_logging

from mmmi_hf.common.failures import in_words
from mmmi_hf.common.numbers import is_finite
from mmmi_hf.flow.description import SCHEDULER, UNET, check_weights, describe, read_object
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler

_CHECKED = ("attention_head_dim",)
"""What may be null, and is looked at by `describe`."""


def without_idle_warnings() -> None:
    """Drop a warning of diffusers 0.42, which names the modules kept in float32 even where there are none."""
    logging.getLogger("diffusers.models.modeling_utils").addFilter(_says_something)


def _says_something(record: logging.LogRecord) -> bool:
    return "should be kept in float32: []" not in record.getMessage()


def check_folder(folder: Path) -> None:
    """Refuse files that are no pipeline, before diffusers reads them: it would warn, and fill in weights at random.

    Raises:
        ValueError: names the file and what is wrong with it.
    """
    describe(folder)
    given = {name: value for name, value in read_object(folder / SCHEDULER).items() if not name.startswith("_")}
    try:
        _check_names(FlowMatchODEScheduler, given)
        FlowMatchODEScheduler(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{folder / SCHEDULER}: {_in_short(error)}") from error
    try:
        fields = read_object(folder / UNET)
        _check_kinds(fields)
        with torch.device("meta"), torch.no_grad():
            network = UNet2DModel.from_config(fields).eval()
            label = torch.zeros(1, dtype=torch.int64) if fields.get("num_class_embeds") else None
            network(torch.zeros(1, *_input(fields)), torch.zeros(1), class_labels=label)
    except Exception as error:  # whatever diffusers says of a configuration that makes no network
        raise ValueError(f"{folder / UNET} makes no network: {_in_short(error)}") from error
    check_weights(folder, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})


def _input(fields: Mapping[str, Any]) -> tuple[int, int, int]:
    """(channels, height, width) of what a network takes."""
    size = fields["sample_size"]
    height, width = (size, size) if isinstance(size, int) else size
    return fields["in_channels"], height, width


def _check_kinds(fields: Mapping[str, Any]) -> None:
    """Refuse a field of another kind than its default, which diffusers would take and compute something else with."""
    for name, parameter in _check_names(UNet2DModel, fields).items():
        kinds: dict[type, Callable[[object], bool]] = {
            bool: lambda value: isinstance(value, bool),
            int: is_finite,
            float: is_finite,
            str: lambda value: isinstance(value, str),
        }
        fits = kinds.get(type(parameter.default))
        if fits is not None and name in fields and not fits(fields[name]) and name not in _CHECKED:
            raise ValueError(f"{name} must be like {parameter.default!r}, got {str(fields[name])[:60]!r}")


def _check_names(kind: type, fields: Mapping[str, Any]) -> Mapping[str, inspect.Parameter]:
    """The arguments of a class, which all fields must be; those of a library that begin with _ are its own."""
    known = inspect.signature(kind).parameters
    if unknown := [name for name in fields if name not in known and not name.startswith("_")]:
        raise ValueError(f"unknown field {unknown[0][:60]!r}")
    return known


def _in_short(error: Exception) -> str:
    text = in_words(error)
    return text if len(text) <= 200 else f"{text[:200]}…"


@contextlib.contextmanager
def silent_loading() -> Iterator[None]:
    """No progress bar for two small components, and no warnings about files that have been checked."""
    shown, verbosity = diffusers_logging.is_progress_bar_enabled(), diffusers_logging.get_verbosity()
    diffusers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(verbosity)
        if shown:
            diffusers_logging.enable_progress_bar()
