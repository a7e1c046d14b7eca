"""Addresses of object storage as a store: s3://, gs://, hf://buckets/ and memory://, by fsspec.

Owns the one reading of such an address, what is tried again, and for how long. Objects of these stores are there whole
or not at all. Where a store can refuse to write over one (S3, Google Cloud Storage, memory), it is asked to; elsewhere
it is looked for first, and whoever comes in between puts the same bytes.

Whose account is used, and at which endpoint, is read by the file system itself, from its usual variables and files.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mmmi_hf.common.failures import Failure, in_one_line
from mmmi_hf.common.places import PlaceError
from mmmi_hf.dataset.stores.store import Store

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

ATTEMPTS = 6
FIRST_WAIT = 0.25
"""Seconds before the second attempt; doubled each time. Each is of a client that tries again itself."""
READ_BYTES = 8 << 20
"""Of one request, where a whole file is read."""
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 20, "read_timeout": 30}},
}
_PUT_OPTIONS: dict[str, dict[str, Any]] = {"s3": {"chunksize": 16 << 20, "max_concurrency": 2}}
"""So that a large file does not lie in memory."""
_EXCLUSIVE = ("s3", "gs", "memory")
_TAKEN = ("PreconditionFailed", "412")
"""What S3 says where a name is taken; stores beside Amazon's do not add which condition, by which s3fs would know."""
_FINAL = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_REFUSALS = {
    "PermissionError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "InvalidRegionError",
    "ParamValidationError",
    "DefaultCredentialsError",
    "RefreshError",
    "LocalTokenNotFoundError",
    "OfflineModeIsEnabled",
    "RepositoryNotFoundError",
    "BucketNotFoundError",
}
"""What no patience helps, by the names of classes, whose packages need not be there."""
_CLIENTS = {"aiohttp", "aiobotocore", "botocore", "gcsfs", "google", "huggingface_hub", "httpx", "httpx2", "requests"}


class StoreUnavailableError(Failure):
    """Object storage did not answer as it should, several times, or refuses us; what is finished is kept."""


def local_path(address: str) -> Path | None:
    """The folder of this machine that a file:// address means; None for other addresses.

    Raises:
        PlaceError: it is relative.
    """
    scheme, _, path = address.partition("://")
    if scheme not in ("file", "local"):
        return None
    if not path.startswith("/"):
        raise PlaceError(f"a file:// address has a whole path, file:///data/mine for example, got {address!r}")
    return Path(path)


class AddressStore(Store):
    """Object storage at an address.

    Args:
        address: s3://BUCKET/…, gs://BUCKET/…, hf://buckets/OWNER/NAME/…, or memory://… within one process.

    Raises:
        PlaceError: no such address, or a package that it needs is missing.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        scheme, _, path = self.address.partition("://")
        if scheme == "hf" and not path.startswith("buckets/"):
            raise PlaceError(
                f"{address} is no place to work in, as each file would be a commit; work in hf://buckets/OWNER/NAME/… "
                "or elsewhere, and publish from there"
            )
        if scheme not in ("s3", "gs", "hf", "memory") or "::" in address or not path.strip("/"):
            raise PlaceError(
                f"{address} is not taken; give a folder, or an address with a bucket and a name: s3://…, gs://…, "
                "hf://buckets/… (memory://… within one process)"
            )
        parts = path.split("/")
        if scheme == "hf" and len(parts) < 3:
            raise PlaceError(f"{address} names no bucket; one of the Hub is hf://buckets/OWNER/NAME")
        if wrong := sorted({"", ".", ".."}.intersection(parts) | set('*?[]"#$').intersection(path)):
            raise PlaceError(
                f"{address}: names there have no parts {' '.join(map(repr, wrong))}, which stores and readers take for "
                "something else; give another name"
            )
        import fsspec

        try:
            self.files: AbstractFileSystem = fsspec.filesystem(
                scheme, use_listings_cache=False, **_OPTIONS.get(scheme, {})
            )
        except ImportError as error:
            package = _PACKAGES.get(scheme, scheme)
            raise PlaceError(f"{address} needs the package {package}: pip install {package}") from error
        self.scheme = scheme
        self.root: str = self.files._strip_protocol(self.address).rstrip("/")

    @property
    def endpoint(self) -> str:
        """Where the address is looked up: another endpoint of S3 may have a bucket of the same name."""
        return str(self.files.s3.meta.endpoint_url) if self.scheme == "s3" else ""

    def open(self, name: str) -> io.BufferedReader:
        path = self._path(name)
        size = int(self._patiently(lambda: self.files.info(path))["size"])
        return io.BufferedReader(_Ranges(self, path, size), buffer_size=1 << 16)

    def put_if_absent(self, name: str, content: bytes | Path) -> bool:
        path = self._path(name)
        options = _PUT_OPTIONS.get(self.scheme, {}) if isinstance(content, Path) else {}
        if self.scheme in _EXCLUSIVE:
            options = options | {"mode": "create"}
        elif self._patiently(lambda: self.files.exists(path)):
            if isinstance(content, Path):
                content.unlink(missing_ok=True)
            return False
        try:
            self._patiently(lambda: self._put(path, content, **options))
        except FileExistsError:
            return False
        finally:
            if isinstance(content, Path):
                content.unlink(missing_ok=True)
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Put bytes in place of whatever has the name. Raises StoreUnavailableError."""
        self._patiently(lambda: self._put(self._path(name), content))

    def list(self, prefix: str) -> dict[str, int]:
        def found() -> dict[str, Any]:
            self.files.invalidate_cache()
            try:
                return dict(self.files.find(self._path(prefix), detail=True))
            except FileNotFoundError:
                return {}

        entries = self._patiently(found)
        return {  # a folder that another process has just begun is no file
            path.removeprefix(f"{self.root}/"): int(each["size"])
            for path, each in entries.items()
            if each["type"] == "file"
        }

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._patiently(lambda: self.files.rm_file(self._path(name)))

    def read(self, name: str) -> bytes | None:
        try:
            content: bytes = self._patiently(lambda: self.files.cat_file(self._path(name)))
        except FileNotFoundError:
            return None
        return content

    def sha256(self, name: str) -> str | None:
        found = hashlib.sha256()
        try:
            with self.open(name) as stream:
                while content := stream.read(READ_BYTES):
                    found.update(content)
        except FileNotFoundError:
            return None
        return found.hexdigest()

    def fetch(self, name: str, target: Path) -> str:
        """Copy a file to this machine; its hexadecimal SHA-256. Raises FileNotFoundError."""
        found = hashlib.sha256()
        with self.open(name) as stream, target.open("wb") as copy:
            while content := stream.read(READ_BYTES):
                found.update(content)
                copy.write(content)
        return found.hexdigest()

    def part(self, path: str, start: int, stop: int) -> bytes:
        """Some bytes of a file: all of them, or the request is made again."""

        def found() -> bytes:
            content: bytes = self.files.cat_file(path, start=start, end=stop)
            if len(content) != stop - start:
                raise ConnectionError(f"{path}: {len(content)} bytes came, expected {stop - start}")
            return content

        return self._patiently(found)

    def _put(self, path: str, content: bytes | Path, **options: Any) -> None:
        """Put something. Raises FileExistsError where the name is taken and `mode` is "create"."""
        try:
            if isinstance(content, Path):
                self.files.put_file(str(content), path, **options)
            else:
                self.files.pipe_file(path, content, **options)
        except FileNotFoundError as error:
            if isinstance(content, Path) and not content.exists():
                raise
            if _code(error) == "NoSuchUpload":  # S3 has completed it, and the answer was lost: look again
                raise ConnectionError(in_one_line(error, most=200)) from error
            raise StoreUnavailableError(
                f"nothing can be put at {self.address}: {in_one_line(error, most=200)}; make the bucket, or give "
                "another address"
            ) from error
        except OSError as error:
            if _code(error) in _TAKEN:
                raise FileExistsError(path) from error
            raise

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}".rstrip("/")

    def _patiently(self, step: Callable[[], Result]) -> Result:
        """What a step gives, tried several times where the store or the connection is at fault."""
        for attempt in range(ATTEMPTS):
            try:
                return step()
            except Exception as error:
                if not may_pass(error):
                    raise
                said = f"{type(error).__name__}: {in_one_line(error, most=200)}"
                if _REFUSALS.intersection(kind.__name__ for kind in type(error).__mro__):
                    raise StoreUnavailableError(
                        f"{self.address} cannot be used ({said}); see to the account, its rights and the network, as "
                        "the store's own tools are told of them"
                    ) from error
                if attempt == ATTEMPTS - 1:
                    raise StoreUnavailableError(
                        f"{self.address} did not answer as it should, {ATTEMPTS} times ({said}); what is finished is "
                        "kept: run the same again later"
                    ) from error
                logger.info("%s: %s; trying again", self.address, said)
                time.sleep(FIRST_WAIT * 2**attempt)
        raise AssertionError("a step was tried no time")


def may_pass(error: Exception) -> bool:
    """Whether the store or the connection is at fault, so that it may help to try again."""
    return not isinstance(error, _FINAL) and (isinstance(error, OSError | EOFError) or _is_of_a_client(error))


def _code(error: Exception) -> str | None:
    """What S3 calls an error that its client has translated."""
    answer = getattr(error.__cause__, "response", None)
    return answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None


def _is_of_a_client(error: Exception) -> bool:
    """Whether an error, or what it is a kind of, is one of a package that talks to stores."""
    return any(kind.__module__.partition(".")[0] in _CLIENTS for kind in type(error).__mro__)


class _Ranges(io.RawIOBase):
    """A file of a store, of which parts are fetched as they are read."""

    def __init__(self, store: AddressStore, path: str, size: int) -> None:
        self._store, self._of, self._size, self._at = store, path, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._size, self._at + len(buffer))
        if stop <= self._at:
            return 0
        content = self._store.part(self._of, self._at, stop)
        buffer[: len(content)] = content
        self._at = stop
        return len(content)
