"""Checks of a dataset folder that need no network: is every file what the manifest, the causal model and the
certificate say?

Owns `check_folder`, which publishing uses, `statement_problems`, its part that needs no data, which loading uses, and
the rebuilding of a configuration from its manifest. Runs no bijection.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.files import sha256_of
from mmmi_hf.dataset.certificate.card_checks import card_problems
from mmmi_hf.dataset.format.folder import DatasetFolder, shard_names
from mmmi_hf.dataset.format.ground_truth import SCHEMA, ground_truth_table
from mmmi_hf.dataset.format.schema import is_image
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

CERTIFICATE_FORMAT = 2
"""To be raised whenever what a certificate must say changes: its fields, tests, bounds, tolerances, or METHOD."""
BOUND_COLUMNS = {"float32": "lower_bound_float32", "8bit": "lower_bound_8bit"}


def check_folder(folder: str | os.PathLike[str], config: str) -> list[str]:
    """What is wrong with a configuration of a dataset folder, as far as can be said without inverting an image.

    Digests and sizes of all files, nothing else among the data, a card that makes `load_dataset` read these files and
    no others, the manifest's own consistency, ground truth equal to what the causal model gives, and lower bounds
    equal to those of the certificate that binds this manifest (without one, no bounds at all; a certificate of
    something else must not lie there). Reads only.

    Returns:
        Reasons; empty where nothing is wrong. A missing certificate is no reason: see `bound_certificate`.

    Raises:
        ConfigurationError: no such configuration in the folder.
    """
    place = DatasetFolder(folder, reading=True)
    return problems_of(place, config, read_manifest(place, config))


def read_manifest(folder: DatasetFolder, config: str) -> dict[str, Any]:
    """The manifest. Raises ConfigurationError where the folder has no such configuration."""
    manifest = folder.manifest(config)
    if manifest is None:
        known = ", ".join(folder.configurations())
        raise ConfigurationError(f"{folder.path} holds no configuration {config!r}; it holds {known}")
    return manifest


def problems_of(folder: DatasetFolder, config: str, manifest: Mapping[str, Any]) -> list[str]:
    """`check_folder` of an opened folder."""
    return _unless_malformed(
        lambda: _listing_problems(config, manifest),
        lambda: _file_problems(folder, config, manifest),
        lambda: _content_problems(folder, config, manifest),
        lambda: card_problems(folder, rebuilt_configuration(folder, config, manifest), manifest),
    )


def statement_problems(folder: DatasetFolder, config: str, manifest: Mapping[str, Any]) -> list[str]:
    """What of manifest, causal model, ground truth and certificate contradicts another; data are not looked at."""
    return _unless_malformed(
        lambda: _listing_problems(config, manifest), lambda: _content_problems(folder, config, manifest)
    )


def _unless_malformed(*checks: Callable[[], list[str]]) -> list[str]:
    """What the first check finds that finds anything, or that the manifest is not what any check can read."""
    try:
        return next((found for check in checks if (found := check())), [])
    except (
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
        RecursionError,
        OSError,
        pa.ArrowException,
    ) as error:
        return [f"the manifest or a file that it names is malformed: {type(error).__name__}: {error}"]


def rebuilt_configuration(folder: DatasetFolder, config: str, manifest: Mapping[str, Any]) -> MMMIConfig:
    """The configuration that a manifest and the causal model beside it describe.

    Raises:
        ValueError: they describe none.
    """
    model = CausalModel.from_json(folder.causal_model(config).read_text())
    return MMMIConfig(
        name=config,
        version=manifest["version"],
        description=manifest["description"],
        causal_model=model,
        modalities=tuple(Modality(entry["pipeline"], entry["class_label"]) for entry in manifest["modalities"]),
        standardize=manifest["standardize"],
        rows=manifest["rows"],
        seed=0 if manifest["seed"] is None else manifest["seed"],
        store_latents=manifest["store_latents"],
    )


def bound_certificate(folder: DatasetFolder, config: str) -> dict[str, Any] | None:
    """The certificate of a configuration if it is whole, valid and binds the manifest that is there, else None."""
    path = folder.certificate_path(config)
    if not path.is_file():
        return None
    try:
        certificate = json.loads(path.read_text())
    except (ValueError, OSError, RecursionError):
        return None
    binds = (
        isinstance(certificate, dict)
        and certificate.get("format") == CERTIFICATE_FORMAT
        and certificate.get("config") == config
        and certificate.get("valid") is True
        and certificate.get("manifest_sha256") == sha256_of(folder.manifest_path(config))
        and _is_whole(certificate)
    )
    return certificate if binds else None


def _is_whole(certificate: Mapping[str, Any]) -> bool:
    """Whether a certificate has what is read of it, and its numbers make sense."""
    try:
        sample = certificate["sample"]
        bounds = [bound for kinds in certificate["lower_bounds"].values() for bound in kinds.values()]
        errors = [kinds["float32"]["max"] for kinds in certificate["round_trip"].values()]
        return (
            all(isinstance(row, int) for key in ("rows", "rows_float64") for row in sample[key])
            and len(sample["rows_float64"]) <= len(sample["rows"])
            and isinstance(sample["chosen_seed"], int | None)
            and isinstance(certificate["replayed"], bool)
            and 0.5 < certificate["confidence"] < 1.0
            and all(number is None or is_amount(number) for number in (*bounds, *errors))
        )
    except (KeyError, TypeError, AttributeError):
        return False


def is_amount(value: Any) -> bool:
    """Whether what a JSON file holds is a finite number, not below 0."""
    return isinstance(value, int | float) and 0.0 <= value <= sys.float_info.max


def release_differences(config: MMMIConfig, manifest: Mapping[str, Any]) -> list[str]:
    """In what a configuration of a released name differs from the release; empty for other names too."""
    if config.name not in list_configurations():
        return []
    released = get_configuration(config.name)
    pairs = {
        "version": (config.version, released.version),
        "rows": (config.rows, released.rows),
        "seed": (manifest["seed"], released.seed),
        "standardize": (config.standardize, released.standardize),
        "causal model": (config.model.digest[:12], released.model.digest[:12]),
        "modalities": (_pipelines(config), _pipelines(released)),
        "store_latents": (config.store_latents, released.store_latents),
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


def _listing_problems(config: str, manifest: Mapping[str, Any]) -> list[str]:
    listed = [entry["path"] for entry in manifest["files"]]
    data = [path for split in manifest["splits"].values() for path in split["files"]]
    expected = {*data, f"ground_truth/{config}.parquet", f"causal_models/{config}.json"}
    problems = []
    if set(listed) != expected or len(listed) != len(expected) or len(set(data)) != len(data):
        problems.append("the manifest's list of files is not that of its splits, ground truth and causal model")
    for split, entry in manifest["splits"].items():  # plain `load_dataset` goes by the names
        expected_here = shard_names(config, split, len(entry["files"]))
        wrong = [path for path, wanted in zip(entry["files"], expected_here, strict=True) if path != wanted]
        problems += [f"{path} is not what a file of the split {split} is called" for path in wrong[:1]]
    return problems


def _file_problems(folder: DatasetFolder, config: str, manifest: Mapping[str, Any]) -> list[str]:
    data = {path for split in manifest["splits"].values() for path in split["files"]}
    there = {
        path.relative_to(folder.path).as_posix() for path in sorted(folder.data(config).rglob("*")) if path.is_file()
    }
    problems = [f"{path} is not in the manifest" for path in sorted(there - data)]
    for path in [] if problems else folder.damaged_files(manifest):
        is_there = (folder.path / path).is_file()
        problems.append(f"{path} {'differs from the manifest (SHA-256 or size)' if is_there else 'is missing'}")
    return problems


def _content_problems(folder: DatasetFolder, name: str, manifest: Mapping[str, Any]) -> list[str]:
    problems = []
    if manifest["config"] != name:
        problems.append(f"the manifest is that of {manifest['config']!r}")
    config = rebuilt_configuration(folder, name, manifest)
    if config.model.digest != manifest["causal_model"]:
        problems.append("the causal model is another than the manifest's (digest)")
    if manifest["seed"] is not None and config.digest != manifest["key"]["configuration"]:
        problems.append("causal model, modalities, standardization and seed are not those that the rows were made with")
    if manifest["seed"] != manifest["key"]["seed"]:
        problems.append("the manifest gives two seeds")
    wanted = {split: len(rows) for split, rows in config.split_rows.items()}
    if {split: entry["rows"] for split, entry in manifest["splits"].items()} != wanted:
        problems.append(f"the splits are not those of {config.rows} rows: {wanted}")
    if not all(isinstance(entry["bytes"], int) for entry in manifest["splits"].values()):
        problems.append("the sizes of the splits are not numbers")
    shapes = {entry["name"]: tuple(entry["shape"]) for entry in manifest["modalities"]}
    if shapes != dict(config.model.shapes):
        problems.append("shapes of modalities differ between manifest and causal model")
    for entry in manifest["modalities"]:
        if not isinstance(entry["pipeline_digest"], str):
            problems.append(f"{entry['name']} has the pipeline digest {entry['pipeline_digest']!r}")
        half_range = entry["view_half_range"]
        viewed = half_range is not None
        if viewed != is_image(tuple(entry["shape"])) or (viewed and not 0.0 < half_range < math.inf):
            problems.append(f"{entry['name']} has an 8-bit view of the range ±{half_range}")
    return problems + _ground_truth_problems(folder, config)


def _ground_truth_problems(folder: DatasetFolder, config: MMMIConfig) -> list[str]:
    table = pq.read_table(folder.ground_truth(config.name))
    if table.schema.names != SCHEMA.names:
        return ["the ground truth has other columns"]
    certificate = bound_certificate(folder, config.name)
    problems = []
    if certificate is None and folder.certificate_path(config.name).exists():
        problems = [
            f"certificates/{config.name}.json is not a certificate of this manifest (damaged, edited, copied from "
            "elsewhere, or of another version of mmmi_hf); remove it and verify again"
        ]
    bounds = certificate["lower_bounds"] if certificate else {}
    expected = {row["quantity"]: row for row in ground_truth_table(config, bounds).to_pylist()}
    found = {row["quantity"]: row for row in table.to_pylist()}
    unknown = [quantity for quantity in found if quantity not in expected]
    if unknown or len(found) != table.num_rows or not found:
        what = f"{unknown[0]}, which the causal model does not have" if unknown else "no quantity, or one twice"
        return [*problems, f"the ground truth lists {what}"]
    for quantity, have in found.items():  # a later version of the package may name more than were named then
        want = expected[quantity]
        if (have["config"], have["version"]) != (want["config"], want["version"]):
            problems.append(f"the ground truth of {quantity} is that of {have['config']} {have['version']}")
        if have["value"] is None or not math.isclose(have["value"], want["value"], rel_tol=1e-9, abs_tol=1e-12):
            problems.append(f"{quantity} is {have['value']} in the ground truth, {want['value']} by the causal model")
        for column, field in BOUND_COLUMNS.items():
            stated = bounds.get(quantity, {}).get(column)
            if have[field] != stated:
                problems.append(
                    f"the ground truth gives {quantity} the bound {have[field]} ({column}), the certificate {stated}"
                    if certificate
                    else f"the ground truth gives {quantity} a lower bound, but no valid certificate binds the manifest"
                )
        if have["method"] != want["method"]:
            problems.append(f"the ground truth of {quantity} tells another method: {have['method']!r}")
    return problems
