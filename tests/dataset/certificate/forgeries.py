"""Forged dataset folders, consistently rewritten: columns, views, sizes, digests, manifest, ground truth, card
and, where the folder had one and tells its seed, the certificate with its sample. Nothing but the content gives them
away."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.causal import common_cause
from mmmi_hf.common.files import sha256_of
from mmmi_hf.dataset.certificate.standing import certificate_sample
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.derived import write_derived
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder, file_entry
from mmmi_hf.dataset.format.ground_truth import write_ground_truth
from mmmi_hf.dataset.format.manifest import POSTERIOR, Manifest
from mmmi_hf.dataset.format.reading import as_array
from mmmi_hf.dataset.format.schema import features, missing_column, pmi_pairs, to_table, view_column
from mmmi_hf.dataset.format.target_columns import target_names
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality

SMALL = MMMIConfig(
    name="small",
    version="1.0.0",
    description="A test configuration.",
    causal_model=common_cause((1, 8, 8), mi=1.0),
    modalities=(Modality("identity"), Modality("identity")),
    rows=150,
    seed=11,
)


def read(folder, config):
    """All rows of a configuration: column → array, views and strings left out."""
    place = DatasetFolder(folder, reading=True)
    manifest, model = place.known_manifest(config), place.model(config)
    tables = [pq.read_table(place.path / path) for split in manifest.splits.values() for path in split.files]
    table = pa.concat_tables(tables).combine_chunks()
    whole = {name: column.chunk(0) for name, column in zip(table.column_names, table.columns, strict=True)}
    found = {name: as_array(whole[name], name, shape, np.float32) for name, shape in model.shapes.items()}
    scalars = dict.fromkeys(pmi_pairs(model), np.float64) | {"row": np.int64}
    scalars |= {missing_column(name): np.bool_ for name in model.law.missing}
    scalars |= dict.fromkeys(target_names(model), np.float64 if model.classes is None else np.int64)
    found |= {name: as_array(whole[name], name, (), kind) for name, kind in scalars.items()}
    if manifest.stored["store_posterior"]:
        found[POSTERIOR] = as_array(whole[POSTERIOR], POSTERIOR, (model.classes,), np.float64)
    return found


def forge(source, target, config, change, *, model=None, manifest_changes=None):
    """A copy of a folder in which `change(columns)` was made to the rows, everything else rewritten to agree.

    Args:
        change: columns → None; arrays are changed in place or replaced.
        model: another causal model to claim.
        manifest_changes: (manifest) → None.
    """
    shutil.copytree(source, target)
    place = DatasetFolder(target)
    certificate = bound_certificate(place, config)
    place.certificate_path(config).unlink(missing_ok=True)
    document = manifest_of(place, config)
    columns = {name: values.copy() for name, values in read(target, config).items()}
    change(columns)
    if model is not None:
        place.causal_model(config).write_text(model.to_json() + "\n")
        document["causal_model"] = model.digest
    if manifest_changes is not None:
        manifest_changes(document)
    claimed = rebuilt_configuration(place, config, typed(document))
    document["configuration"] = claimed.digest
    views = typed(document).views
    for name in claimed.model.modalities:
        columns[name] = np.ascontiguousarray(columns[name], dtype=np.float32)
    for name, view in views.items():
        columns[view_column(name, view)] = view.stored.shown(columns[name], view)
    wanted = features(claimed.model, views, **claimed.stored)
    for split, rows in claimed.split_rows.items():
        part = {name: values[rows.start : rows.stop] for name, values in columns.items()}
        (path,) = document["splits"][split]["files"]
        pq.write_table(to_table(part, wanted), place.path / path)
    put_manifest(place, document, config)
    redigested(place, config)
    if certificate and "seed" in document:
        counts = len(certificate.sample.rows), len(certificate.sample.rows_float64)
        sample = certificate_sample(
            claimed,
            place.known_manifest(config),
            *counts,
            certificate.confidence,
            replays=certificate.sample.rows_replayed,
        )
        bound = {"sample": sample, "manifest_sha256": sha256_of(place.manifest_path(config))}
        certificate.model_copy(update=bound).write(place.certificate_path(config))
    write_derived(place)
    return target


def manifest_of(place, config="small"):
    """The manifest as a document that can be changed."""
    return json.loads(place.manifest_path(config).read_text())


def typed(document):
    return Manifest.parse(json.dumps(document).encode(), "manifest")


def put_manifest(place, document, config="small"):
    place.manifest_path(config).write_text(json.dumps(document))


def shuffled(share=1.0, name="x1", seed=0):
    """The images of a modality moved between rows, in a share of the rows."""

    def change(columns):
        generator = np.random.default_rng(seed)
        count = len(columns["row"])
        chosen = np.sort(generator.choice(count, size=round(share * count), replace=False))
        columns[name][chosen] = columns[name][np.roll(chosen, 1)]

    return change


def clipped(limit):
    def change(columns):
        for name in ("x1", "x2"):
            columns[name] = np.clip(columns[name], -limit, limit)

    return change


def renormalised(batch=32):
    """Every batch of images brought to the range of the whole, by its own minimum and maximum."""

    def change(columns):
        for name in ("x1", "x2"):
            low, high = columns[name].min(), columns[name].max()
            for start in range(0, len(columns[name]), batch):
                part = columns[name][start : start + batch]
                part -= part.min()
                part *= (high - low) / part.max()
                part += low

    return change


def injected(share=0.01):
    """A share of y added to every value of the first modality."""

    def change(columns):
        columns["x1"] += share * columns["y"].reshape(-1, *[1] * (columns["x1"].ndim - 1)).astype(np.float32)

    return change


def remade(bijection, label, latents):
    """Images of the right latents by another bijection."""

    def change(columns):
        import torch

        for name in ("x1", "x2"):
            z = torch.from_numpy(latents.z[name].astype(np.float32))
            columns[name] = bijection(z, label).images.numpy()

    return change


def pmi_of(model, seed):
    """The pointwise information of another model for the same rows, as a forger would rewrite it."""

    def change(columns):
        latents = model.sample(len(columns["row"]), seed=seed)
        for column, (a, b) in pmi_pairs(model).items():
            columns[column] = model.pointwise_mutual_information(latents, a, b)

    return change


def without_seed(manifest):
    """What a folder that does not tell its seed has in its manifest."""
    del manifest["seed"]


def certificate_of(folder, config):
    return json.loads(DatasetFolder(folder, reading=True).certificate_path(config).read_text())


def rewritten(place, change=lambda manifest: None, certificate=lambda record: None):
    """Manifest and certificate changed, and bound to each other and to the files again; the ground truth follows."""
    record, path = certificate_of(place.path, "small"), place.manifest_path("small")
    certificate(record)
    redigested(place)
    document = manifest_of(place)
    change(document)
    put_manifest(place, document)
    place.certificate_path("small").write_text(json.dumps(record | {"manifest_sha256": sha256_of(path)}))
    stated = bound_certificate(place, "small")
    if stated is not None:
        write_ground_truth(SMALL, place.ground_truth("small"), stated)


def uncertified(place):
    """The folder without its certificate, and digests rewritten."""
    place.certificate_path("small").unlink()
    write_ground_truth(SMALL, place.ground_truth("small"), None)
    redigested(place)


def redigested(place, config="small"):
    """The manifest with the digests of the files as they are now."""
    document = manifest_of(place, config)
    entries = (file_entry(place.path, entry["path"]) for entry in document["files"])
    document["files"] = [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
    put_manifest(place, document, config)


def reasons_of(place, **options):
    (result,) = certify(place.path, progress=False, **{"rows_float64": 0, **options}).values()
    assert result.valid == (not result.reasons)
    return " | ".join(result.reasons)


def without(*path):
    def change(document):
        for part in path[:-1]:
            document = document[part]
        del document[path[-1]]

    return change


def changed(value, *path):
    def change(document):
        for part in path[:-1]:
            document = document[part]
        document[path[-1]] = value

    return change
