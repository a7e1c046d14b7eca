"""What is printed moves no cursor and tells no secret, nor does what clients log and raise."""

import io
import logging
import traceback

import pytest

from mmmi_hf.common.terminal import PrintableStream, nearest, printable, users_hidden, without_user

ADDRESS = "http://me:TOKEN@hub.example/api"


def test_control_characters_are_escaped():
    assert printable("a\x1b[1A\rb\nc\td") == "a\\x1b[1A\\rb\nc\\td"
    assert printable("\u202egnp.exe\u2028\ud800") == "\\u202egnp.exe\\u2028\\ud800"
    assert printable("λ ≥ 1, ũ1 – 日本") == "λ ≥ 1, ũ1 – 日本"


def test_users_are_taken_out_of_addresses():
    assert without_user("http://u:TOKEN@h/p?x https://t@h2 me@example.org") == "http://h/p?x https://h2 me@example.org"
    assert "TOKEN" not in printable("'http://a:TOK@TOKEN@h/x'")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Common_Cause-1.0", ["common-cause-1.0"]),
        ("comon-cause-1.0", ["common-cause-1.0"]),
        ("common-cause-1.1", ["common-cause-1.0", "common-cause-1.5"]),
        ("common-cuase-1.5", ["common-cause-1.5"]),
        ("common-cause", ["common-cause-1.0", "common-cause-1.5"]),
        ("telescope", ["two-telescopes", "two-telescopes-mass"]),
        ("2-telescopes", ["two-telescopes", "two-telescopes-mass"]),
        ("dvv", ["dv"]),
        ("vd", ["dv"]),
        ("d", ["dv"]),
        ("foo", []),
        ("", []),
        ("x" * 4000, []),
    ],
)
def test_what_a_mistyped_name_may_mean(given, meant):
    known = ["common-cause-1.0", "common-cause-1.5", "two-telescopes", "two-telescopes-mass", "dv"]
    assert nearest(given, known) == meant


def test_one_slip_in_any_letter_is_understood():
    name, others = "common-cause-classes", ["common-cause", "common-cause-rms", "independent", "regimes"]
    for at in range(len(name)):
        swapped = name[:at] + name[at : at + 2][::-1] + name[at + 2 :]
        for slip in (name[:at] + name[at + 1 :], name[:at] + "q" + name[at + 1 :], f"{name[:at]}q{name[at:]}", swapped):
            assert nearest(slip, [*others, name]) == [name], slip


def test_a_stream_writes_what_its_encoding_has():
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    wrapped = PrintableStream(stream)
    assert wrapped.write("≥\x1b") == 2
    wrapped.flush()
    assert written.getvalue() == b"\\u2265\\x1b"
    assert wrapped.encoding == "ascii"


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
