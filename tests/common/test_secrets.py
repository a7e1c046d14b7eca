"""What clients log and raise holds no user of an address."""

import logging
import traceback

import pytest

from mmmi_hf.common.secrets import users_hidden

ADDRESS = "http://me:TOKEN@hub.example/api"


class ToldError(OSError):
    def __init__(self, message):
        super().__init__(message)
        self.told = message


def test_exceptions_and_what_they_came_from():
    def fails():
        try:
            try:
                raise ToldError(ADDRESS)
            except ToldError as error:
                raise ExceptionGroup("several", [ValueError(f"at {ADDRESS}"), KeyError(7)]) from error
        except ExceptionGroup:
            raise RuntimeError("failed", ADDRESS)  # noqa: B904 – of its context

    with pytest.raises(RuntimeError) as found, users_hidden():
        fails()
    shown = "".join(traceback.format_exception(found.value))
    assert "TOKEN" not in shown.replace("ADDRESS", "")
    assert "http://hub.example/api" in shown
    group = found.value.__context__
    assert group.__cause__.told == "http://hub.example/api"


def test_an_exception_that_is_its_own_context_is_looked_at_once():
    error = ValueError(ADDRESS)
    error.__cause__ = error
    with pytest.raises(ValueError, match=r"^http://hub.example/api$"), users_hidden():
        raise error


@pytest.mark.parametrize("name", ["huggingface_hub.file_download", "httpx2", "huggingface_hub"])
def test_logs_of_clients(name, caplog):
    logger = logging.getLogger(name)
    with users_hidden(), caplog.at_level(logging.DEBUG, name):
        logger.warning("retrying %s", ADDRESS)
        try:
            raise ToldError(ADDRESS)
        except ToldError:
            logger.exception("failed")
        logger.info("nothing of %d", 7)
    assert "TOKEN" not in caplog.text.replace("ADDRESS", "")
    assert "retrying http://hub.example/api" in caplog.text
    assert "nothing of 7" in caplog.text
