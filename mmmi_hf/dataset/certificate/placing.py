"""Putting a certificate in place.

Owns the record `certificates/CONFIG.json` and the order in which it, the lower bounds of the ground truth and the
manifest are written: old certificate away, ground truth, manifest, new certificate, card. The certificate names the
SHA-256 of the manifest that is final then. A kill in between leaves a folder without a certificate that binds its
manifest, which counts as not certified; `restore_ground_truth` takes unbound lower bounds away.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version as installed_version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.common.files import sha256_of, sync, write_json
from mmmi_hf.dataset.cards.dataset_card import render_card
from mmmi_hf.dataset.certificate.folder_checks import (
    BOUND_COLUMNS,
    CERTIFICATE_FORMAT,
    rebuilt_configuration,
    release_differences,
)
from mmmi_hf.dataset.format.folder import DatasetFolder, file_entry
from mmmi_hf.dataset.format.ground_truth import ground_truth_table, write_ground_truth
from mmmi_hf.dataset.releases.configuration import MMMIConfig

if TYPE_CHECKING:
    from mmmi_hf.dataset.certification import Certificate

METHOD = (
    "Sampled rows of the packed Parquet are inverted through the pipeline. Upper bounds: analytic, by data processing. "
    "Lower bounds for a target: I - 1/2 ln(1 + U), U the upper confidence limit of the share by which storage raises "
    "the mean squared error of the analytic decoder (paired with replayed latents), or -1/2 ln(1 - r^2) with the "
    "correlation of the decoded target; for two modalities: the submodular bound I - m ln(1 + U), or Donsker-Varadhan "
    "with the analytic critic on all pairs of rows. The largest is published; error probabilities are divided by the "
    "number of bounds looked at. Limits: Hall's transformation, Student quantiles, half of the error in reserve. Rows "
    "whose inverse fails count as knowing nothing."
)


def record_of(
    folder: DatasetFolder,
    config: MMMIConfig,
    manifest: Mapping[str, Any],
    bijections: Mapping[str, Any],
    *,
    bounds: dict[str, Any],
    detail: dict[str, Any],
    **measured: Any,
) -> dict[str, Any]:
    """The certificate of a valid measurement, but for the digest of the manifest that it will bind."""
    return {
        "format": CERTIFICATE_FORMAT,
        "config": config.name,
        "version": str(config.version),
        "valid": True,
        "reasons": [],
        "differs_from_release": release_differences(config, manifest),
        "manifest_sha256": sha256_of(folder.manifest_path(config.name)),
        "data": {entry["path"]: entry["sha256"] for entry in manifest["files"] if entry["path"].startswith("data/")},
        "causal_model": manifest["causal_model"],
        "pipelines": {entry["name"]: entry["pipeline_digest"] for entry in manifest["modalities"]},
        "data_seed": manifest["seed"],
        **measured,
        "lower_bounds": bounds,
        "bounds_in_detail": detail,
        "step_certificates": {
            entry["pipeline_digest"]: step_certificates().get(entry["pipeline_digest"])
            for entry in manifest["modalities"]
            if bijections[entry["name"]].num_classes is not None
        },
        "method": METHOD,
        "machine": platform.machine(),
        "versions": {
            name: installed_version(package)
            for name, package in (
                ("mmmi_hf", "mmmi-hf"),
                ("torch", "torch"),
                ("numpy", "numpy"),
                ("scipy", "scipy"),
                ("diffusers", "diffusers"),
                ("pyarrow", "pyarrow"),
                ("pillow", "pillow"),
            )
        },
    }


@cache
def step_certificates() -> dict[str, Any]:
    """Pipeline digest → the extremes of its step certificate, for the pipelines that come with the package."""
    text = (files("mmmi_hf.dataset.certificate") / "step_certificates.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def put_certificate(
    folder: DatasetFolder, config: MMMIConfig, manifest: dict[str, Any], certificate: Certificate
) -> Certificate:
    """Write bounds, manifest and certificate, and the card; returns the certificate as it was written."""
    path = folder.certificate_path(config.name)
    with folder.locked():
        _remove(path)
        _put_ground_truth(folder, config, manifest, certificate.lower_bounds)
        record = {**certificate.record, "manifest_sha256": sha256_of(folder.manifest_path(config.name))}
        write_json(path, record)
        render_card(folder)
    return dataclasses.replace(certificate, record=record, written=True)


def restore_ground_truth(folder: DatasetFolder, name: str) -> None:
    """Undo what a killed `put_certificate` left: lower bounds that no certificate binds. Changes nothing else.

    Bounds go away only where the rest of the table is what the causal model gives, and never beside a certificate
    (a kill leaves none: what is there was edited) or in a folder that cannot be written to. There the check of the
    folder names them.
    """
    truth = folder.ground_truth(name)
    if not (folder.path.is_dir() and folder.writable and truth.is_file()) or folder.certificate_path(name).exists():
        return
    with folder.locked():
        manifest = folder.manifest(name)
        if manifest is None or not _has_unbound_bounds(folder, name, manifest):
            return
        _put_ground_truth(folder, rebuilt_configuration(folder, name, manifest), manifest, None)


def _has_unbound_bounds(folder: DatasetFolder, name: str, manifest: dict[str, Any]) -> bool:
    try:
        wanted = ground_truth_table(rebuilt_configuration(folder, name, manifest))
        stored = pq.read_table(folder.ground_truth(name))
        same = stored.select(["quantity", "value"]).equals(wanted.select(["quantity", "value"]))
        bounds = sum(len(stored) - stored[column].null_count for column in BOUND_COLUMNS.values())
    except (KeyError, ValueError, TypeError, OSError, pa.ArrowException):
        return False
    return bool(same and bounds > 0)


def _put_ground_truth(
    folder: DatasetFolder, config: MMMIConfig, manifest: dict[str, Any], bounds: dict[str, Any] | None
) -> None:
    """The ground truth with these bounds, and the manifest that names it."""
    truth = folder.ground_truth(config.name)
    relative = truth.relative_to(folder.path).as_posix()
    write_ground_truth(config, truth, bounds)
    entries = [entry for entry in manifest["files"] if entry["path"] != relative]
    entries = sorted([*entries, file_entry(folder.path, relative)], key=lambda entry: str(entry["path"]))
    folder.write_manifest(config.name, {**manifest, "files": entries})


def _remove(path: Any) -> None:
    if path.exists():
        path.unlink()
        sync(path.parent)
