"""Where a repository stands: its head, its files, its tags and the releases in its history; and copies of small files.

Owns reading. Everything in a State is read at one commit, so that a later commit can be made conditional on it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._validators import validate_repo_id

from mmmi_hf.common.files import sha256_of
from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.client.retries import ConflictError
from mmmi_hf.hub.client.versions import Version, version_of_tag, version_of_title

Kind = Literal["dataset", "model", "space"]
DIGEST_LABEL = "Release-Digest: "


class Readable(Protocol):
    """What can be read as a whole: a path, for example."""

    def read_bytes(self) -> bytes:
        """All of it."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at the head: its git object, size, and the SHA-256 of a large file."""

    oid: str
    size: int
    sha256: str | None

    def holds(self, content: bytes | Readable, sha256: str) -> bool:
        """Whether it is this content, whose SHA-256 is known."""
        if self.sha256 is not None:
            return self.sha256 == sha256
        return self.oid == git_oid(content if isinstance(content, bytes) else content.read_bytes())


@dataclass(frozen=True)
class ReleaseCommit:
    """A commit that claims a version: "Release v1.2.0: …" with the digest of what it released in its description."""

    version: Version
    commit: str
    digest: str | None


@dataclass(frozen=True)
class State:
    """A repository at one moment.

    Attributes:
        head: commit of main; None for a repository that does not exist.
        files: path → file, at the head.
        tags: version → commit, of the tags vX.Y.Z.
        releases: the release commits in main's history, newest first; a claim that a tag elsewhere contradicts is none.
    """

    head: str | None
    files: Mapping[str, RemoteFile]
    tags: Mapping[Version, str]
    releases: tuple[ReleaseCommit, ...]

    def taken(self) -> set[Version]:
        """Versions that have a tag or are claimed by a commit."""
        return set(self.tags) | {release.version for release in self.releases}

    def untagged(self) -> list[ReleaseCommit]:
        """Releases since the newest tagged one whose tag is missing: their publishers were killed in between."""
        found = []
        for release in self.releases:
            if release.version in self.tags:
                break
            found.append(release)
        return found


def check_address(repo: str, token: str | bool | None) -> None:
    """Refuse a name that no repository can have, and a token that no request can carry.

    The clients answer such a token with an error that quotes it.

    Raises:
        HubRequestError: says which; a token is not shown.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise HubRequestError(f"repo must be owner/name, got {repo!r}: {error}") from error
    if isinstance(token, str) and not re.fullmatch("[!-~]+", token):
        raise HubRequestError(
            "token must be printable characters without spaces or line breaks (it is not shown); strip it, or give "
            "None for the one of `hf auth login`"
        )


NOWHERE = State(None, {}, {}, ())


def read_state(api: HfApi, repo: str, kind: Kind) -> State:
    """The state of a repository; NOWHERE if there is none."""
    try:
        refs = api.list_repo_refs(repo, repo_type=kind)
    except RepositoryNotFoundError as error:
        if error.response.status_code in (401, 403):
            raise
        return NOWHERE
    head = next((branch.target_commit for branch in refs.branches if branch.name == "main"), None)
    if head is None:
        raise ConflictError(f"{repo} has no branch main yet")
    files = {
        entry.path: RemoteFile(entry.blob_id, entry.size, entry.lfs.sha256 if entry.lfs else None)
        for entry in api.list_repo_tree(repo, repo_type=kind, revision=head, recursive=True)
        if isinstance(entry, RepoFile)
    }
    tags = {version: tag.target_commit for tag in refs.tags if (version := version_of_tag(tag.name)) is not None}
    releases = tuple(
        ReleaseCommit(version, commit.commit_id, _digest(commit.message))
        for commit in api.list_repo_commits(repo, repo_type=kind, revision=head)
        if (version := version_of_title(commit.title)) is not None
        and tags.get(version, commit.commit_id) == commit.commit_id  # else the tag is somebody else's
    )
    return State(head, files, tags, releases)


def _digest(message: str) -> str | None:
    lines = [line.strip() for line in message.splitlines()]
    return next((line.removeprefix(DIGEST_LABEL) for line in lines if line.startswith(DIGEST_LABEL)), None)


class SmallFiles:
    """A folder with copies of small files of a repository's head, brought up to date by fetching what changed.

    Args:
        folder: an own, new folder.
    """

    def __init__(self, api: HfApi, repo: str, kind: Kind, folder: Path) -> None:
        self.api, self.repo, self.kind, self.folder = api, repo, kind, folder
        self._have: dict[str, str] = {}

    def update(self, state: State, wanted: Iterable[str]) -> Path:
        """Make the folder hold exactly the wanted paths as they are at the state's head."""
        paths = {path: state.files[path] for path in wanted if path in state.files}
        for path in set(self._have) - set(paths):
            (self.folder / path).unlink(missing_ok=True)
            del self._have[path]
        stale = [path for path, file in paths.items() if self._have.get(path) != file.oid]
        if stale:
            for path in stale:
                (self.folder / path).unlink(missing_ok=True)
            snapshot_download(
                self.repo,
                repo_type=self.kind,
                revision=state.head,
                local_dir=self.folder,
                allow_patterns=stale,
                token=self.api.token,
                endpoint=self.api.endpoint,
            )
        for path in stale:
            copy = self.folder / path
            if not copy.is_file() or not paths[path].holds(copy, sha256_of(copy)):
                raise ConflictError(f"{path} did not arrive whole")
            self._have[path] = paths[path].oid
        return self.folder


def git_oid(content: bytes) -> str:
    """The name that git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
