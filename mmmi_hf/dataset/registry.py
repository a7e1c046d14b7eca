"""The released configurations, one documented name each.

Owns names, seeds and coefficients of what the project publishes. A name keeps its meaning: a configuration that turns
out wrong is superseded under a new version and listed under Corrections, never changed in silence.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Any

from mmmi_hf.dataset.configuration import DEFAULT_PIPELINE, MMMIConfig, Modality
from mmmi_hf.dataset.yaml_source import ConfigurationError

COMMON_CAUSE_LEVELS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)

_SHAPE = [1, 32, 32]
_SNEAKER, _BAG = 7, 8


def list_configurations() -> list[str]:
    """Names of the released configurations, in the order in which they are documented."""
    return list(_released())


def get_configuration(
    name: str,
    *,
    rows: int | None = None,
    seed: int | None = None,
    pipeline: str | None = None,
    store_latents: bool | None = None,
) -> MMMIConfig:
    """A released configuration by name, or the configuration of a YAML file by path.

    Args:
        name: a name of `list_configurations()`, or a path ending in .yaml or .yml.
        rows, seed, store_latents: replace the configuration's own.
        pipeline: replaces the pipeline of every modality.

    Raises:
        ConfigurationError: no such name (with the nearest ones) or file, or a field that cannot be used.
    """
    if Path(name).suffix in (".yaml", ".yml"):
        config = MMMIConfig.from_yaml(name)
        if config.name in _released() and config.digest != get_configuration(config.name).digest:
            raise ConfigurationError(
                f"{name}: the name {config.name!r} belongs to a released configuration; take another"
            )
    elif name in _released():
        config = MMMIConfig(**_released()[name])
    else:
        near = difflib.get_close_matches(name, _released(), n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "see `mmmi-hf list`"
        raise ConfigurationError(f"unknown configuration {name!r}: {hint} (one's own configuration is a .yaml file)")
    return config.with_pipeline(pipeline).replace(rows=rows, seed=seed, store_latents=store_latents)


@cache
def _released() -> dict[str, dict[str, Any]]:
    """Arguments of MMMIConfig by name; the models are built only when asked for."""
    pair = (Modality(DEFAULT_PIPELINE, _SNEAKER), Modality(DEFAULT_PIPELINE, _BAG))
    released: dict[str, dict[str, Any]] = {}
    for index, level in enumerate(COMMON_CAUSE_LEVELS):
        released[f"common-cause-{level}"] = {
            "description": (
                f"One common cause with a homogeneous template (the paper's eq. 2): each of two images carries {level} "
                "nats about the target y, and they share information through y alone."
            ),
            "causal_model": {"story": "common_cause", "shape": _SHAPE, "mi": level},
            "modalities": pair,
            "seed": 2510_2168_600 + index,
        }
    released["independent"] = {
        "description": "The null: two images and a target without a common cause; every information quantity is zero.",
        "causal_model": {"story": "independent", "shape": _SHAPE},
        "modalities": pair,
        "seed": 2510_2168_700,
    }
    return {name: {"name": name, "version": "1.0.0", **fields} for name, fields in released.items()}
