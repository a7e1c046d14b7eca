"""Writes a dataset folder as mmmi_hf 0.1 did, in format 1, from one of today: the same rows; manifests, certificates
and tables of ground truth in their form of then, and a card that describes these tables."""

import shutil

import pyarrow.parquet as pq
import yaml
from datasets import Features

from mmmi_hf.common.files import sha256_of, write_json
from mmmi_hf.dataset.format import format_1
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder, file_entry
from mmmi_hf.dataset.format.ground_truth import ground_truth_table

KINDS = {"float32": "float32", "float64": "float64", "view": "8bit"}


def as_format_1(source, target):
    """A copy of a folder in format 1."""
    shutil.copytree(source, target)
    place = DatasetFolder(target)
    tables = {}
    for config in place.configurations():
        manifest, certificate = place.known_manifest(config), bound_certificate(place, config)
        rows = ground_truth_table(rebuilt_configuration(place, config, manifest), certificate).to_pylist()
        tables[config] = format_1.TABLE.empty_table().from_pylist(format_1.table_rows(rows), schema=format_1.TABLE)
        pq.write_table(tables[config], place.ground_truth(config))
        write_json(place.manifest_path(config), _manifest(place, config, manifest))
        if certificate is not None:
            digest = sha256_of(place.manifest_path(config))
            write_json(place.certificate_path(config), _certificate(manifest, certificate, digest))
    _describe(place, tables)
    return target


def _manifest(place, config, manifest):
    (computing,) = manifest.statements.computing
    entries = sorted([entry.path for entry in manifest.files] + [f"ground_truth/{config}.parquet"])
    return {
        "format": 1,
        "config": config,
        "version": manifest.version,
        "description": manifest.statements.description,
        "rows": manifest.rows,
        "splits": {split: entry.model_dump(mode="json") for split, entry in manifest.splits.items()},
        "seed": manifest.seed,
        "standardize": manifest.standardize,
        "store_latents": manifest.store_latents,
        "causal_model": manifest.causal_model,
        "modalities": [
            {
                "name": entry.name,
                "shape": list(entry.shape),
                "pipeline": entry.pipeline,
                "pipeline_digest": entry.pipeline_digest,
                "class_label": entry.class_label,
                "view_half_range": entry.view and entry.view.half_range,
            }
            for entry in manifest.modalities
        ],
        "world_size": manifest.statements.world_size,
        "key": {
            "configuration": manifest.configuration,
            "seed": manifest.seed,
            "chunk_rows": computing.chunk_rows,
            "micro_batch": computing.micro_batch,
            "dtype": computing.dtype,
            "channels_last": computing.channels_last,
            "compiled": computing.compiled,
            "bijections": {entry.name: entry.pipeline_digest for entry in manifest.modalities},
            "device": list(computing.device),
            "hardware": list(computing.hardware),
            "machine": computing.machine,
            "versions": computing.versions,
        },
        "files": [file_entry(place.path, path).model_dump(mode="json", exclude_none=True) for path in entries],
    }


def _certificate(manifest, record, manifest_sha256):
    columns = {quantity: bounds.columns for quantity, bounds in record.bounds.items() if bounds.columns}
    sample = record.without_floors().sample.model_dump(mode="json", exclude={"rows_replayed"})
    return {
        "format": format_1.CERTIFICATE,
        "config": record.config,
        "version": record.version,
        "valid": True,
        "reasons": [],
        "differs_from_release": [],
        "manifest_sha256": manifest_sha256,
        "data": {entry.path: entry.sha256 for entry in manifest.data},
        "causal_model": manifest.causal_model,
        "pipelines": {entry.name: entry.pipeline_digest for entry in manifest.modalities},
        "data_seed": manifest.seed,
        "sample": sample,
        "replayed": record.replayed,
        "confidence": record.confidence,
        "single_error": record.single_error,
        "looks": record.looks,
        "upper_bounds": {quantity: bounds.analytic for quantity, bounds in record.bounds.items()},
        "round_trip": {
            name: {KINDS[kind]: errors.model_dump(mode="json") for kind, errors in kinds.items()}
            for name, kinds in record.round_trip.items()
        },
        "tolerance": record.tolerance,
        "tests": [{"name": name, "p_value": p_value, "where": "x1"} for name, p_value in record.tests.items()],
        "tests_level": record.tests_level,
        "lower_bounds": {
            quantity: {KINDS[kind]: bound.measured for kind, bound in kinds.items()}
            for quantity, kinds in columns.items()
        },
        "bounds_in_detail": {
            KINDS[kind]: {
                quantity: {**kinds[kind].tried, "bound": kinds[kind].measured} for quantity, kinds in columns.items()
            }
            for kind in ("float32", "view")
        },
        "step_certificates": {},
        **record.statements.model_dump(mode="json"),
    }


def _describe(place, tables):
    """The card's entry of the ground truth."""
    _, header, text = place.card.read_text().split("---\n", 2)
    fields = yaml.safe_load(header)
    (entry,) = (entry for entry in fields["dataset_info"] if entry["config_name"] == "ground_truth")
    entry["features"] = Features.from_arrow_schema(format_1.TABLE)._to_yaml_list()
    size = sum(table.nbytes for table in tables.values())
    entry["splits"][0]["num_bytes"] = entry["dataset_size"] = size
    entry["download_size"] = sum(place.ground_truth(name).stat().st_size for name in tables)
    place.card.write_text(f"---\n{yaml.safe_dump(fields, sort_keys=False)}---\n{text}")
