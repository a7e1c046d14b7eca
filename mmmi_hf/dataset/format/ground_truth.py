"""The information quantities of a configuration as a table, `ground_truth/CONFIG.parquet`.

Owns the table's columns, and whether a stored table is right. All values are in nats, unless the method says in what,
and are computed from the causal model, each time, by `causal/quantities`, as those of `info` and cards are.

The table is derived: it follows from the causal model, the version and, where there is one, the certificate. No digest
vouches for it; every check computes it again.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.quantities import read, reported_values
from mmmi_hf.causal.quantities.quantity import NATS
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.common.files import MOST_BYTES, UnusableFileError, check_regular, write_bytes
from mmmi_hf.dataset.format import format_1
from mmmi_hf.dataset.format.certificate_record import CertificateRecord
from mmmi_hf.dataset.format.parquet import open_parquet
from mmmi_hf.dataset.releases.configuration import MMMIConfig

METHOD = "exact: Gaussian information algebra of the causal model, float64"
METHOD_OF_TARGET = "exact: quadrature over the posterior of the causal model, float64"
MEAN_OF_PATTERNS = "; the mean over which modalities rows have"
# All texts are compared when a folder is checked: they may not change without the format of folders.
MEASURED = "; measured bounds hold if the other rows err as the sampled ones, floors whatever they are: certificates/"

SCHEMA = pa.schema(
    [
        ("config", pa.string()),
        ("version", pa.string()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
        ("floor_float32", pa.float64()),
        ("measured_float32", pa.float64()),
        ("floor_view", pa.float64()),
        ("measured_view", pa.float64()),
        ("confidence", pa.float64()),
        ("rows_replayed", pa.int64()),
        ("rows_inverted", pa.int64()),
        ("method", pa.string()),
    ]
)
BOUNDS = ("floor_float32", "measured_float32", "floor_view", "measured_view")


def ground_truth_table(config: MMMIConfig, certificate: CertificateRecord | None = None) -> pa.Table:
    """One row per quantity; what was not measured, or has no floor, is empty.

    Args:
        config: the configuration.
        certificate: that binds its manifest; None without one.
    """
    rows = [_row(config, certificate, quantity, value) for quantity, value in reported_values(config.model).items()]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(config: MMMIConfig, certificate: CertificateRecord | None, quantity: str, value: float) -> dict[str, Any]:
    row: dict[str, Any] = {"config": config.name, "version": str(config.version), "quantity": quantity, "value": value}
    bounds = None if certificate is None else certificate.bounds.get(quantity)
    method = method_of(config.model, quantity)
    if certificate is None or bounds is None or not bounds.columns:
        return row | {"method": method}
    for kind, bound in bounds.columns.items():
        row |= {f"floor_{kind}": bound.floor, f"measured_{kind}": bound.measured}
    return row | {
        "confidence": certificate.confidence,
        "rows_replayed": certificate.sample.rows_replayed,
        "rows_inverted": len(certificate.sample.rows),
        "method": method + MEASURED,
    }


def method_of(model: CausalModel, name: str) -> str:
    """How a value was computed, and in what it is, where not in nats."""
    quantity = read(name)
    blocks = {block for part in (*quantity.blocks, quantity.given, quantity.without) for block in part}
    made = model.with_missing(None)
    about = not made.law.is_gaussian and (TARGET in blocks or made.target is None)
    unit = "" if quantity.kind.unit == NATS else f"; {quantity.kind.unit}"
    patterns = MEAN_OF_PATTERNS if blocks & model.law.missing.keys() else ""
    return (METHOD_OF_TARGET if about else METHOD) + patterns + unit


def write_ground_truth(config: MMMIConfig, path: Path, certificate: CertificateRecord | None) -> None:
    """Write `ground_truth_table` as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(ground_truth_table(config, certificate), sink)
    write_bytes(path, sink.getvalue())


def stored_ground_truth(path: Path) -> pa.Table:
    """The table of a file, of today's format or of format 1. Raises OSError or ValueError for anything else."""
    check_regular(path, MOST_BYTES)
    with open_parquet(path, most=MOST_BYTES) as file:
        if file.metadata.num_row_groups > 1:
            raise UnusableFileError(f"{path} has {file.metadata.num_row_groups} row groups, expected one")
        return file.read()


def ground_truth_problems(stored: pa.Table, config: MMMIConfig, certificate: CertificateRecord | None) -> list[str]:
    """In what a stored table is not the one of the causal model and the certificate.

    A table without any bounds is right beside a certificate too: the certificate is put in place before its bounds are.
    """
    wanted = ground_truth_table(config, certificate).to_pylist()
    bare = all(stored[name].null_count == len(stored) for name in BOUNDS if name in stored.schema.names)
    if stored.schema.names == format_1.TABLE.names:
        wanted, of_bounds = format_1.table_rows(wanted), tuple(format_1.COLUMNS)
        bare = all(stored[name].null_count == len(stored) for name in of_bounds)
        plain = format_1.table_rows(ground_truth_table(config).to_pylist())
    elif stored.schema.equals(SCHEMA):
        of_bounds, plain = (*BOUNDS, "confidence", "rows_replayed", "rows_inverted"), None
    else:
        return ["the ground truth has other columns"]
    if bare and certificate is not None:
        wanted = plain or ground_truth_table(config).to_pylist()
    found = {row["quantity"]: row for row in stored.to_pylist()}
    unknown = sorted(str(name) for name in set(found) - {row["quantity"] for row in wanted})
    if unknown:
        return [f"the ground truth lists {unknown[0]}, which the causal model does not have"]
    missing = [row["quantity"] for row in wanted if row["quantity"] not in found]
    if missing or len(found) != len(stored):
        what = f"does not list {missing[0]}" if missing else "lists a quantity twice"
        return [f"the ground truth {what}; it lists every quantity of the causal model once"]
    return [problem for want in wanted for problem in _differences(found[want["quantity"]], want, of_bounds)]


def _differences(have: dict[str, Any], want: dict[str, Any], of_bounds: tuple[str, ...]) -> list[str]:
    quantity, problems = want["quantity"], []
    if (have["config"], have["version"]) != (want["config"], want["version"]):
        problems.append(f"the ground truth of {quantity} is that of {have['config']} {have['version']}")
    if have["value"] is None or not math.isclose(have["value"], want["value"], rel_tol=1e-9, abs_tol=1e-12):
        problems.append(f"{quantity} is {have['value']} in the ground truth, {want['value']} by the causal model")
    problems += [
        f"the ground truth gives {quantity} the {field} {have[field]}, the certificate "
        f"{'nothing' if want[field] is None else want[field]}"
        for field in of_bounds
        if have[field] != want[field]
    ]
    if have["method"] != want["method"]:
        problems.append(f"the ground truth of {quantity} tells another method: {have['method']!r}")
    return problems
