"""What is printed moves no cursor and tells no secret."""

import io

from mmmi_hf.common.terminal import PrintableStream, printable, without_user


def test_control_characters_are_escaped():
    assert printable("a\x1b[1A\rb\nc\td") == "a\\x1b[1A\\rb\nc\\td"
    assert printable("\u202egnp.exe\u2028\ud800") == "\\u202egnp.exe\\u2028\\ud800"
    assert printable("λ ≥ 1, ũ1 – 日本") == "λ ≥ 1, ũ1 – 日本"


def test_users_are_taken_out_of_addresses():
    assert without_user("http://u:TOKEN@h/p?x https://t@h2 me@example.org") == "http://h/p?x https://h2 me@example.org"
    assert "TOKEN" not in printable("'http://a:TOK@TOKEN@h/x'")


def test_a_stream_writes_what_its_encoding_has():
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    wrapped = PrintableStream(stream)
    assert wrapped.write("≥\x1b") == 2
    wrapped.flush()
    assert written.getvalue() == b"\\u2265\\x1b"
    assert wrapped.encoding == "ascii"
