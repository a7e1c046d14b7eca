"""Errors of publishing and loading, and how an error of the Hub is told in one line.

Owns the exception types and the wording. May import huggingface_hub and its HTTP client.
"""

from __future__ import annotations

import httpx2
from huggingface_hub import errors

from mmmi_hf.common.failures import Failure
from mmmi_hf.common.terminal import without_user


class HubRequestError(ValueError):
    """The request is wrong: says what was asked, what was found and what would be right, and no user of an address."""

    def __init__(self, message: str) -> None:
        super().__init__(without_user(message))


class VersionExistsError(HubRequestError):
    """The version was published before; a published version never changes."""


class ReleaseChangedError(HubRequestError):
    """A configuration of this version was published with other bytes."""


class DamagedFilesError(HubRequestError, Failure):
    """Files are missing, or are not what the records beside them state: a failure, whatever was asked."""


class HubUnavailableError(OSError):
    """The Hub did not answer as it should, and trying again did not help; the same call continues later."""

    def __init__(self, message: str) -> None:
        super().__init__(without_user(message))


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, found along its causes; None for anything else."""
    found = _in_chain(error)
    return found.response.status_code if isinstance(found, errors.HfHubHTTPError) else None


def header_of(error: BaseException, name: str) -> str | None:
    """A header of the response behind an error."""
    found = _in_chain(error)
    return found.response.headers.get(name) if isinstance(found, errors.HfHubHTTPError) else None


def is_network_error(error: BaseException) -> bool:
    """Whether the connection failed before there was an answer."""
    found = _in_chain(error)
    return found is not None and not isinstance(found, errors.HfHubHTTPError)


def _in_chain(error: BaseException | None) -> httpx2.HTTPError | None:
    while error is not None and not isinstance(error, httpx2.HTTPError):
        error = error.__cause__ or error.__context__
    return error


def in_one_line(error: BaseException) -> str:
    """What the Hub said, without request ids and addresses of the second order."""
    found = _in_chain(error) or error
    lines = [line.strip() for line in str(found).splitlines() if line.strip()]
    return without_user(" ".join(line for line in lines if "Request ID" not in line))[:300] or type(found).__name__


def refused(error: BaseException, what: str) -> HubRequestError | None:
    """The error to raise where trying again is useless: not allowed, or not there. None for other errors."""
    status = status_of(error)
    if isinstance(_in_chain(error), errors.RevisionNotFoundError):
        return HubRequestError(f"{what}: there is no such revision; see the tags of the repository")
    if status in (401, 403):
        return HubRequestError(
            f"{what}: the Hub refused it ({status}); log in with `hf auth login`, or give a token that may write there"
        )
    if status == 404:
        return HubRequestError(f"{what}: not found on the Hub (404); check owner/name, and the token if it is private")
    return None
