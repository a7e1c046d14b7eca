"""The configuration that a manifest and the causal model beside it describe, in what it differs from the release of its
name, and which configurations of a folder make a pair of train and test.

Owns these. Reads the small files of a folder only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.format.folder import DatasetFolder, data_files
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.releases.configuration import SPLITS, MMMIConfig, Modality, is_name
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


@dataclass(frozen=True)
class Pair:
    """Splits of two configurations that plain `load_dataset` reads as one: a shift of known size between them.

    It has no files of its own. Claims and certificates are those of the two.

    Attributes:
        observed: of which train and validation are taken.
        shifted: the same model under an intervention, of which test is taken.
    """

    observed: str
    shifted: str

    @property
    def name(self) -> str:
        """That of the configuration in the card."""
        return f"{self.shifted}-from-{self.observed}"

    @property
    def splits(self) -> dict[str, str]:
        """Split → the configuration that has its rows."""
        return {"train": self.observed, "validation": self.observed, "test": self.shifted}

    @property
    def data_files(self) -> list[dict[str, str]]:
        """As the card has them."""
        return [entry for split, config in self.splits.items() for entry in data_files(config, (split,))]

    @classmethod
    def of_entry(cls, name: str, files: object) -> Pair | None:
        """The pair whose entry in a card has this name and these data files; None where they are of none."""
        paths = [str(each.get("path")) for each in files if isinstance(each, dict)] if isinstance(files, list) else []
        if len(paths) != len(SPLITS):
            return None
        observed, shifted = (path.removeprefix("data/").rpartition("/")[0] for path in (paths[0], paths[-1]))
        found = cls(observed, shifted)
        valid = is_name(observed) and is_name(shifted) and (found.name, found.data_files) == (name, files)
        return found if valid else None


def pairs(manifests: Mapping[str, Manifest], models: Mapping[str, CausalModel]) -> list[Pair]:
    """All pairs of configurations of a folder.

    Models are the same but for an intervention; maps, columns and splits are alike.
    """
    found = []
    for shifted, model in models.items():
        if model.law.observed is model.law:
            continue
        digest = CausalModel.of_law(model.law.observed).digest
        for observed, other in models.items():
            pair = Pair(observed, shifted)
            alike = other.digest == digest and _rows_alike(manifests[observed], manifests[shifted])
            if alike and is_name(pair.name) and pair.name not in manifests:
                found.append(pair)
    return found


def _rows_alike(one: Manifest, other: Manifest) -> bool:
    """Whether the rows of two configurations differ in nothing but their law, and both have all splits."""
    maps = [
        [(each.shape, each.pipeline_digest, each.class_label, each.view) for each in manifest.modalities]
        for manifest in (one, other)
    ]
    kinds = [(each.standardize, each.stored, each.targets) for each in (one, other)]
    whole = all({*SPLITS} <= each.splits.keys() for each in (one, other))
    return whole and maps[0] == maps[1] and kinds[0] == kinds[1]


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
