"""The information quantities of a configuration, and their table.

Owns which quantities are reported and their names. All values are in nats and are computed from the causal model,
each time; `info`, the `ground_truth` table, cards and descriptions all come from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.quantities import reported
from mmmi_hf.common.files import write_bytes
from mmmi_hf.dataset.releases.configuration import MMMIConfig

METHOD = "exact: Gaussian information algebra of the causal model, float64"
# Both texts are compared when a folder is checked: they may not change without the format of manifests.
CERTIFIED = "; lower bounds measured on the stored bytes, see certificates/"

SCHEMA = pa.schema(
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


def quantities(model: CausalModel) -> dict[str, float]:
    """Every reported quantity of a model by name, in nats.

    Which they are, and in which order, is said by the registry of quantities.

    Raises:
        InfiniteInformationError: the model has a quantity that is infinite.
    """
    return {str(quantity): quantity.of(model) for quantity in reported(model)}


def ground_truth_table(config: MMMIConfig, bounds: Mapping[str, Mapping[str, float | None]] | None = None) -> pa.Table:
    """One row per quantity.

    Args:
        config: the configuration.
        bounds: quantity → {"float32": …, "8bit": …}, what a certificate measured; without one the bounds are empty.
    """
    values = quantities(config.model)
    count, bounds = len(values), bounds or {}
    return pa.table(
        {
            "config": [config.name] * count,
            "version": [str(config.version)] * count,
            "quantity": list(values),
            "value": list(values.values()),
            "lower_bound_float32": [bounds.get(name, {}).get("float32") for name in values],
            "lower_bound_8bit": [bounds.get(name, {}).get("8bit") for name in values],
            "method": [METHOD + (CERTIFIED if name in bounds else "") for name in values],
        },
        schema=SCHEMA,
    )


def write_ground_truth(config: MMMIConfig, path: Path, bounds: Mapping[str, Mapping[str, float | None]] | None) -> None:
    """Write `ground_truth_table` as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(ground_truth_table(config, bounds), sink)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, sink.getvalue())
