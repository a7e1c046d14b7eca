"""`load`: a configuration with its causal model and ground truth, from the Hub, its cache, or a folder.

Owns the public functions, the digest checks and the typed result. May import datasets and causal/; torch only for
`torch_batches`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.failures import in_words
from mmmi_hf.common.files import read_regular
from mmmi_hf.common.places import folder_to_write, is_address, is_repository, place
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.common.terminal import nearest, users_hidden
from mmmi_hf.dataset.certificate.folder_checks import statement_problems
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, bound_certificate
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder, same_file
from mmmi_hf.dataset.format.ground_truth import ground_truth_table
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.parquet import open_parquet
from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.releases.credits import CITATION, HOMEPAGE, LICENSE
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.addresses import local_path
from mmmi_hf.hub.client.bars import progress_bars_of_the_client
from mmmi_hf.hub.client.errors import DamagedFilesError, HubRequestError
from mmmi_hf.hub.client.remote import check_address
from mmmi_hf.hub.client.retries import Backoff
from mmmi_hf.hub.loading import batches
from mmmi_hf.hub.loading.addresses import Address
from mmmi_hf.hub.loading.arrow_cache import map_parquet
from mmmi_hf.hub.loading.revisions import Repository, Snapshot
from mmmi_hf.hub.merging import split_card

if TYPE_CHECKING:
    import torch

REMEDY = "load it again with force_download=True, or generate it again"
# The last ones are what `datasets` raises for a description of features, in a file's metadata, that it does not expect.
UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True)
class Quantity:
    """A quantity of information, in nats.

    Attributes:
        value: exact, from the causal model.
        floor_float32, floor_view: what the stored columns carry at least, whatever the rows that were not looked at
            are; None where that is not known.
        measured_float32, measured_view: what they carry at least if the other rows err as the sampled ones do; None if
            that has not been measured.
        confidence: with which all bounds of the configuration hold together.
        rows_replayed, rows_inverted: rows of the sample.
        method: how `value` was computed.
    """

    value: float
    floor_float32: float | None
    measured_float32: float | None
    floor_view: float | None
    measured_view: float | None
    confidence: float | None
    rows_replayed: int | None
    rows_inverted: int | None
    method: str


class UnknownQuantityError(KeyError):
    """A quantity that the ground truth does not state; the message names near ones."""

    def __str__(self) -> str:
        return str(self.args[0])


class GroundTruth(Mapping[str, Quantity]):
    """Quantity, such as "I(x1;y)" → Quantity, in the order of the table."""

    def __init__(self, quantities: Mapping[str, Quantity]) -> None:
        self._quantities = dict(quantities)

    def __getitem__(self, name: str) -> Quantity:
        try:
            return self._quantities[name]
        except (KeyError, TypeError):
            near = nearest(str(name), self._quantities) or list(self._quantities)[:3]
            raise UnknownQuantityError(
                f"no quantity {name!r}; there are {len(self)}, such as {', '.join(near)}. Others are computed by "
                "mmmi_hf.causal.quantities.read(NAME).of(loaded.model)"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._quantities)

    def __len__(self) -> int:
        return len(self._quantities)

    def __repr__(self) -> str:
        return f"<{len(self)} quantities: {', '.join(list(self)[:2])}{', …' if len(self) > 2 else ''}>"


@dataclass(frozen=True, repr=False)
class Loaded:
    """A configuration.

    Attributes:
        dataset: Dataset if one split was asked for, else DatasetDict; the Iterable ones when streaming.
        splits: the names of the splits in `dataset`.
        model: the causal model.
        ground_truth: quantity, such as "I(x1;y)" → Quantity.
        config, version: the configuration and its version.
        revision: the tag (or branch, or commit) it was loaded from; None for a folder.
        commit: what that revision is; None for a folder.
        manifest: seeds, digests and versions, as they were recorded.
        certificate: what was measured on the stored files; None if nothing was, or on other files.
        verified: whether the data files were compared with the digests of the manifest. Never true when streaming:
            then only the small files (causal model, ground truth) were.
    """

    dataset: Any
    splits: tuple[str, ...]
    model: CausalModel
    ground_truth: Mapping[str, Quantity]
    config: str
    version: str
    revision: str | None
    commit: str | None
    manifest: Manifest
    certificate: CertificateRecord | None
    verified: bool

    def __repr__(self) -> str:
        rows = ", ".join(f"{split} {self.manifest.splits[split].rows:,}" for split in self.splits)
        where = "a folder" if self.revision is None else self.revision
        files = "verified" if self.verified else "not verified"
        return f"<{self.config} {self.version} from {where}: {rows} rows; {self.ground_truth!r}; files {files}>"

    def numpy_batches(
        self,
        columns: Sequence[str] | None = None,
        batch_size: int = 256,
        *,
        split: str | None = None,
        drop_last: bool = False,
    ) -> Iterator[dict[str, batches.Array]]:
        """Batches as arrays straight from Arrow buffers, in the dtypes that are stored; read-only where not copied.

        Args:
            columns: only these; None for all that are numbers.
            batch_size: rows of a batch; the last may be shorter.
            split: None for the only one that was loaded, or train.
            drop_last: leave a shorter last batch out.

        Raises:
            ValueError: no such split or column, or one that is no number, or batch_size below 1.
        """
        return batches.numpy_batches(self._rows(split), columns, batch_size, drop_last=drop_last)

    def torch_batches(
        self,
        columns: Sequence[str] | None = None,
        batch_size: int = 256,
        *,
        split: str | None = None,
        drop_last: bool = False,
        copy: bool = True,
    ) -> Iterator[dict[str, torch.Tensor]]:
        """`numpy_batches(columns, batch_size, split=split, drop_last=drop_last)` as torch tensors, dtypes unchanged.

        Args:
            copy: give each batch memory of its own. Without it tensors may share that of the file, which can only be
                read: writing into one ends the process.
        """
        return batches.torch_batches(self._rows(split), columns, batch_size, drop_last=drop_last, copy=copy)

    def _rows(self, split: str | None) -> Any:
        """The rows of a split; by default of the only one, or of train."""
        if len(self.splits) == 1 and split in (None, self.splits[0]):
            return self.dataset if not isinstance(self.dataset, dict) else self.dataset[self.splits[0]]
        split = split or "train"
        if split not in self.splits:
            raise ValueError(f"split: no split {split!r} was loaded; there are {', '.join(self.splits)}")
        return self.dataset[split]


@users_hidden()
def load(
    repo_or_dir: str | os.PathLike[str],
    config: str | None = None,
    *,
    revision: str | None = None,
    split: str | datasets.Split | None = None,
    streaming: bool = False,
    columns: Sequence[str] | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    verify: bool = True,
    force_download: bool = False,
    progress: bool = True,
    backoff: Backoff | None = None,
) -> Loaded:
    """A configuration with its causal model and its ground truth, from files whose digests were checked.

    Args:
        repo_or_dir: owner/name on the Hub, a dataset folder (an existing folder wins), or its address, s3://…
        config: the configuration; by default the one that `load_dataset` takes, or the only one.
        revision: tag, branch or commit; by default the newest release (tag vX.Y.Z) that holds the configuration, out
            of the cache if the Hub cannot be reached.
        split: one split; None for all. Slices ("train[:10]") are not taken: use `.select` on what was loaded.
        streaming: read over the network as rows are asked for. Data files are then not checked against digests.
        columns: only these; None for all.
        token: of the Hub; None for the one that is logged in.
        cache_dir: of downloads and of unpacked rows; None for those of huggingface_hub and datasets.
        verify: compare data files with the manifest's digests, every time.
        force_download: fetch files again that are in the cache.
        progress: show progress bars.
        backoff: how often and how patiently to try again.

    Returns:
        Loaded; dtypes are those stored: float32 modalities, float64 targets and pointwise values.

    Raises:
        DamagedFilesError: a file is missing or does not have the digest that the manifest states.
        HubRequestError: no such repository, release, configuration, split or column (these are ValueErrors).
        HubUnavailableError: the Hub did not answer as it should, several times.
    """
    name, split = _named(repo_or_dir), None if split is None else str(split)
    repository = _repository(name, revision, token, cache_dir, force_download, backoff)
    with progress_bars_of_the_client(progress):
        if config is None:
            config = _default(place(name) if repository is None else repository.all_small_files(revision).folder)
        found = Snapshot(place(name), "", "") if repository is None else repository.find(config, revision)
    record = _Record.read(found.folder, config)
    splits = record.splits(split)
    if columns is not None:
        columns = batches.checked_columns(columns, record.columns)
    with progress_bars_of_the_client(progress):
        if streaming:
            if isinstance(repository, Address):
                data = repository.stream(record.manifest, splits, split, record.features, columns)
            else:
                data = _stream(str(found.folder) if repository is None else name, found, config, split, columns, token)
        else:
            if repository is not None:
                paths = [path for part in splits for path in record.manifest.splits[part].files]
                found = repository.fetch(config if isinstance(repository, Address) else found.revision, paths)
            unpacked = Path(datasets.config.HF_DATASETS_CACHE) if cache_dir is None else place(cache_dir) / "datasets"
            data = _mapped(found.folder, record, splits, columns, unpacked, verify=verify, progress=progress)
            data = data[splits[0]] if split is not None else data
    return Loaded(
        batches.readable(data, record.manifest.views),
        splits,
        record.model,
        record.ground_truth,
        config,
        record.manifest.version,
        found.revision or None,
        found.commit or None,
        record.manifest,
        record.certificate,
        verify and not streaming,
    )


@users_hidden()
def locate(
    repo_or_dir: str | os.PathLike[str], revision: str | None = None, *, backoff: Backoff | None = None
) -> Snapshot:
    """Where the small files of all configurations are: manifests, causal models, ground truths, certificates.

    Args:
        repo_or_dir: owner/name on the Hub, or a dataset folder (an existing folder wins; it has no revisions).
        revision: tag, branch or commit; by default the newest release, out of the cache if the Hub cannot be reached.
        backoff: how often and how patiently to try again.

    Raises:
        HubRequestError, HubUnavailableError: as `load` does.
    """
    name = _named(repo_or_dir)
    repository = _repository(name, revision, None, None, False, backoff)
    return Snapshot(place(name), "", "") if repository is None else repository.all_small_files(revision)


def _named(given: str | os.PathLike[str]) -> str:
    """What a user means, file:// addresses as paths."""
    name = os.fspath(given)
    here = local_path(name) if is_address(name) else None
    return name if here is None else str(here)


def _repository(
    name: str,
    revision: str | None,
    token: str | bool | None,
    cache_dir: str | os.PathLike[str] | None,
    force_download: bool,
    backoff: Backoff | None,
) -> Repository | Address | None:
    """The repository or address of a name, None for a folder; refuses what is none of these."""
    if is_address(name):
        return Address(name, None if cache_dir is None else folder_to_write(cache_dir, "cache_dir"), force_download)
    if place(name, "folder or repository").is_dir():
        if revision is not None:
            raise HubRequestError(f"revision must be None for a folder, got {revision!r} for {name}")
        return None
    if not is_repository(name):
        raise HubRequestError(f"there is no folder {name!r}, and it is not owner/name of a repository")
    check_address(name, token)
    if revision == "":
        raise HubRequestError("revision is empty; give a tag, branch or commit, or None for the newest release")
    cache = None if cache_dir is None else folder_to_write(cache_dir, "cache_dir")
    return Repository(name, token, cache, force_download, backoff or Backoff())


def _default(root: Path) -> str:
    """The configuration that `load_dataset` would take, or the only one."""
    names, card = DatasetFolder(root, reading=True).configurations(), root / "README.md"
    if len(names) == 1:
        return names[0]
    try:
        entries = split_card(read_regular(card).decode())[0].get("configs") or []
        marked = [entry["config_name"] for entry in entries if entry.get("default")]
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        marked = []  # a card that says nothing of it
    if len(marked) == 1 and marked[0] in names:
        return str(marked[0])
    raise HubRequestError(f"config: there are {len(names)} and no default; name one of {', '.join(names)}")


@dataclass(frozen=True)
class _Record:
    """What is known of a configuration besides its rows."""

    manifest: Manifest
    model: CausalModel
    ground_truth: Mapping[str, Quantity]
    certificate: CertificateRecord | None

    @classmethod
    def read(cls, root: Path, config: str) -> _Record:
        folder = DatasetFolder(root, reading=True)
        try:
            manifest = folder.manifest(config)
        except ConfigurationError as error:
            raise DamagedFilesError(f"{root}: {config!r} cannot be read: {error}") from error
        if manifest is None:
            there = ", ".join(folder.configurations()) or "none"
            raise HubRequestError(f"{root} holds no configuration {config!r}; it has {there}")
        _check_files(root, manifest, [folder.causal_model(config).relative_to(root).as_posix()])
        problems = statement_problems(folder, config, manifest)
        if problems:
            raise DamagedFilesError(f"{root}: {config!r} is damaged: {problems[0]}; {REMEDY}")
        rebuilt, certificate = rebuilt_configuration(folder, config, manifest), bound_certificate(folder, config)
        names = [field.name for field in fields(Quantity)]
        truth = {
            row["quantity"]: Quantity(**{name: row[name] for name in names})
            for row in ground_truth_table(rebuilt, certificate).to_pylist()
        }
        return cls(manifest, rebuilt.model, GroundTruth(truth), certificate)

    def splits(self, wanted: str | None) -> tuple[str, ...]:
        there = tuple(self.manifest.splits)
        if wanted is not None and wanted not in there and re.search(r"[\[+]", wanted):
            raise HubRequestError(
                f"split: slices such as {wanted!r} are not taken; load one of {', '.join(there)} and use "
                ".dataset.select(range(n))"
            )
        if wanted is not None and wanted not in there:
            raise HubRequestError(f"split: {self.manifest.config!r} has no split {wanted!r}; {', '.join(there)}")
        return there if wanted is None else (wanted,)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.features)

    @cached_property
    def features(self) -> datasets.Features:
        return features(self.model, self.manifest.views, **self.manifest.stored)


def _check_files(root: Path, manifest: Manifest, paths: Sequence[str]) -> None:
    """Raise DamagedFilesError unless every path is there with the digest that the manifest states."""
    stated = {entry.path: entry for entry in manifest.files}
    for path in paths:
        if path not in stated:
            raise DamagedFilesError(f"{root}: the manifest does not state {path}; {REMEDY}")
        if not (root / path).is_file():
            raise DamagedFilesError(f"{root / path} is missing; load it again while online, or generate it again")
        if not same_file(root, stated[path]):
            raise DamagedFilesError(f"{root / path} is damaged: its SHA-256 is not that of the manifest; {REMEDY}")


def _check_rows(paths: Sequence[Path], record: _Record, split: str) -> None:
    """Raise DamagedFilesError unless a split has the columns and the number of rows that the records state.

    Digests alone do not say it: a manifest may name those of any files.
    """
    rows = 0
    for path in paths:
        try:
            with open_parquet(path) as file:
                rows += file.metadata.num_rows
                found = datasets.Features.from_arrow_schema(file.schema_arrow)
        except UNREADABLE as error:
            raise DamagedFilesError(f"{path} is no Parquet file of ours ({in_words(error)}); {REMEDY}") from error
        if found != record.features or list(found) != list(record.features):
            wrong = [name for name in {**record.features, **found} if found.get(name) != record.features.get(name)]
            what = ", ".join(wrong) or "another order"
            raise DamagedFilesError(f"{path} has other columns than the causal model asks for ({what}); {REMEDY}")
    if rows != record.manifest.splits[split].rows:
        stated = record.manifest.splits[split].rows
        raise DamagedFilesError(f"{paths[0].parent}: {split} has {rows} rows, the manifest states {stated}; {REMEDY}")


def _check_nulls(table: pa.Table, where: str) -> None:
    """Raise DamagedFilesError where a value is missing."""
    missing = [name for name in table.column_names if table[name].null_count]
    if missing:
        raise DamagedFilesError(f"{where} has missing values in {', '.join(missing)}; {REMEDY}")


def _unverified(path: Path) -> str:
    """A name for bytes that nobody looked at, which never names verified ones."""
    stat = path.stat()
    return f"unverified {path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


def _stream(
    name: str, found: Snapshot, config: str, split: str | None, columns: Sequence[str] | None, token: str | bool | None
) -> Any:
    return datasets.load_dataset(
        name,
        config,
        split=split,
        revision=found.commit or None,
        streaming=True,
        token=token,
        **({} if columns is None else {"columns": list(columns)}),
    )


def _mapped(
    root: Path,
    record: _Record,
    splits: Sequence[str],
    columns: Sequence[str] | None,
    cache_dir: Path,
    *,
    verify: bool,
    progress: bool,
) -> datasets.DatasetDict:
    manifest = record.manifest
    stated = {entry.path: entry.sha256 for entry in manifest.files}
    info = datasets.DatasetInfo(
        description=manifest.description,
        version=manifest.version,
        homepage=HOMEPAGE,
        license=LICENSE,
        citation=CITATION,
    )
    cache_dir = cache_dir / "mmmi_hf" / manifest.config
    rows = sum(manifest.splits[split].rows for split in splits)
    mapped = datasets.DatasetDict()
    with progress_bar(f"reading {manifest.config}", rows, shown=progress) as bar:
        for split in splits:
            paths = manifest.splits[split].files
            if verify:
                _check_files(root, manifest, paths)
                _check_rows([root / path for path in paths], record, split)
            try:
                rows_of = map_parquet(
                    [root / path for path in paths],
                    [stated[path] if verify else _unverified(root / path) for path in paths],
                    split=split,
                    info=info,
                    cache_dir=cache_dir,
                    tick=bar.update,
                )
            except UNREADABLE as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # of the disk, not of what the files hold
                raise DamagedFilesError(
                    f"{root}: {split} of {manifest.config!r} cannot be read ({' '.join(str(error).split())}); {REMEDY}"
                ) from error
            if verify:
                _check_nulls(rows_of.data.table, f"{split} of {manifest.config!r}")
            mapped[split] = rows_of if columns is None else rows_of.select_columns(list(columns))
    return mapped
