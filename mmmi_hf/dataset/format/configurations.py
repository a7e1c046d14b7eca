"""The configuration that a manifest and the causal model beside it describe, and in what it differs from the release of
its name.

Owns both. Reads the small files of a folder only.
"""

from __future__ import annotations

from itertools import groupby

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError


def rebuilt_configuration(folder: DatasetFolder, config: str, manifest: Manifest) -> MMMIConfig:
    """The configuration that a manifest and the causal model beside it describe.

    Raises:
        ValueError: they describe none.
        OSError: the causal model cannot be read.
    """
    return described_configuration(manifest, folder.model(config), name=config)


def described_configuration(manifest: Manifest, model: CausalModel, *, name: str | None = None) -> MMMIConfig:
    """`rebuilt_configuration`, from a causal model that was read; by default of the manifest's own name."""
    return MMMIConfig(
        name=name or manifest.config,
        version=manifest.version,
        description=manifest.statements.description,
        causal_model=model,
        modalities=tuple(Modality(entry.pipeline, entry.class_label) for entry in manifest.modalities),
        standardize=manifest.standardize,
        rows=manifest.rows,
        seed=0 if manifest.seed is None else manifest.seed,
        store_latents=manifest.stored["store_latents"],
        store_posterior=manifest.stored["store_posterior"],
    )


def release_differences(config: MMMIConfig, manifest: Manifest) -> list[str]:
    """In what a configuration of a released name differs from the release of its version; empty for other names too."""
    if config.name not in list_configurations():
        return []
    try:
        released = get_configuration(config.name, version=str(config.version))
    except ConfigurationError:  # there is no such version
        released = get_configuration(config.name)
    pairs = {
        "version": (config.version, released.version),
        "rows": (config.rows, released.rows),
        "seed": (manifest.seed, released.seed),
        "standardize": (config.standardize, released.standardize),
        "causal model": (config.model.digest[:12], released.model.digest[:12]),
        "modalities": (_pipelines(config), _pipelines(released)),
        **{name: (config.stored[name], released.stored[name]) for name in config.stored},
    }
    return [f"{name} {here} (released: {there})" for name, (here, there) in pairs.items() if here != there]


def _pipelines(config: MMMIConfig) -> str:
    """The pipelines of all modalities in order; of the same ones in a row, how many."""
    named = (
        each.pipeline if each.class_label is None else f"{each.pipeline} class {each.class_label}"
        for each in config.modalities
    )
    counted = [(name, len(list(members))) for name, members in groupby(named)]
    return ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counted)
