"""What a dataset folder releases: the files of its configurations, and what follows from all that is in the repository
then, ground truth and card.

Owns which files belong to a configuration, the check before publishing (`problems`, the one place where a folder is
judged), and the rule that a published version of a configuration never changes. What is derived is no part of that: the
ground truth of every configuration of ours in the repository is computed again from its model and its certificate, and
replaced where it is not what they give, those of format 1 included.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmmi_hf.common.files import leaves, read_regular, unique
from mmmi_hf.common.records import RecordError
from mmmi_hf.dataset.cards.dataset_card import dataset_card
from mmmi_hf.dataset.cards.pictures import shown_in_card
from mmmi_hf.dataset.certificate.folder_checks import problems_of
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.derived import write_ground_truths
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.folder import GROUND_TRUTH, WORK, DatasetFolder
from mmmi_hf.dataset.format.manifest import READ_FORMATS, Manifest, format_of
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.addresses import AddressStore
from mmmi_hf.hub.client.errors import DamagedFilesError, HubRequestError, ReleaseChangedError
from mmmi_hf.hub.client.remote import SmallFiles, State
from mmmi_hf.hub.client.versions import Version
from mmmi_hf.hub.merging import configurations_of, merge_cards, with_section
from mmmi_hf.hub.publishing.release import CARD, LocalFile
from mmmi_hf.hub.publishing.supplement import Supplement

_RECORDS = ("manifests/", "causal_models/", "certificates/")
_SMALL = (*_RECORDS, f"{GROUND_TRUTH}/")
_PICTURES = "figures/"


def problems(folder: DatasetFolder, config: str, *, measure: bool, write: bool, progress: bool) -> list[str]:
    """What forbids publishing a configuration; empty if nothing does.

    Digests, manifest, ground truth and the certificate's binding are always checked; with `measure`, a sample of rows
    is also inverted, as `mmmi-hf verify` does, and the certificate is put where there is none, if `write`. The digests
    of data files at an address are compared as they are sent, or with those of the Hub.
    """
    found = problems_of(folder, config, folder.known_manifest(config), whole=folder.keeps_data)
    if found or not measure:
        return found
    put = None if folder.keeps_data else write and bound_certificate(folder, config) is None
    certificates = certify(folder, config, write=put, progress=progress)
    return list(certificates[config].reasons)


@dataclass(frozen=True)
class StoredFile:
    """A data file at an address, with the digest that the manifest states; `work` is an own folder."""

    store: AddressStore
    name: str
    sha256: str
    work: Path

    def read_bytes(self) -> bytes:
        return self.store.read(self.name) or b""

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        copy = unique(self.work)
        try:
            if self.store.fetch(self.name, copy) != self.sha256:
                raise DamagedFilesError(
                    f"{self.store.address} is not published: {self.name} differs from the manifest (SHA-256); generate "
                    "it again"
                )
            yield copy
        finally:
            copy.unlink(missing_ok=True)


class DatasetContent:
    """Configurations of a dataset folder, as a release.

    Args:
        folder: the dataset folder.
        configs: which configurations; None for all.
        repo: owner/name, for the card.
        remote: where copies of the repository's small files are kept.
        work: an own folder for rendering.
        measure: whether to invert a sample of rows too, after the digests of all files were checked.
        write: whether a certificate may be put where there is none; if not, it is put into a copy.
        supplement: what is released beside them.

    Raises:
        HubRequestError: no such configuration.
        DamagedFilesError: verification fails: a file is damaged, or the stored rows do not bear out the claim.
    """

    def __init__(
        self,
        folder: DatasetFolder,
        configs: Collection[str] | None,
        repo: str,
        remote: SmallFiles,
        work: Path,
        *,
        measure: bool = True,
        write: bool = True,
        progress: bool = True,
        supplement: Supplement | None = None,
    ) -> None:
        there = folder.configurations()
        if not there:
            raise HubRequestError(f"{folder.path} holds no complete configuration; make one with `mmmi-hf generate`")
        unknown = sorted(set(configs or ()) - set(there))
        if unknown or (configs is not None and not configs):
            raise HubRequestError(
                f"configs: {', '.join(map(repr, unknown)) or 'none given'}; {folder.path} holds {', '.join(there)}"
            )
        self.folder, self.repo, self.remote, self.work, self.supplement = folder, repo, remote, work, supplement
        self.names = tuple(name for name in there if configs is None or name in configs)
        try:
            self._check_links(folder)
        except ConfigurationError as error:
            raise DamagedFilesError(f"{folder.where} is not published: {error}") from error
        if measure and not write and folder.keeps_data:
            self.folder = _copied(folder, work / "measured")
        self._verify(folder.where, measure, write, progress)
        self.manifests = {name: self.folder.known_manifest(name) for name in self.names}
        self.files = [file for name in self.names for file in self._files(name)]
        if supplement is not None:
            self.files += [LocalFile.of(path, content) for path, content in supplement.files.items()]

    def _check_links(self, folder: DatasetFolder) -> None:
        """Refuse to publish what is no part of the folder."""
        for name in self.names:
            files = [entry.path for entry in folder.known_manifest(name).files]
            paths = [folder.path / path for path in files] + self._others(folder, name)
            outside = [path for path in paths if leaves(folder.path, path)]
            if outside:
                where = outside[0].relative_to(folder.path)
                raise DamagedFilesError(
                    f"{folder.path} is not published: {where} is a link to something outside the folder; remove it, or "
                    "put the file itself there"
                )

    def _others(self, folder: DatasetFolder, name: str) -> list[Path]:
        """What is released of a configuration beside the files that its manifest names."""
        pictures = [folder.path / picture["path"] for picture in shown_in_card(folder, name)]
        records = [folder.manifest_path(name), folder.certificate_path(name)]
        return [path for path in records + pictures if path.is_file()]

    def _verify(self, given: Path | str, measure: bool, write: bool, progress: bool) -> None:
        found = []
        for name in self.names:
            wrong = problems(self.folder, name, measure=measure, write=write, progress=progress)
            found += [f"{name}: {problem}" for problem in wrong]
        if found:
            shown = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
            remedy = (
                "" if all(problem.endswith("; remove it") for problem in found) else "; generate or verify it again"
            )
            raise DamagedFilesError(f"{given} is not published: {shown}{remedy}")

    def _files(self, name: str) -> Iterator[LocalFile]:
        root, data = self.folder.path, {file.name: file.place for file in self.folder.data_files(self.manifests[name])}
        for entry in self.manifests[name].files:
            content: Path | StoredFile = root / entry.path
            if isinstance(store := data.get(entry.path), AddressStore):
                content = StoredFile(store, entry.path, entry.sha256, self.work)
            yield LocalFile(entry.path, content, entry.bytes, entry.sha256)
        for path in self._others(self.folder, name):
            yield LocalFile.of(path.relative_to(root).as_posix(), path)

    def prepare(self, state: State) -> Sequence[str]:
        """The files of the configurations' earlier versions that this one does not have."""
        remote = self._remote(state)
        kept = {file.path for file in self.files}
        deleted = []
        card = configurations_of(_text(remote / CARD))
        for name, manifest in self.manifests.items():
            earlier = self._published_manifest(remote, name)
            if earlier is None:
                self._check_free(name, state, card)
                continue
            self._check_version(name, manifest, earlier)
            if _bytes_of(manifest) == _bytes_of(earlier):
                self._check_certificate(name, DatasetFolder(remote, reading=True))
            belonging = [entry.path for entry in earlier.files]
            if earlier != manifest:  # what was measured on or drawn from other files does not hold for these
                belonging += [f"certificates/{name}.json"]
                belonging += [path for path in state.files if path.startswith(f"{_PICTURES}{name}/")]
            deleted += [path for path in belonging if path in state.files and path not in kept]
        return deleted

    def _check_free(self, name: str, state: State, card: Mapping[str, Any]) -> None:
        """Refuse to take over a name that somebody else uses in the repository."""
        theirs = (f"data/{name}/", f"manifests/{name}.json")
        if name in card or any(path.startswith(theirs) for path in state.files):
            raise HubRequestError(
                f"{self.repo} has a configuration {name!r} that was not published by mmmi_hf; choose another name or "
                "repository"
            )

    def _check_version(self, name: str, manifest: Manifest, earlier: Manifest) -> None:
        new, old = (tuple(map(int, entry.version.split("."))) for entry in (manifest, earlier))
        if new < old:
            raise ReleaseChangedError(
                f"{self.repo} has {name!r} in version {earlier.version}, this folder has {manifest.version}: "
                "an older version is loaded by its tag, and not published again"
            )
        if new == old and _bytes_of(manifest) != _bytes_of(earlier):
            raise ReleaseChangedError(
                f"{self.repo} has {name!r} {earlier.version} with other bytes; a published version never changes: "
                "give the configuration a new version (`version:` in its YAML file) and generate it again"
            )

    def _check_certificate(self, name: str, there: DatasetFolder) -> None:
        """Refuse to take the certificate away from data that stay."""
        if bound_certificate(there, name) and not bound_certificate(self.folder, name):
            raise ReleaseChangedError(
                f"{self.repo} has {name!r} with a certificate, and this folder has the same data without one; measure "
                "it first with `mmmi-hf verify` (or leave out --no-measure), or publish other configurations only"
            )

    def _published_manifest(self, remote: Path, name: str) -> Manifest | None:
        """The manifest that the repository has for a name; None if there is none of ours."""
        path = remote / "manifests" / f"{name}.json"
        if not path.is_file() or (found := format_of(read_regular(path))) is None:
            return None
        if found not in READ_FORMATS:
            raise HubRequestError(f"{self.repo} has {name!r} from another version of mmmi_hf; install the newest")
        try:
            return Manifest.parse(read_regular(path), f"manifests/{name}.json")
        except RecordError as error:
            raise HubRequestError(f"{self.repo} has {name!r} with a damaged manifest ({error}); correct it") from error

    def derived(self, state: State, version: Version) -> Sequence[LocalFile]:
        """The ground truth of all our configurations there, and README.md: ours rendered anew, theirs kept."""
        remote = self._remote(state)
        view = self.work / "card"
        shutil.rmtree(view, ignore_errors=True)
        view.mkdir(parents=True)
        if remote.is_dir():
            shutil.copytree(remote, view, ignore=shutil.ignore_patterns(".cache", CARD), dirs_exist_ok=True)
        for manifest in view.glob("manifests/*.json"):
            if self._published_manifest(remote, manifest.stem) is None:
                manifest.unlink()
        for path in state.files:
            if path.startswith(_PICTURES):  # a card names pictures and does not look into them
                _place(view / path)
        for file in self.files:
            if file.path.startswith((*_RECORDS, _PICTURES)):
                target = _place(view / file.path)
                if isinstance(file.content, Path) and not file.path.startswith(_PICTURES):
                    shutil.copyfile(file.content, target)
        place = DatasetFolder(view)
        write_ground_truths(place)
        truths = [place.ground_truth(name) for name in place.configurations()]
        rendered = dataset_card(place, location=self.repo, revision=version.tag)
        card = merge_cards(_text(remote / CARD), rendered, self.names)
        if self.supplement is not None:
            card = with_section(card, self.supplement.name, self.supplement.section(self.repo, version.tag))
        files = [LocalFile.of(path.relative_to(view).as_posix(), path.read_bytes()) for path in truths]
        return [*files, LocalFile.of(CARD, card.encode())]

    def _remote(self, state: State) -> Path:
        wanted = [path for path in state.files if path == CARD or path.startswith(_SMALL)]
        return self.remote.update(state, wanted)


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def _bytes_of(manifest: Manifest) -> dict[str, str]:
    """The digests that a version stands for: data and causal model. Certificates may be measured later."""
    fixed = ("data/", "causal_models/")
    return {entry.path: entry.sha256 for entry in manifest.files if entry.path.startswith(fixed)}


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8-sig") if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise HubRequestError(f"the repository's README.md is no UTF-8 text ({error}); correct it") from error


def _copied(folder: DatasetFolder, target: Path) -> DatasetFolder:
    """A dataset folder that may be written to: copies of its small files, and links to its data."""

    def copy(source: str, place: str) -> None:
        if Path(source).suffix == ".parquet" and Path(source).is_relative_to(folder.path / "data"):
            Path(place).symlink_to(Path(source).absolute())
        else:
            shutil.copyfile(source, place)

    shutil.copytree(folder.path, target, copy_function=copy, ignore=shutil.ignore_patterns(WORK))
    return DatasetFolder(target)
