"""A loopback Hub: the endpoints that the real clients call, over HTTP on 127.0.0.1, with faults on demand.

Owns routes, wire formats and fault injection; `loopback_store` owns the repositories. Parquet, safetensors and wheels
are large files (LFS); everything else is a regular file of the commit. A request to an unknown endpoint is answered 501
and kept in `unknown`, which tests assert to be empty.
"""

import base64
import json
import re
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.loopback_store import Refused, Store

LARGE = (".parquet", ".safetensors", ".arrow", ".bin", ".whl")
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass
class Fault:
    """What happens to requests of a method ("*": any) whose path matches, `times` times, after `skip` that pass.

    Attributes:
        action: "status" (answer `status` with `headers`, do nothing), "reset" (drop the connection, do nothing),
            "lost" (do it, then drop the connection), "truncate" (read half of the body, keep nothing, drop the
            connection), "corrupt" (keep half of the body as if it were all), "delay" (wait `seconds` first), or
            "call" (call `function` first).
    """

    method: str
    path: str
    action: str
    times: int = 1
    skip: int = 0
    status: int = 503
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    function: object = None


class LoopbackHub:
    """A Hub for tests. Use as a context manager; `url` is the clients' HF_ENDPOINT."""

    def __init__(self, *, token=None):
        self.store = Store()
        self.token = token
        self.faults: list[Fault] = []
        self.fired: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        self.bytes_sent = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def repo(self, name, kind="dataset"):
        return self.store.repo(kind, name)

    def fault(self, method, path, action, **settings):
        """Arrange a fault; `path` is a regular expression that is searched for in the decoded path."""
        self.faults.append(Fault(method, path, action, **settings))

    def due(self, method, path):
        """The fault that this request meets, if any."""
        with self._lock:
            self.requests.append((method, path))
            for fault in self.faults:
                if fault.times and fault.method in ("*", method) and re.search(fault.path, path):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    self.fired.append(f"{fault.action} {method} {path}")
                    return fault
        return None

    def count(self, sent):
        with self._lock:
            self.bytes_sent += sent


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Clients that are killed leave broken connections behind; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together; else every answer waits for a delayed acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def _serve(self):
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        path = unquote(parts.path)
        fault = self.hub.due(self.command, path)
        action = fault.action if fault else None
        if action == "delay":
            time.sleep(fault.seconds)
        elif action == "reset":
            return self._drop()
        body = self._body(half=action in ("truncate", "corrupt"))
        if body is None:  # the client went away in the middle of it
            return self._drop()
        if action == "call":
            fault.function()
        if action in ("truncate", "corrupt"):
            if action == "corrupt":
                self.hub.store.large[path.rsplit("/", 1)[-1]] = body
                return self._send(200, b"", rest_unread=True)
            return self._drop()
        if action == "status":
            return self._error(Refused(fault.status, f"injected {fault.status}"), dict(fault.headers))
        self.silent = action == "lost"
        try:
            self._route(path, body)
        except Refused as refusal:
            self._error(refusal)
        except ConnectionError:
            raise
        except Exception as error:  # a fault of the loopback Hub, which clients must not take for one of the network
            self.hub.unknown.append(f"{self.command} {path}: {error!r}")
            self._error(Refused(501, f"the loopback Hub failed: {error!r}"))
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _body(self, *, half=False):
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
            return body[: len(body) // 2] if half else body
        length = int(self.headers.get("Content-Length") or 0) // (2 if half else 1)
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _drop(self):
        """Close the connection with a reset, without an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send(self, status, content, headers=None, *, kind="application/json", length=None, rest_unread=False):
        if getattr(self, "silent", False):
            return self._drop()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if rest_unread:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.hub.count(len(content))
        return None

    def _json(self, value, status=200):
        self._send(status, json.dumps(value).encode())

    def _error(self, refusal, headers=None):
        self.silent = False
        headers = dict(headers or {}) | {"X-Error-Message": str(refusal)}
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        self._send(refusal.status, json.dumps({"error": str(refusal)}).encode(), headers)

    def _authorised(self):
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            raise Refused(401, "Invalid username or password.")

    def _route(self, path, body):
        for method, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                return handler(self, body, **match.groupdict())
        self.hub.unknown.append(f"{self.command} {path}")
        raise Refused(501, f"the loopback Hub does not know {self.command} {path}")

    def _repo(self, kinds, name, *, write=False):
        repo = self.hub.store.repo(KINDS.get(kinds, "model"), name)
        if write or repo.private:
            self._authorised()
        return repo

    def whoami(self, body):
        self._authorised()
        self._json({"type": "user", "name": "tester", "orgs": [{"name": "org"}], "auth": {"type": "access_token"}})

    def nothing(self, body):
        self._json({})

    def validate_yaml(self, body):
        self._json({"errors": [], "warnings": []})

    def create_repo(self, body):
        self._authorised()
        wanted = json.loads(body)
        kind = wanted.get("type") or "model"
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        answer = {"url": f"{self.hub.url}/{PREFIXES[kind]}{name}", "name": name, "id": "1"}
        if kind == "space" and not wanted.get("sdk"):
            raise Refused(400, "A Space needs an sdk.")
        try:
            self.hub.store.create(kind, name, private=private)
        except Refused as refusal:
            return self._send(refusal.status, json.dumps(answer | {"error": str(refusal)}).encode())
        return self._json(answer)

    def info(self, body, kinds, name, revision=None):
        repo = self._repo(kinds, name)
        commit = repo.resolve(revision or "main")
        siblings = [{"rfilename": path, **_info(path, e)} for path, e in sorted(commit.tree.items())]
        self._json(
            {
                "_id": name,
                "id": name,
                "sha": commit.sha,
                "private": repo.private,
                "tags": [],
                "downloads": 0,
                "likes": 0,
            }
            | {"siblings": siblings, "lastModified": "2026-01-01T00:00:00.000Z", "gated": False, "disabled": False}
        )

    def preupload(self, body, kinds, name, revision):
        repo = self._repo(kinds, name, write=True)
        tree = repo.resolve(revision).tree
        answer = []
        for entry in json.loads(body)["files"]:
            path, known = entry["path"], tree.get(entry["path"])
            mode = "lfs" if path.endswith(LARGE) else "regular"
            oid = known and (known.lfs or known.oid)
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **({"oid": oid} if oid else {})})
        self._json({"files": answer})

    def lfs_batch(self, body, name, kinds="models"):
        self._repo((kinds or "models").strip("/"), name, write=True)
        answer = []
        for entry in json.loads(body)["objects"]:
            oid, size = entry["oid"], entry["size"]
            known = len(self.hub.store.large.get(oid, b"")) == size and oid in self.hub.store.large
            actions = {"upload": {"href": f"{self.hub.url}/lfs/{oid}"}, "verify": {"href": f"{self.hub.url}/verify"}}
            answer.append({"oid": oid, "size": size, **({} if known else {"actions": actions})})
        self._json({"transfer": "basic", "objects": answer})

    def lfs_put(self, body, oid):
        self.hub.store.upload(oid, body)
        self._send(200, b"", {"ETag": f'"{oid}"'})

    def lfs_verify(self, body):
        wanted = json.loads(body)
        if len(self.hub.store.large.get(wanted["oid"], b"")) != wanted["size"]:
            raise Refused(422, f"object {wanted['oid']} is not complete")
        self._json({})

    def commit(self, body, kinds, name, revision):
        repo = self._repo(kinds, name, write=True)
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        header = lines[0]["value"]
        operations = []
        for line in lines[1:]:
            value = dict(line["value"])
            if line["key"] == "file":
                value["content"] = base64.b64decode(value["content"])
            operations.append((line["key"], value))
        made, pull = self.hub.store.commit(
            repo,
            revision,
            operations,
            title=header["summary"],
            message=header.get("description", ""),
            parent=header.get("parentCommit"),
            pull="create_pr" in self.query,
        )
        prefix = f"{self.hub.url}/{PREFIXES[repo.kind]}{name}"
        answer = {"success": True, "commitOid": made.sha, "commitUrl": f"{prefix}/commit/{made.sha}", "hookOutput": ""}
        if pull:
            answer["pullRequestUrl"] = f"{prefix}/discussions/{pull.rsplit('/', 1)[1]}"
        self._json(answer)

    def refs(self, body, kinds, name):
        repo = self._repo(kinds, name)

        def listed(refs, prefix):
            return [{"name": n, "ref": f"{prefix}{n}", "targetCommit": sha} for n, sha in refs.items()]

        tags = repo.tags | repo.tag_objects
        answer = {"branches": listed(repo.branches, "refs/heads/"), "tags": listed(tags, "refs/tags/")}
        answer["converts"] = []
        if "include_prs" in self.query:
            answer["pullRequests"] = listed(repo.pulls, "")
        self._json(answer)

    def tag(self, body, kinds, name, revision):
        repo = self._repo(kinds, name, write=True)
        if self.command == "DELETE":
            if revision not in repo.tags:
                raise Refused(404, f"no tag {revision}", "RevisionNotFound")
            del repo.tags[revision]
        else:
            wanted = json.loads(body)
            self.hub.store.tag(repo, revision, wanted["tag"], annotated="message" in wanted)
        self._send(200, b"")

    def branch(self, body, kinds, name, revision):
        repo = self._repo(kinds, name, write=True)
        start = json.loads(body or b"{}").get("startingPoint", "main")
        if revision in repo.branches:
            raise Refused(409, f"Reference already exists: {revision}")
        repo.branches[revision] = repo.resolve(start).sha
        self._send(200, b"")

    def commits(self, body, kinds, name, revision):
        repo = self._repo(kinds, name)
        found, sha = [], repo.resolve(revision).sha
        while sha is not None:
            c = repo.commits[sha]
            entry = {"id": c.sha, "title": c.title, "message": c.message, "date": "2026-01-01T00:00:00.000Z"}
            found.append(entry | {"authors": [{"user": "tester"}]})
            sha = c.parent
        self._json(found)

    def tree(self, body, kinds, name, revision, folder=None):
        repo = self._repo(kinds, name)
        tree = repo.resolve(revision).tree
        prefix = f"{folder.strip('/')}/" if folder and folder.strip("/") else ""
        inside = [path for path in sorted(tree) if path.startswith(prefix)]
        if prefix and not inside:
            raise Refused(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        recursive = self.query.get("recursive", [""])[0].lower() in ("true", "1")
        answer, folders = [], set()
        for path in inside:
            parents = path[len(prefix) :].split("/")[:-1]
            for depth in range(1, len(parents) + 1 if recursive else min(len(parents), 1) + 1):
                sub = prefix + "/".join(parents[:depth])
                if sub not in folders:
                    folders.add(sub)
                    answer.append({"type": "directory", "path": sub, "oid": "0" * 40, "size": 0})
            if recursive or not parents:
                answer.append({"type": "file", "path": path, **_info(path, tree[path])})
        self._json(answer)

    def paths_info(self, body, kinds, name, revision):
        tree = self._repo(kinds, name).resolve(revision).tree
        if "json" in (self.headers.get("Content-Type") or ""):
            paths = json.loads(body)["paths"]
        else:
            paths = parse_qs(body.decode()).get("paths", [])
        answer = []
        for path in paths:
            if path in tree:
                answer.append({"type": "file", "path": path, **_info(path, tree[path])})
            elif any(other.startswith(f"{path}/") for other in tree):
                answer.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        self._json(answer)

    def resolve(self, body, name, revision, file, kinds="models"):
        repo = self._repo((kinds or "models").strip("/"), name)
        commit = repo.resolve(revision)
        headers = {"X-Repo-Commit": commit.sha, "Accept-Ranges": "bytes"}
        entry = commit.tree.get(file)
        if entry is None:
            message = f"Entry not found: {file}"
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": message}
            return self._send(404, message.encode(), headers)
        content = self.hub.store.content(entry)
        headers["ETag"] = f'"{entry.lfs or entry.oid}"'
        if entry.lfs:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(content))}
        kind = "application/octet-stream"
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted and (wanted[1] or wanted[2]):
            size = len(content)
            start = int(wanted[1]) if wanted[1] else max(size - int(wanted[2]), 0)
            end = min(int(wanted[2]), size - 1) if wanted[1] and wanted[2] else size - 1
            if start >= size:
                return self._send(416, b"", headers | {"Content-Range": f"bytes */{size}"}, kind=kind)
            headers["Content-Range"] = f"bytes {start}-{end}/{size}"
            return self._send(206, content[start : end + 1], headers, kind=kind)
        return self._send(200, content, headers, kind=kind)


def _info(path, entry):
    """A file as the API describes it."""
    described = {"oid": entry.oid, "size": entry.size}
    if entry.lfs:
        described["lfs"] = {"oid": entry.lfs, "sha256": entry.lfs, "size": entry.size, "pointerSize": 134}
    return described


_API = r"/api/(?P<kinds>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
_GIT = r"/(?P<kinds>datasets/|spaces/)?(?P<name>[^/]+/[^/]+)"
_TO = r"/(?P<revision>refs/pr/\d+|[^/]+)"
_ROUTES = (
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("GET", r"/api/agent-harnesses", _Handler.nothing),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml),
    ("POST", r"/api/repos/create", _Handler.create_repo),
    ("GET HEAD", _API, _Handler.info),
    ("GET HEAD", rf"{_API}/revision{_TO}", _Handler.info),
    ("POST", rf"{_API}/preupload{_TO}", _Handler.preupload),
    ("POST", rf"{_GIT}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("POST", r"/verify", _Handler.lfs_verify),
    ("POST", rf"{_API}/commit{_TO}", _Handler.commit),
    ("GET", rf"{_API}/refs", _Handler.refs),
    ("POST DELETE", rf"{_API}/tag{_TO}", _Handler.tag),
    ("POST", rf"{_API}/branch{_TO}", _Handler.branch),
    ("GET", rf"{_API}/commits{_TO}", _Handler.commits),
    ("GET", rf"{_API}/tree{_TO}(?P<folder>/.*)?", _Handler.tree),
    ("POST", rf"{_API}/paths-info{_TO}", _Handler.paths_info),
    ("GET HEAD", rf"{_GIT}/resolve{_TO}/(?P<file>.+)", _Handler.resolve),
)
