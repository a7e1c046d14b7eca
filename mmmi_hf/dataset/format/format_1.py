"""Format 1 of a dataset folder: what was published by mmmi_hf 0.1, brought to the fields of today as it is read.

Owns the translation of its manifests, certificates and tables of ground truth. Nothing is ever written in format 1.

Its manifest also named the digest of the ground truth, which is derived today and not looked at; what determined the
bytes of rows stood under `key`. Its certificate (format 2 of certificates) had the bounds in three places. Its table
had lower bounds of the floats and of the 8-bit views, which are the *measured* ones of today, and no floors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

CERTIFICATE = 2
"""The format of the certificates beside manifests of format 1."""
KINDS = {"float32": "float32", "float64": "float64", "8bit": "view"}
TABLE = pa.schema(
    [
        ("config", pa.string()),
        ("version", pa.string()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
        ("lower_bound_float32", pa.float64()),
        ("lower_bound_8bit", pa.float64()),
        ("method", pa.string()),
    ]
)
COLUMNS = {"lower_bound_float32": "measured_float32", "lower_bound_8bit": "measured_view"}
METHOD = "exact: Gaussian information algebra of the causal model, float64"
MEASURED = "; lower bounds measured on the stored bytes, see certificates/"


def manifest_fields(old: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Manifest from those of format 1; raises LookupError or TypeError where they are missing."""
    key = old["key"]
    truth = f"ground_truth/{old['config']}.parquet"
    if key["seed"] != old["seed"]:
        raise ValueError(f"the manifest gives two seeds, {old['seed']} and {key['seed']}")
    kept = ("format", "config", "version", "rows", "splits", "seed", "standardize", "store_latents", "causal_model")
    computing = ("dtype", "micro_batch", "chunk_rows", "channels_last", "compiled", "device", "hardware", "machine")
    unknown = set(old) - {*kept, "description", "modalities", "world_size", "key", "files"}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    return {name: old[name] for name in kept} | {
        "configuration": key["configuration"],
        "modalities": [_modality(entry) for entry in old["modalities"]],
        "files": [entry for entry in old["files"] if entry["path"] != truth],
        "statements": {
            "description": old["description"],
            "world_size": old["world_size"],
            "computing": [{name: key[name] for name in computing} | {"versions": key["versions"]}],
        },
    }


def _modality(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("name", "shape", "pipeline", "pipeline_digest", "class_label")
    half_range = entry["view_half_range"]
    view = None if half_range is None else {"kind": "image", "half_range": half_range}
    return {name: entry[name] for name in kept} | {"view": view}


def certificate_fields(old: dict[str, Any]) -> dict[str, Any]:
    """The fields of a CertificateRecord from those of a certificate beside a manifest of format 1."""
    if old["valid"] is not True or old["reasons"]:
        raise ValueError("it is not that of a valid measurement")
    kept = ("config", "version", "manifest_sha256", "sample", "replayed", "confidence", "single_error", "looks")
    return (
        {"format": CERTIFICATE}
        | {name: old[name] for name in kept}
        | {
            "bounds": {quantity: _bounds(old, quantity, upper) for quantity, upper in old["upper_bounds"].items()},
            "round_trip": {
                name: {KINDS[kind]: errors for kind, errors in kinds.items()}
                for name, kinds in old["round_trip"].items()
            },
            "tolerance": old["tolerance"],
            "tests": {test["name"]: test["p_value"] for test in old["tests"]},
            "tests_level": old["tests_level"],
            "step_certificates": old["step_certificates"],
            "statements": {name: old[name] for name in ("method", "machine", "versions")},
        }
    )


def _bounds(old: Mapping[str, Any], quantity: str, upper: float) -> dict[str, Any]:
    found: dict[str, Any] = {"analytic": upper}
    for kind, bound in old["lower_bounds"].get(quantity, {}).items():
        detail = old["bounds_in_detail"][kind][quantity]
        tried = {name: value for name, value in detail.items() if name != "bound"}
        if detail["bound"] != bound:
            raise ValueError(f"it gives two bounds on {quantity} ({kind}), {bound} and {detail['bound']}")
        found[KINDS[kind]] = {"measured": bound, "tried": tried}
    return found


def table_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a ground truth as format 1 had them."""
    kept = ("config", "version", "quantity", "value")
    found = []
    for row in rows:
        bounds = {old: row[new] for old, new in COLUMNS.items()}
        measured = any(value is not None for value in bounds.values())
        found.append({name: row[name] for name in kept} | bounds | {"method": METHOD + MEASURED * measured})
    return found
