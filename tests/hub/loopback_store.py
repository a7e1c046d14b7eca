"""The state of the loopback Hub: repositories with commits, branches, tags and large files, all in memory.

Owns what a request may do to a repository, and the history of every state that a client could observe. Speaks no HTTP.
"""

import hashlib
import threading
from dataclasses import dataclass, field


class Refused(Exception):
    """A request that the Hub answers with an error: status, X-Error-Code and message."""

    def __init__(self, status, message, code=None):
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Entry:
    """A file in a commit; `lfs` is the SHA-256 of a large file, else None."""

    oid: str
    size: int
    lfs: str | None = None


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    title: str
    message: str
    tree: dict[str, Entry]


@dataclass(frozen=True)
class Observation:
    """What any client could see after an event: the event, main's commit and the tags."""

    event: str
    head: str
    tags: dict[str, str]


@dataclass
class Repo:
    kind: str
    name: str
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    tag_objects: dict[str, str] = field(default_factory=dict)
    pulls: dict[str, str] = field(default_factory=dict)
    history: list[Observation] = field(default_factory=list)

    def resolve(self, revision):
        """The commit of a branch, tag, pull request or SHA."""
        for refs in (self.branches, self.tags, self.pulls):
            if revision in refs:
                return self.commits[refs[revision]]
        if revision in self.commits:
            return self.commits[revision]
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def files(self, revision="main"):
        """Path → digest of the content, at a revision."""
        return {path: entry.oid for path, entry in self.resolve(revision).tree.items()}

    def observe(self, event):
        self.history.append(Observation(event, self.branches["main"], dict(self.tags)))


def blob_oid(content):
    """The SHA-1 that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(sha256, size):
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


class Store:
    """All repositories of a Hub."""

    def __init__(self):
        self.repos = {}
        self.blobs = {}
        self.large = {}
        self.lock = threading.RLock()

    def repo(self, kind, name) -> Repo:
        if (kind, name) not in self.repos:
            raise Refused(404, f"Repository not found: {name}", "RepoNotFound")
        return self.repos[kind, name]

    def create(self, kind, name, *, private=False):
        with self.lock:
            if (kind, name) in self.repos:
                raise Refused(409, f"You already created this {kind} repo: {name}")
            repo = self.repos[kind, name] = Repo(kind, name, private)
            self._add(
                repo, "main", None, "initial commit", "", {".gitattributes": self._blob(b"*.parquet filter=lfs\n")}
            )
            repo.observe("create")
            return repo

    def content(self, entry):
        return self.large[entry.lfs] if entry.lfs else self.blobs[entry.oid]

    def read(self, kind, name, path, revision="main"):
        """The bytes of a file, for tests."""
        return self.content(self.repo(kind, name).resolve(revision).tree[path])

    def upload(self, sha256, content):
        """Store a large file; bytes that do not have the digest that names them are refused."""
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise Refused(400, f"BadDigest: got {len(content)} bytes with SHA-256 {found}, expected {sha256}")
        with self.lock:
            self.large[sha256] = content

    def commit(self, repo, revision, operations, *, title, message, parent=None, pull=False):
        """Apply operations to a branch in one commit. Refused if `parent` is no longer its head."""
        with self.lock:
            head = repo.resolve(revision)
            if revision not in repo.branches:
                raise Refused(400, f"{revision} is not a branch")
            if parent is not None and parent != head.sha:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            tree = dict(head.tree)
            for kind, value in operations:
                self._apply(tree, kind, value)
            if pull:
                target = f"refs/pr/{len(repo.pulls) + 1}"
                return self._add(repo, target, head, title, message, tree), target
            made = self._add(repo, revision, head, title, message, tree)
            repo.observe(f"commit {title}")
            return made, None

    def merge(self, repo, pull, title):
        """Squash a pull request into main, as a person would on the site."""
        with self.lock:
            commit = repo.resolve(pull)
            head = repo.resolve("main")
            if commit.parent != head.sha:
                raise Refused(409, "conflict")
            made = self._add(repo, "main", head, title, commit.message, commit.tree)
            repo.observe(f"merge {pull}")
            return made

    def tag(self, repo, revision, name, *, annotated=False):
        """Name a commit. An annotated tag is an object of its own, which refs then list instead of the commit."""
        with self.lock:
            commit = repo.resolve(revision)
            if name in repo.tags:
                raise Refused(409, f"Tag reference exists: {name}")
            repo.tags[name] = commit.sha
            if annotated:
                repo.tag_objects[name] = hashlib.sha1(f"{name} {commit.sha}".encode()).hexdigest()
            repo.observe(f"tag {name}")

    def _apply(self, tree, kind, value):
        path = value["path"]
        if kind == "file":
            tree[path] = self._blob(value["content"])
        elif kind == "lfsFile":
            if value["oid"] not in self.large:
                raise Refused(400, f"{path}: no large file {value['oid']} was uploaded")
            size = len(self.large[value["oid"]])
            if value.get("size", size) != size:
                raise Refused(400, f"{path}: size {value['size']}, uploaded {size}")
            tree[path] = Entry(blob_oid(pointer(value["oid"], size)), size, value["oid"])
        elif kind == "deletedFile":
            if path not in tree:
                raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            del tree[path]
        elif kind == "deletedFolder":
            for other in [other for other in tree if other.startswith(path.rstrip("/") + "/")]:
                del tree[other]
        else:
            raise Refused(400, f"unknown operation {kind}")

    def _blob(self, content):
        oid = blob_oid(content)
        self.blobs[oid] = content
        return Entry(oid, len(content))

    def _add(self, repo, ref, head, title, message, tree):
        parent = None if head is None else head.sha
        listed = "".join(f"{path} {entry.oid}\n" for path, entry in sorted(tree.items()))
        sha = hashlib.sha1(f"{parent}\n{title}\n{message}\n{len(repo.commits)}\n{listed}".encode()).hexdigest()
        made = repo.commits[sha] = Commit(sha, parent, title, message, tree)
        (repo.pulls if ref.startswith("refs/pr/") else repo.branches)[ref] = sha
        return made
