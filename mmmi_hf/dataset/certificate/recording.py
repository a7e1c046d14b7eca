"""From a measurement to its record.

Owns what of a certificate follows from the rules and the installation: the method in words, the software, and the
evidence about pipelines that comes with the package. Writes nothing.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version as installed_version
from importlib.resources import files
from typing import Any

from mmmi_hf.common.files import sha256_of
from mmmi_hf.dataset.format.certificate_record import (
    CertificateRecord,
    CertificateStatements,
    ColumnBound,
    QuantityBounds,
    StepCertificate,
)
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest

METHOD = (
    "Sampled rows of the stored Parquet are inverted through the pipeline. Upper bounds: analytic, by data processing. "
    "Lower bounds for a target: I - 1/2 ln(1 + U), U the upper confidence limit of the share by which storage raises "
    "the mean squared error of the analytic decoder (paired with replayed latents), or -1/2 ln(1 - r^2) with the "
    "correlation of the decoded target; for two modalities: the submodular bound I - m ln(1 + U), or Donsker-Varadhan "
    "with the analytic critic on all pairs of rows. The largest is published; error probabilities are divided by the "
    "number of bounds looked at. Limits: Hall's transformation, Student quantiles, half of the error in reserve. Rows "
    "whose inverse fails count as knowing nothing. Floors: whatever the unseen rows are, from a limit of the share of "
    "bad rows: rows made again from the seed and compared bit for bit, with the share of latents at which the inverse "
    "of the map fails, or inverted rows by what they lose."
)


PACKAGES = {
    "mmmi_hf": "mmmi-hf",
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "diffusers": "diffusers",
    "pyarrow": "pyarrow",
    "pillow": "pillow",
}


def record_of(
    folder: DatasetFolder,
    manifest: Manifest,
    bijections: Mapping[str, Any],
    *,
    analytic: Mapping[str, float],
    found: Mapping[str, Mapping[str, Mapping[str, float]]],
    floors: Mapping[str, Mapping[str, float]],
    **measured: Any,
) -> CertificateRecord:
    """The certificate of a measurement.

    Args:
        folder, manifest: the configuration.
        bijections: of its modalities.
        analytic: quantity → nats.
        found: kind of column → quantity → {bound's name: nats, …, "bound": what is published}.
        floors: kind of column → quantity → nats.
        measured: the other fields of the record.
    """
    from mmmi_hf.flow.devices import hardware

    kinds = {bijection.device.type: hardware(bijection.device) for bijection in bijections.values()}
    return CertificateRecord(
        config=manifest.config,
        version=manifest.version,
        manifest_sha256=sha256_of(folder.manifest_path(manifest.config)),
        bounds={
            quantity: QuantityBounds(
                analytic=value,
                **{
                    kind: column_bound(bounds[quantity], floors.get(kind, {}).get(quantity))
                    for kind, bounds in found.items()
                    if quantity in bounds
                },
            )
            for quantity, value in analytic.items()
        },
        step_certificates={
            entry.pipeline_digest: step_certificates().get(entry.pipeline_digest)
            for entry in manifest.modalities
            if bijections[entry.name].num_classes is not None
        },
        statements=CertificateStatements(
            method=METHOD,
            machine=platform.machine(),
            device=tuple(sorted(kinds)),
            hardware=tuple(kinds[kind] for kind in sorted(kinds)),
            versions={name: installed_version(package) for name, package in PACKAGES.items()},
        ),
        **measured,
    )


def column_bound(bounds: Mapping[str, float], floor: float | None = None) -> ColumnBound:
    """What `lower_bounds` gives of one quantity, and its floor, as the record has it."""
    tried = {name: value for name, value in bounds.items() if name != "bound"}
    return ColumnBound(floor=floor, measured=bounds["bound"], tried=tried)


@cache
def step_certificates() -> dict[str, StepCertificate]:
    """Pipeline digest → the extremes of its step certificate, for the pipelines that come with the package."""
    text = (files("mmmi_hf.dataset.certificate") / "step_certificates.json").read_text()
    return {digest: StepCertificate(**steps) for digest, steps in json.loads(text).items()}
