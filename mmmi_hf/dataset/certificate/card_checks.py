"""Checks of a dataset folder's card: does plain `load_dataset`, which goes by the card, read the files that the
manifests name, as what they are?

Owns which entries a card may have, ours and those of others. The card's text is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import DatasetInfo, Features
from datasets.config import DATASETDICT_INFOS_FILENAME, REPOYAML_FILENAME
from datasets.info import DatasetInfosDict
from datasets.load import LocalDatasetModuleFactory
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from mmmi_hf.common.failures import in_words
from mmmi_hf.common.files import MOST_BYTES, read_regular
from mmmi_hf.common.yaml_files import parse
from mmmi_hf.dataset.format.configurations import Pair, pairs
from mmmi_hf.dataset.format.folder import GROUND_TRUTH, GROUND_TRUTH_FILES, DatasetFolder, data_files
from mmmi_hf.dataset.format.ground_truth import stored_ground_truth
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.releases.configuration import SPLITS, MMMIConfig, is_name
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

FIELDS = {"config_name", "version", "description", "default", "data_files"}
OTHERS_ROOM = re.compile(r"\w[\w.\-]*")
"""A folder or file at the root of a repository, as a pattern names it if it can match nothing else."""
OVERRIDING = REPOYAML_FILENAME, DATASETDICT_INFOS_FILENAME
"""Files that `load_dataset` heeds beside or above the card. We write none."""

UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ImportError)
"""What `datasets` and YAML raise of cards that say nothing sensible; RecursionError is a RuntimeError."""


def card_problems(folder: DatasetFolder, config: MMMIConfig, manifest: Manifest) -> list[str]:
    """What is wrong with the card as far as a configuration goes, and with entries that may be read in its place.

    Args:
        folder: the card's.
        config, manifest: the configuration as its manifest describes it.
    """
    try:
        data = DatasetCardData(**front_matter_of(folder.card))
        entries = data["configs"]
        found = {entry["config_name"]: entry for entry in entries}
        infos = DatasetInfosDict.from_dataset_card_data(data)
        default = _read_by_default(data, infos)
    except UNREADABLE as error:
        return [f"README.md does not say what `load_dataset` reads ({in_words(error)}); generate again"]
    problems = [
        f"{name} makes `load_dataset` heed something else than README.md; remove it"
        for name in OVERRIDING
        if (folder.path / name).exists()
    ]
    own = data_files(config.name, manifest.splits)
    for name, wanted in ((config.name, own), (GROUND_TRUTH, GROUND_TRUTH_FILES)):
        entry = found.get(name, {})
        if entry.get("data_files") != wanted or not set(entry) <= FIELDS or len(found) != len(entries):
            problems.append(f"README.md makes `load_dataset` read something else as {name!r} than the manifest's files")
    said = {"version": manifest.version, "description": manifest.description}
    if {field: found.get(config.name, {}).get(field) for field in said} != said:
        problems.append(f"README.md gives {config.name!r} another version or description than the manifest")
    tables = {
        path.stem: stored_ground_truth(path) for path in sorted((folder.path / GROUND_TRUTH).glob("[!.]*.parquet"))
    }
    problems += _entry_problems(folder, found, default) + _info_problems(config, manifest, infos, tables[config.name])
    problems += _stray(folder, tables)
    return problems or _kind_problems(folder, entries[0]["config_name"])


def front_matter_of(card: Path) -> dict[str, Any]:
    """The YAML of a card; one of the `UNREADABLE` where there is none."""
    block = REGEX_YAML_BLOCK.search(read_regular(card, MOST_BYTES).decode())
    if block is None:
        raise ValueError("it does not begin with YAML between two lines of ---")
    found: dict[str, Any] = parse(block.group(2)).data
    return found


def _read_by_default(data: DatasetCardData, infos: Mapping[str, DatasetInfo]) -> str | None:
    """The configuration that `load_dataset` takes if none is named."""
    default: str | None = MetadataConfigs.from_dataset_card_data(data).get_default_config_name()
    return next(iter(infos)) if default is None and len(infos) == 1 else default


def _entry_problems(folder: DatasetFolder, found: Mapping[str, Mapping[str, Any]], default: str | None) -> list[str]:
    """Entries that are neither ours nor keep away from our files, or are read by default without being ours."""
    ours = {name for name, entry in found.items() if _is_ours(folder, name, entry)}
    paired = {name for name, entry in found.items() if _is_pair(folder, name, entry)}
    problems = [
        f"README.md makes `load_dataset` read {name!r}, which is no configuration of the folder"
        for name, entry in found.items()
        if name not in {GROUND_TRUTH, *ours, *paired} and not all(map(_is_outside, _patterns(entry)))
    ]
    if default is not None and default not in ours:
        problems.append(f"README.md makes `load_dataset` read {default!r} by default, no configuration of the folder")
    return problems


def _is_ours(folder: DatasetFolder, name: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a card's entry is that of a configuration that is here, or of which nothing was downloaded.

    What lies in the files of another configuration is a matter of its own check.
    """
    if not is_name(name) or not set(entry) <= FIELDS:
        return False
    files, possible = entry.get("data_files"), data_files(name, SPLITS)
    if not isinstance(files, list) or not files:
        return False
    try:
        manifest = folder.manifest(name)
        if manifest is not None:
            return files == data_files(name, manifest.splits)
    except (ConfigurationError, LookupError, TypeError):  # that manifest says nothing, which is not this one's fault
        return False
    return all(each in possible for each in files) and not folder.data(name).exists()


def _is_pair(folder: DatasetFolder, name: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a card's entry is that of train and test of two configurations; of which nothing may be here."""
    pair = Pair.of_entry(str(name), entry.get("data_files"))
    if pair is None or not set(entry) <= FIELDS:
        return False
    there = set(folder.configurations())
    known = [config for config in (pair.observed, pair.shifted) if config in there]
    if len(known) < 2:
        return True
    try:
        manifests = {config: folder.known_manifest(config) for config in known}
        return pair in pairs(manifests, {config: folder.model(config) for config in known})
    except (ConfigurationError, OSError, ValueError):  # which is said where those are looked at
        return True


def _patterns(entry: Mapping[str, Any]) -> list[Any]:
    """What an entry of somebody else's makes `load_dataset` look for, from the root of the repository."""
    listed = _as_list(entry.get("data_files") or "**")
    patterns = [
        pattern for each in listed for pattern in _as_list(each.get("path") if isinstance(each, dict) else each)
    ]
    below = entry.get("data_dir")
    return [f"{below}/{pattern}" for pattern in patterns] if below else patterns


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_outside(pattern: Any) -> bool:
    """Whether a pattern can only match files of the repository that are in none of our rooms."""
    if not isinstance(pattern, str) or "\\" in pattern or ":" in pattern:  # `s3::x` is another file system
        return False
    room, *below = pattern.split("/")
    if not below and "**" not in room:
        return True  # files at the root
    theirs = OTHERS_ROOM.fullmatch(room) is not None and room.casefold() not in ("data", GROUND_TRUTH)
    return theirs and ".." not in below


def _kind_problems(folder: DatasetFolder, first: str) -> list[str]:
    """Whether `load_dataset` takes files for what ours are. It takes all for the kind of those that are named first."""
    try:
        module: str = LocalDatasetModuleFactory(str(folder.path)).get_module().module_path
    except FileNotFoundError:
        return []  # nothing of what is named first was downloaded, and `load_dataset` reads nothing
    except UNREADABLE as error:
        return [f"`load_dataset` cannot tell what README.md names: {in_words(error)}"]
    kind = module.rpartition(".")[2]
    if kind == "parquet":
        return []
    return [f"README.md names {first!r} first, which makes `load_dataset` take all files for {kind}"]


def _info_problems(
    config: MMMIConfig, manifest: Manifest, infos: Mapping[str, DatasetInfo], truth: pa.Table
) -> list[str]:
    """Types of columns and sizes of splits."""
    problems = []
    columns = features(config.model, manifest.views, **manifest.stored)
    sizes = {split: (entry.rows, entry.bytes) for split, entry in manifest.splits.items()}
    for name, kinds in ((config.name, columns), (GROUND_TRUTH, Features.from_arrow_schema(truth.schema))):
        info = infos.get(name, DatasetInfo())
        stated = {split: (each.num_examples, each.num_bytes) for split, each in (info.splits or {}).items()}
        if info.features not in (None, kinds) or (name == config.name and stated not in ({}, sizes)):
            problems.append(f"README.md makes `load_dataset` take {name!r} for something else (dataset_info)")
    return problems


def _stray(folder: DatasetFolder, tables: Mapping[str, pa.Table]) -> list[str]:
    """Data and ground truth of configurations that the folder does not have, and ground truth that speaks of others, or
    that `load_dataset` could not read together with the other tables."""
    claimed = {name: f"{GROUND_TRUTH}/{name}.parquet" for name in tables}
    claimed |= {path.name: f"data/{path.name}" for path in (folder.path / "data").glob("[!.]*")}
    being_made = {name for name in claimed if folder.work(name).exists()}
    known = set(folder.configurations())
    problems = [
        f"{where} belongs to no configuration of the folder; remove it"
        for name, where in claimed.items()
        if name not in known | being_made
    ] + [
        f"{claimed[name]} lists quantities of another configuration"
        for name, table in tables.items()
        if set(table["config"].to_pylist()) != {name}
    ]
    if len({tuple(table.schema.names) for table in tables.values()}) > 1:
        problems.append(f"the tables of {GROUND_TRUTH}/ have different columns; generate or verify again with --write")
    return problems
