"""A release: one commit that holds everything, then its tag. Safe to repeat, to kill, and to run beside others.

Owns the loop {read the repository, refuse or plan, upload, commit on the head that was read, tag}. What is released is
a Content; this module knows neither datasets nor pipelines.

Why it is atomic: a commit is one request, refused by the Hub if the head has moved since it was read. Why it survives
kills: the commit's title claims the version and its description holds the digest of what was released, so a later run
(of anybody) finds a release whose tag is missing and completes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from mmmi_hf.hub.client.errors import HubRequestError, VersionExistsError, status_of
from mmmi_hf.hub.client.remote import DIGEST_LABEL, Kind, ReleaseCommit, State, read_state
from mmmi_hf.hub.client.retries import Backoff, ConflictError, UploadError
from mmmi_hf.hub.client.versions import FIRST, Version

CARD = "README.md"


class Elsewhere(Protocol):
    """The content of a file that is not on this machine."""

    def read_bytes(self) -> bytes:
        """All of it."""

    def fetched(self) -> AbstractContextManager[Path]:
        """A copy on this machine while the context lasts. Raises HubRequestError if it is not what it should be."""


@dataclass(frozen=True)
class LocalFile:
    """A file to publish: its place in the repository, its content (or where it is), size and SHA-256."""

    path: str
    content: Path | bytes | Elsewhere
    size: int
    sha256: str

    @classmethod
    def of(cls, path: str, content: Path | bytes) -> LocalFile:
        """The file with its digest computed."""
        if isinstance(content, bytes):
            return cls(path, content, len(content), hashlib.sha256(content).hexdigest())
        with content.open("rb") as stream:
            return cls(path, content, content.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())

    def read(self) -> bytes:
        """Its content."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


class Content(Protocol):
    """What a release consists of, and what follows from it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is released, for the commit's title."""

    @property
    def files(self) -> Sequence[LocalFile]:
        """The files, with their digests."""

    def prepare(self, state: State) -> Sequence[str]:
        """The paths to delete from the head. Raises HubRequestError where the content must not go there."""

    def derived(self, state: State, version: Version) -> Sequence[LocalFile]:
        """What follows from all that the repository holds after this release: its card, ground truth."""


@dataclass(frozen=True)
class Change:
    """What happens to one file: its path, "add", "replace" or "delete", and its new size in bytes."""

    path: str
    action: Literal["add", "replace", "delete"]
    size: int


@dataclass(frozen=True)
class Published:
    """What `publish` did, or would do.

    Attributes:
        repo, kind: the repository; "dataset", "model" or "space".
        names: the configurations (or the pipeline, or the Space) that were published.
        version, tag: of the release, e.g. "1.1.0" and "v1.1.0".
        commit: the release's commit; None in a dry run.
        changes: of the release's commit against the head before it; empty if it was there already.
        created: whether the repository was (or would be) made.
        resumed: whether this completed what an earlier, interrupted call had begun.
        pull_request: the address of the pull request, if one was opened; it has no tag until it is merged.
        dry_run: whether nothing was written.
        card: README.md of the release; None if nothing had to be done.
    """

    repo: str
    kind: Kind
    names: tuple[str, ...]
    version: str
    tag: str
    commit: str | None
    changes: tuple[Change, ...] = ()
    created: bool = False
    resumed: bool = False
    pull_request: str | None = None
    dry_run: bool = False
    card: str | None = None


@dataclass
class Release:
    """One call of `publish`.

    Args:
        api: the client, with its token.
        repo, kind: where to.
        content: what.
        version: the version wanted; None for the next minor one.
        private: make the repository private if it has to be made.
        pull_request: open a pull request instead of committing to main and tagging.
        repeatable: where the version wanted is taken, this very release under whatever version is no error.
    """

    api: HfApi
    repo: str
    kind: Kind
    content: Content
    version: Version | None = None
    private: bool = False
    pull_request: bool = False
    repeatable: bool = False
    created: bool = False
    attempted: bool = False
    _sent: dict[LocalFile, CommitOperationAdd] = field(default_factory=dict)

    def plan(self, backoff: Backoff) -> Published:
        """What `publish` would do; writes nothing."""

        def step() -> Published:
            state = read_state(self.api, self.repo, self.kind)
            settled = self._settled(state)
            if settled is not None:
                return replace(self._done(settled, resumed=settled in state.untagged()), dry_run=True)
            version, _, changes, card = self._planned(state)
            return self._published(version, None, changes, created=state.head is None, dry_run=True, card=card.decode())

        return backoff.repeat(step, f"read {self.repo}")

    def publish(self, backoff: Backoff) -> Published:
        """Carry it out; see Backoff.repeat for what is raised."""
        what = f"publish to {self.repo}"
        backoff.repeat(self._have_repository, what)
        return backoff.repeat(self._step, what)

    def _have_repository(self) -> None:
        try:
            info = self.api.repo_info(self.repo, repo_type=self.kind)
        except RepositoryNotFoundError as error:
            if error.response.status_code != 404:
                raise
        else:
            if self.private and not info.private:
                raise HubRequestError(
                    f"{self.repo} exists and is public; a private release needs a new repository, or make this one "
                    "private in its settings"
                )
            return
        if self.pull_request:
            raise HubRequestError(f"{self.repo} does not exist, so there is nothing to open a pull request on")
        sdk = "gradio" if self.kind == "space" else None
        self.api.create_repo(self.repo, repo_type=self.kind, private=self.private, exist_ok=True, space_sdk=sdk)
        self.created = True

    def _step(self) -> Published:
        state = read_state(self.api, self.repo, self.kind)
        if state.head is None:
            raise ConflictError(f"{self.repo} is not there yet")
        settled = self._settled(state)
        if not self.pull_request:
            for release in reversed(state.untagged()):
                self._tag(release.version, release.commit)
        if settled is not None:
            return self._done(settled, resumed=settled in state.untagged() or self.attempted)
        version, (files, deletions), changes, card = self._planned(state)
        additions = self._uploaded(files)
        self.attempted = True
        commit = self.api.create_commit(
            self.repo,
            [*additions, *deletions],
            repo_type=self.kind,
            commit_message=f"Release {version.tag}: {_listed(self.content.names)}",
            commit_description=f"{DIGEST_LABEL}{self.digest}",
            parent_commit=state.head,
            create_pr=self.pull_request,
        )
        if not self.pull_request:
            self._tag(version, commit.oid)
        return self._published(
            version, commit.oid, changes, created=self.created, pull_request=commit.pr_url, card=card.decode()
        )

    @property
    def digest(self) -> str:
        """SHA-256 over the paths and digests of everything that is released; what is derived is aside."""
        listed = sorted((file.path, file.sha256) for file in self.content.files)
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def _settled(self, state: State) -> ReleaseCommit | None:
        """The release in main's history that is this one already, if there is one to settle with.

        Raises VersionExistsError if the version wanted is taken by another release, or by this one, which was complete
        and is not `repeatable`.
        """
        if self.version is None:
            if not state.releases or self.content.prepare(state) or not self._is_there(state):
                return None
            same = [release for release in state.releases if release.digest == self.digest]
            at_head = [release for release in state.releases if release.commit == state.head]  # it holds all of ours
            return next(iter(same + at_head), None)
        if self.version not in state.taken():
            return None
        alike = [release for release in state.releases if release.digest == self.digest]
        if self.repeatable and alike:
            return alike[0]
        same = [release for release in alike if release.version == self.version]
        if same and (self.attempted or self.version not in state.tags):
            return same[0]
        there = bool(same) or (not self.content.prepare(state) and self._is_there(state))
        holds = "exactly this release; nothing is left to do" if there else "another release"
        higher = max(state.taken()).next_minor()
        others = f"{higher}" if self.repeatable else f"{higher}, or 'auto'"
        raise VersionExistsError(
            f"{self.repo} has version {self.version.tag} already ({holds}); a published version never changes: "
            f"give another, such as {others}"
        )

    def _is_there(self, state: State) -> bool:
        """Whether the head holds the release and what is derived from it; its card may differ, as it has a version."""
        derived = [file for file in self.content.derived(state, FIRST) if file.path != CARD]
        return all(
            file.path in state.files and state.files[file.path].holds(file.content, file.sha256)
            for file in [*self.content.files, *derived]
        )

    def _planned(
        self, state: State
    ) -> tuple[Version, tuple[list[LocalFile], list[CommitOperationDelete]], tuple[Change, ...], bytes]:
        """The version, the files to add and what to delete, what that changes, and the card."""
        deleted = self.content.prepare(state)
        version = self.version or (max(state.taken()).next_minor() if state.taken() else FIRST)
        derived = self.content.derived(state, version)
        card = next(file for file in derived if file.path == CARD)
        files, changes = [], []
        for file in [*self.content.files, *derived]:
            there = state.files.get(file.path)
            if there is not None and there.holds(file.content, file.sha256):
                continue
            files.append(file)
            changes.append(Change(file.path, "add" if there is None else "replace", file.size))
        changes += [Change(path, "delete", 0) for path in deleted]
        deletions = [CommitOperationDelete(path, is_folder=False) for path in deleted]
        return version, (files, deletions), tuple(changes), card.read()

    def _uploaded(self, files: Sequence[LocalFile]) -> list[CommitOperationAdd]:
        """The files as operations whose large content the Hub has; what is elsewhere is fetched one at a time."""
        here = [_addition(file, file.content) for file in files if isinstance(file.content, Path | bytes)]
        self._upload(here, free_memory=False)
        for file in files:
            if isinstance(file.content, Path | bytes) or file in self._sent:
                continue
            with file.content.fetched() as copy:
                operation = _addition(file, copy)
                self._upload([operation], free_memory=True)
                if operation.path_or_fileobj == str(copy):  # it goes with the commit itself
                    operation = _addition(file, copy.read_bytes())
            self._sent[file] = operation
        return here + [self._sent[file] for file in files if file in self._sent]

    def _upload(self, additions: list[CommitOperationAdd], *, free_memory: bool) -> None:
        try:
            self.api.preupload_lfs_files(
                self.repo, additions, repo_type=self.kind, free_memory=free_memory, create_pr=self.pull_request
            )
        except RuntimeError as error:  # how the client wraps what happened to a single file
            raise UploadError(str(error)) from error

    def _tag(self, version: Version, commit: str) -> None:
        try:
            # Without a message: an annotated tag may be listed by its own object instead of the commit.
            self.api.create_tag(self.repo, tag=version.tag, revision=commit, repo_type=self.kind)
        except Exception as error:
            if status_of(error) != 409:
                raise
            tags = read_state(self.api, self.repo, self.kind).tags
            if tags.get(version) == commit:  # another run was faster, or our answer was lost
                return
            if version in tags and version == self.version:
                raise VersionExistsError(
                    f"{self.repo}: somebody gave the tag {version.tag} to another commit; the release itself is "
                    f"commit {commit[:12]} on main: publish again under another version"
                ) from error
            raise ConflictError(f"tag {version.tag} exists on another commit") from error

    def _done(self, release: ReleaseCommit, *, resumed: bool) -> Published:
        return self._published(release.version, release.commit, (), created=self.created, resumed=resumed)

    def _published(
        self,
        version: Version,
        commit: str | None,
        changes: tuple[Change, ...],
        *,
        created: bool = False,
        resumed: bool = False,
        dry_run: bool = False,
        pull_request: str | None = None,
        card: str | None = None,
    ) -> Published:
        return Published(
            self.repo,
            self.kind,
            tuple(self.content.names),
            str(version),
            version.tag,
            commit,
            changes,
            created,
            resumed,
            pull_request,
            dry_run,
            card,
        )


def _addition(file: LocalFile, content: Path | bytes) -> CommitOperationAdd:
    """The file as an operation; its known digest is what the Hub must find in the bytes that arrive."""
    operation = CommitOperationAdd(file.path, str(content) if isinstance(content, Path) else content)
    operation.upload_info.sha256 = bytes.fromhex(file.sha256)
    return operation


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
