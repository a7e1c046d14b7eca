"""What stores at addresses have of their own: patience, and what is refused. The rest: test_contract.py."""

import sys

import fsspec
import pytest

from mmmi_hf.common.places import PlaceError
from mmmi_hf.dataset.stores import addresses
from mmmi_hf.dataset.stores.addresses import AddressStore, StoreUnavailableError, local_path


@pytest.fixture
def store(tmp_path):
    return AddressStore(f"memory://{tmp_path.name}/")


@pytest.fixture
def patient(monkeypatch):
    """Waits are noted and not waited for."""
    waits = []
    monkeypatch.setattr(addresses.time, "sleep", waits.append)
    return waits


def failing(monkeypatch, name, errors):
    """The next calls of the file system's method raise these errors."""
    kind = fsspec.get_filesystem_class("memory")
    original, left = getattr(kind, name), list(errors)

    def call(self, *arguments, **options):
        if left:
            raise left.pop(0)
        return original(self, *arguments, **options)

    monkeypatch.setattr(kind, name, call)


def test_a_small_file_is_replaced(store):
    store.put_if_absent("a/b.json", b"first")
    store.replace("a/b.json", b"third")
    assert store.read("a/b.json") == b"third"


def test_a_file_comes_back(store, tmp_path):
    store.put_if_absent("data/x", b"whole")
    assert store.fetch("data/x", tmp_path / "back") == store.sha256("data/x")
    assert (tmp_path / "back").read_bytes() == b"whole"
    with pytest.raises(FileNotFoundError):
        store.fetch("data/y", tmp_path / "back")


@pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), ConnectionError("503 Slow Down"), EOFError()])
def test_faults_are_tried_again(store, patient, monkeypatch, error):
    failing(monkeypatch, "pipe_file", [error, error])
    assert store.put_if_absent("x", b"content")
    failing(monkeypatch, "cat_file", [error])
    assert store.read("x") == b"content"
    failing(monkeypatch, "find", [error])
    assert store.list("") == {"x": 7}
    assert patient == [0.25, 0.5, 0.25, 0.25]


def test_a_cut_answer_is_asked_for_again(store, patient, monkeypatch):
    store.put_if_absent("x", b"content")
    kind = fsspec.get_filesystem_class("memory")
    original, cuts = kind.cat_file, [3, 0]

    def cut(self, path, start=None, end=None, **options):
        content = original(self, path, start=start, end=end, **options)
        return content[: cuts.pop()] if cuts else content

    monkeypatch.setattr(kind, "cat_file", cut)
    with store.open("x") as stream:
        assert stream.read() == b"content"
    assert len(patient) == 2


def test_patience_ends_with_one_line(store, patient, monkeypatch):
    failing(monkeypatch, "pipe_file", [OSError("reset by peer")] * 99)
    with pytest.raises(StoreUnavailableError, match=r"did not answer as it should, 6 times \(OSError: reset by peer\)"):
        store.put_if_absent("x", b"")
    assert len(patient) == addresses.ATTEMPTS - 1


def test_a_mistake_of_ours_is_raised_at_once(store, patient, monkeypatch):
    failing(monkeypatch, "pipe_file", [KeyError("a mistake")])
    with pytest.raises(KeyError):
        store.put_if_absent("x", b"")
    assert patient == []


class NoCredentialsError(Exception):
    """As botocore has it."""

    __module__ = "botocore.exceptions"


@pytest.mark.parametrize("error", [PermissionError("Access Denied"), NoCredentialsError("Unable to locate them")])
def test_who_is_not_let_in_learns_it_at_once(store, patient, monkeypatch, error):
    says = rf"cannot be used \({type(error).__name__}: {error}\); see to the account"
    failing(monkeypatch, "pipe_file", [error])
    with pytest.raises(StoreUnavailableError, match=says):
        store.put_if_absent("x", b"")
    failing(monkeypatch, "find", [error])
    with pytest.raises(StoreUnavailableError, match=says):
        store.list("")
    assert patient == []


class ClientError(Exception):
    """As botocore has it."""

    def __init__(self, code):
        self.response = {"Error": {"Code": code}}


@pytest.mark.parametrize("code", ["PreconditionFailed", "412"])
def test_a_store_that_does_not_say_which_condition_failed(store, patient, monkeypatch, tmp_path, code):
    """Amazon's answer names `If-None-Match`, by which s3fs knows that the name is taken; others do not."""
    (path := tmp_path / "x").write_bytes(b"x")
    for content, name in ((b"x", "pipe_file"), (path, "put_file")):
        error = OSError("At least one of the pre-conditions you specified did not hold")
        error.__cause__ = ClientError(code)
        failing(monkeypatch, name, [error])
        assert not store.put_if_absent("x", content)
    assert patient == []


def test_a_folder_that_begins_while_it_is_listed_is_no_file(store, monkeypatch):
    """s3fs looks for a file where it has found none, and finds the folder by then."""
    kind = fsspec.get_filesystem_class("memory")
    folder = {"name": f"{store.root}/new", "size": 0, "type": "directory"}
    monkeypatch.setattr(kind, "find", lambda self, path, detail: {folder["name"]: folder})
    assert store.list("new") == {}


@pytest.mark.engine
def test_an_address_is_looked_up_at_an_endpoint(monkeypatch):
    kind = fsspec.get_filesystem_class("s3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback")  # without them, a server of the cloud is asked for some
    for endpoint in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        kind.clear_instance_cache()
        assert AddressStore("s3://bucket/x").endpoint == endpoint
    kind.clear_instance_cache()


def test_a_large_file_whose_last_answer_was_lost(store, patient, monkeypatch, tmp_path):
    """The client asks again to complete an upload in parts, which S3 then knows nothing of."""
    (path := tmp_path / "x").write_bytes(b"whole")
    kind = fsspec.get_filesystem_class("memory")
    original, calls = kind.put_file, []

    def put(self, source, target, **options):
        calls.append(target)
        original(self, source, target, **options)
        if len(calls) == 1:
            raise FileNotFoundError("The upload ID may be invalid") from ClientError("NoSuchUpload")

    monkeypatch.setattr(kind, "put_file", put)
    assert not store.put_if_absent("x", path)
    assert (len(calls), store.read("x"), patient) == (2, b"whole", [0.25])


def test_a_bucket_that_is_not_there(store, patient, monkeypatch, tmp_path):
    path = tmp_path / "x"
    for content in (b"x", path):
        path.write_bytes(b"x")
        failing(monkeypatch, "put_file" if content is path else "pipe_file", [FileNotFoundError("no such bucket")])
        with pytest.raises(
            StoreUnavailableError, match=r"nothing can be put at memory.*: no such bucket; make the buc"
        ):
            store.put_if_absent("x", content)
    with pytest.raises(FileNotFoundError):
        store.put_if_absent("x", tmp_path / "gone")
    assert patient == []


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("hf://datasets/me/mine", "each file would be a commit; work in hf://buckets/"),
        ("hf://me/mine", "each file would be a commit"),
        ("http://example.org/x", "is not taken; give a folder, or an address"),
        ("s3://", "with a bucket and a name"),
        ("simplecache::s3://bucket/x", "is not taken"),
        ("hf://buckets/me", "names no bucket; one of the Hub is hf://buckets/OWNER/NAME"),
        ("s3://bucket//x", "have no parts ''"),
        ("s3://bucket/a/../b?c", r"have no parts '\.\.' '\?'"),
    ],
)
def test_addresses_that_are_refused(address, says):
    with pytest.raises(PlaceError, match=says):
        AddressStore(address)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(PlaceError, match="gs://bucket/x needs the package gcsfs: pip install gcsfs"):
        AddressStore("gs://bucket/x")


def test_file_addresses_are_folders(tmp_path):
    assert local_path(f"file://{tmp_path}") == tmp_path
    assert local_path("s3://bucket/x") is None
    with pytest.raises(PlaceError, match="a file:// address has a whole path"):
        local_path("file://here")
