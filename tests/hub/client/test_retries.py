"""What is tried again and how long is waited; versions; in one process, without a Hub."""

import random

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from mmmi_hf.hub.client.errors import HubRequestError, HubUnavailableError, in_one_line, refused
from mmmi_hf.hub.client.retries import Backoff, ConflictError, UploadError, passes, retry_after
from mmmi_hf.hub.client.versions import Version, parse_version, version_of_tag, version_of_title


def answer(status, *, kind=HfHubHTTPError, **headers):
    response = httpx2.Response(status, headers=headers, request=httpx2.Request("GET", "http://hub/api"))
    return kind(f"{status} Error for url http://hub/api\n\n(Request ID: 1-2-3)\n\nSaid the Hub.", response=response)


def patient(**settings):
    waits = []
    return Backoff(sleep=waits.append, jitter=random.Random(0), **settings), waits


def failing(*errors):
    """A step that fails in turn with these, and then succeeds."""
    left = list(errors)

    def step():
        if left:
            raise left.pop(0)
        return "done"

    return step


def test_waits_grow_and_are_bounded():
    backoff, waits = patient(attempts=9, base=0.5, limit=4.0)
    assert backoff.repeat(failing(*[answer(503)] * 8), "it") == "done"
    assert all(0.5 * min(4, 0.5 * 2**n) <= wait <= min(4, 0.5 * 2**n) for n, wait in enumerate(waits, 1))


def test_retry_after_is_honoured():
    backoff, waits = patient()
    assert backoff.repeat(failing(answer(429, **{"Retry-After": "17"})), "it") == "done"
    assert 17 < waits[0] < 18
    assert retry_after(answer(429, **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})) is None
    with pytest.raises(HubUnavailableError, match="given up after 1 attempts"):
        backoff.repeat(failing(answer(429, **{"Retry-After": "9999"})), "it")


def test_it_ends():
    backoff, waits = patient(attempts=3)
    with pytest.raises(HubUnavailableError, match=r"it: given up after 3 attempts \(503 Error .* Said the Hub\.\)"):
        backoff.repeat(failing(*[answer(503)] * 9), "it")
    assert len(waits) == 2
    backoff, waits = patient(conflicts=5)
    with pytest.raises(HubUnavailableError, match="others changed the repository 5 times"):
        backoff.repeat(failing(*[answer(412)] * 9), "it")


def test_conflicts_do_not_use_up_the_attempts():
    backoff, waits = patient(attempts=2)
    errors = [answer(412), answer(409), ConflictError("x"), answer(503)]
    assert backoff.repeat(failing(*errors), "it") == "done"
    assert len(waits) == 4


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusals_are_not_repeated(status):
    backoff, waits = patient()
    with pytest.raises(HubRequestError, match=f"it: .*{status}"):
        backoff.repeat(failing(answer(status)), "it")
    assert waits == []


def test_other_errors_are_left_alone():
    backoff, _ = patient()
    for error in (KeyError("x"), answer(400), HubRequestError("no")):
        with pytest.raises(type(error)):
            backoff.repeat(failing(error), "it")


def test_what_passes():
    wrapped = UploadError("x")
    wrapped.__cause__ = answer(422)
    reset = OSError("x")
    reset.__cause__ = httpx2.ReadError("reset")
    assert passes(wrapped)
    assert passes(reset)
    assert passes(httpx2.ConnectTimeout("slow"))
    assert not passes(answer(422))
    assert not passes(ValueError("x"))
    assert in_one_line(ValueError("")) == "no reason was given"
    assert in_one_line(httpx2.ReadTimeout("")) == "no answer came in time"
    assert "no such revision" in str(refused(answer(404, kind=RevisionNotFoundError), "it"))
    assert refused(answer(500), "it") is None


def test_versions():
    assert parse_version("1.2.3") == parse_version("v1.2.3") == Version(1, 2, 3)
    assert Version(1, 9, 3).next_minor() == Version(1, 10, 0) > Version(1, 9, 3)
    assert (str(Version(1, 2, 3)), Version(1, 2, 3).tag) == ("1.2.3", "v1.2.3")
    assert version_of_title("Release v1.2.3: a, b (#4)") == Version(1, 2, 3)
    for title in ("Release v1.2.3.4", "release v1.2.3", "Release 1.2.3", "Release v1.2.34x".replace("x", "5.1")):
        assert version_of_title(title) is None
    for tag in ("1.2.3", "v1.2", "v01.2.3", "v1.2.3-rc", "main"):
        assert version_of_tag(tag) is None
