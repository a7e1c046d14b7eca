"""Checks of a dataset folder that need no network: is every file what the manifest, the causal model and the
certificate say?

Owns `check_folder`, which publishing uses, and `statement_problems`, its part that needs no data, which loading uses.
Runs no bijection.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pyarrow as pa

from mmmi_hf.common.failures import in_words
from mmmi_hf.common.records import RecordError
from mmmi_hf.dataset.certificate.card_checks import card_problems
from mmmi_hf.dataset.format.certificate_record import binding_certificate
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder, shard_names
from mmmi_hf.dataset.format.ground_truth import ground_truth_problems, stored_ground_truth
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.target_columns import target_entries
from mmmi_hf.dataset.releases.configuration import SPLITS, MMMIConfig


def check_folder(folder: str | os.PathLike[str], config: str) -> list[str]:
    """What is wrong with `config` in a dataset folder, as far as can be said without inverting an image.

    Digests and sizes of all files, nothing else among the data, the manifest's own consistency; and of what is derived,
    a ground truth that is the one of the causal model and of the certificate that binds this manifest (without one, no
    bounds at all; a certificate of something else must not lie there), and a card that makes `load_dataset` read these
    files and no others. Reads only.

    Returns:
        Reasons; empty where nothing is wrong. A missing certificate is no reason: see `bound_certificate`.

    Raises:
        ConfigurationError: no such configuration in the folder.
    """
    place = DatasetFolder(folder, reading=True)
    return problems_of(place, config, place.known_manifest(config))


def problems_of(
    folder: DatasetFolder, config: str, manifest: Manifest, *, derived: bool = True, whole: bool = True
) -> list[str]:
    """`check_folder` of an opened folder; without `derived`, of data and records alone.

    Without `whole`, of data files elsewhere sizes and numbers of rows are compared, and no digests.
    """
    checks: list[Callable[[], list[str]]] = [
        lambda: _listing_problems(config, manifest),
        lambda: _file_problems(folder, config, manifest, whole=whole),
        lambda: _content_problems(folder, config, manifest),
    ]
    if derived:
        checks += [
            lambda: _ground_truth_problems(folder, config, manifest),
            lambda: card_problems(folder, rebuilt_configuration(folder, config, manifest), manifest),
        ]
    return _unless_malformed(*checks)


def statement_problems(folder: DatasetFolder, config: str, manifest: Manifest) -> list[str]:
    """What of manifest, causal model, ground truth and certificate contradicts another; data are not looked at."""
    return _unless_malformed(
        lambda: _listing_problems(config, manifest),
        lambda: _content_problems(folder, config, manifest),
        lambda: _ground_truth_problems(folder, config, manifest),
    )


def _unless_malformed(*checks: Callable[[], list[str]]) -> list[str]:
    """What the first check finds that finds anything, or that a file is not what any check can read."""
    try:
        return next((found for check in checks if (found := check())), [])
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError, OSError, pa.ArrowException) as error:
        return [f"a file of the configuration is malformed: {in_words(error)}"]


def _listing_problems(config: str, manifest: Manifest) -> list[str]:
    listed = [entry.path for entry in manifest.files]
    data = [path for split in manifest.splits.values() for path in split.files]
    expected = {*data, f"causal_models/{config}.json"}
    problems = []
    if set(listed) != expected or len(listed) != len(expected) or len(set(data)) != len(data):
        problems.append("the manifest's list of files is not that of its splits and causal model")
    for split, entry in manifest.splits.items():  # plain `load_dataset` goes by the names
        expected_here = shard_names(config, split, len(entry.files))
        wrong = [path for path, wanted in zip(entry.files, expected_here, strict=True) if path != wanted]
        problems += [f"{path} is not what a file of the split {split} is called" for path in wrong[:1]]
    return problems or _row_problems(manifest)


def _row_problems(manifest: Manifest) -> list[str]:
    """Whether the rows that files are said to hold follow on each other, split by split; format 1 does not say."""
    stated = {entry.path: entry.rows for entry in manifest.files}
    if len({entry.rows is None for entry in manifest.data}) > 1:
        return ["the manifest says which rows some data files hold, and of others not"]
    problems, start = [], 0
    for split in (each for each in SPLITS if each in manifest.splits):
        entry, after = manifest.splits[split], start + manifest.splits[split].rows
        rows = [stated[path] for path in entry.files]
        if any(each is not None for each in rows):
            ends = [start, *(end for each in rows if each is not None for end in each), after]
            if None in rows or ends[::2] != ends[1::2] or any(a >= b for a, b in filter(None, rows)):
                problems.append(f"the manifest's files of {split} are not said to hold the rows {start} … {after - 1}")
        start = after
    return problems


def _file_problems(folder: DatasetFolder, config: str, manifest: Manifest, *, whole: bool) -> list[str]:
    data = {path for split in manifest.splits.values() for path in split.files}
    there = folder.listed(config)
    problems = [f"{path} is not in the manifest; remove it" for path in sorted(there - data)]
    for path in [] if problems else folder.damaged_files(manifest, whole=whole):
        is_there = path in there or (folder.path / path).is_file()
        problems.append(f"{path} {'differs from the manifest (SHA-256 or size)' if is_there else 'is missing'}")
    for each in () if problems else folder.data_files(manifest):
        if each.rows is not None:
            with each.opened() as file:
                found = file.metadata.num_rows
            if found != each.rows:
                problems.append(f"{each.name} has {found} rows, the manifest states {each.rows}")
    return problems


def _content_problems(folder: DatasetFolder, name: str, manifest: Manifest) -> list[str]:
    problems = []
    if manifest.config != name:
        problems.append(f"the manifest is that of {manifest.config!r}")
    config = rebuilt_configuration(folder, name, manifest)
    if config.model.digest != manifest.causal_model:
        problems.append("the causal model is another than the manifest's (digest)")
    if manifest.seed is not None and config.digest != manifest.configuration:
        problems.append("causal model, modalities, standardization and seed are not those that the rows were made with")
    wanted = {split: len(rows) for split, rows in config.split_rows.items()}
    if {split: entry.rows for split, entry in manifest.splits.items()} != wanted:
        problems.append(f"the splits are not those of {config.rows} rows: {wanted}")
    return problems + _modality_problems(config, manifest)


def _modality_problems(config: MMMIConfig, manifest: Manifest) -> list[str]:
    problems = []
    if {entry.name: entry.shape for entry in manifest.modalities} != dict(config.model.shapes):
        problems.append("shapes of modalities differ between manifest and causal model")
    for entry in manifest.modalities:
        if entry.view is not None and not entry.view.stored.fits(entry.shape):
            shape = "×".join(map(str, entry.shape))
            problems.append(f"{entry.name} of the shape {shape} cannot have the view {entry.view}")
    if manifest.targets != target_entries(config.model, store_posterior=config.store_posterior):
        problems.append("the manifest names other columns of the target than the causal model has")
    return problems


def _ground_truth_problems(folder: DatasetFolder, name: str, manifest: Manifest) -> list[str]:
    """Certificate and ground truth: the one must bind the manifest, the other follow from it."""
    config = rebuilt_configuration(folder, name, manifest)
    path = folder.ground_truth(name)
    if not path.exists():
        return [f"{path.relative_to(folder.path)} is missing; generate again"]
    try:
        certificate = binding_certificate(folder, name)
    except FileNotFoundError:
        certificate = None
    except (RecordError, OSError) as error:
        return [f"certificates/{name}.json is not a certificate of this manifest ({error}); remove it and verify again"]
    return ground_truth_problems(stored_ground_truth(path), config, certificate)
