"""Trying again: which errors pass by themselves, and how long to wait.

Owns bounded back-off with jitter. The clients' own retries cover single requests of an upload; these cover whole steps,
which are safe to repeat because each begins by reading where the repository stands.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mmmi_hf.hub.client.errors import (
    HubRequestError,
    HubUnavailableError,
    header_of,
    in_one_line,
    is_network_error,
    refused,
    status_of,
)

logger = logging.getLogger(__name__)

CONFLICTS = (409, 412)
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
DAMAGED_UPLOAD = (400, 422)

Result = TypeVar("Result")


class ConflictError(Exception):
    """Another publisher was faster; the step must be repeated from the repository's present state."""


class UploadError(Exception):
    """A large file did not arrive whole."""


@dataclass(frozen=True)
class Backoff:
    """How often and how patiently a step is repeated.

    Attributes:
        attempts: failures in all, after which the last one is reported.
        conflicts: times that another publisher may be faster; each is progress of theirs, so there may be many.
        base, limit: seconds; the n-th wait is uniform in (0.5, 1) × min(limit, base 2ⁿ), or what Retry-After asks for.
        longest_retry_after: seconds; a Hub that asks for more is reported instead of waited for.
        sleep: how to wait.
    """

    attempts: int = 8
    conflicts: int = 100
    base: float = 0.5
    limit: float = 30.0
    longest_retry_after: float = 600.0
    sleep: Callable[[float], object] = time.sleep
    jitter: random.Random = field(default_factory=random.Random)

    def repeat(self, step: Callable[[], Result], what: str) -> Result:
        """The result of `step`, repeated while it fails in ways that pass.

        Args:
            step: safe to repeat as a whole.
            what: for messages, e.g. "publish to org/data".

        Raises:
            HubRequestError: the Hub refused (401, 403) or does not know (404) what was asked for; not repeated.
            HubUnavailableError: the last failure, after the attempts are used up.
        """
        failures = conflicts = 0
        while True:
            try:
                return step()
            except Exception as error:
                if isinstance(error, HubRequestError):
                    raise
                if isinstance(error, ConflictError) or status_of(error) in CONFLICTS:
                    conflicts += 1
                    if conflicts >= self.conflicts:
                        raise HubUnavailableError(
                            f"{what}: others changed the repository {conflicts} times in between; run the same again"
                        ) from error
                    wait = self._wait(min(conflicts, 3), None)
                else:
                    if not passes(error):
                        told = refused(error, what)
                        if told is None:
                            raise
                        raise told from error
                    failures += 1
                    wait = self._wait(failures, retry_after(error))
                    if failures >= self.attempts or wait > self.longest_retry_after:
                        raise HubUnavailableError(
                            f"{what}: given up after {failures} attempts ({in_one_line(error)}); what was uploaded is "
                            "kept: run the same again later"
                        ) from error
                logger.info("%s: %s; trying again in %.1f s", what, in_one_line(error), wait)
                self.sleep(wait)

    def _wait(self, count: int, asked: float | None) -> float:
        spread = 0.5 + 0.5 * self.jitter.random()
        if asked is not None:
            return asked + spread * self.base
        return spread * min(self.limit, self.base * 2.0**count)


def passes(error: BaseException) -> bool:
    """Whether an error may pass by itself: a dropped connection, 429, 5xx, or an upload that did not arrive whole."""
    status = status_of(error)
    if isinstance(error, UploadError) and status in DAMAGED_UPLOAD:
        return True
    return status in TRANSIENT or (status is None and is_network_error(error))


def retry_after(error: BaseException) -> float | None:
    """The seconds that a Retry-After header asks for."""
    value = header_of(error, "Retry-After")
    return float(value) if value is not None and value.strip().isdigit() else None
