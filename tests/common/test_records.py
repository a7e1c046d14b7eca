"""Typed records: what is refused, and that errors name file, line and field in one line."""

import pytest
from pydantic import Field

from mmmi_hf.common.records import Record, RecordError, dotted, line_of, lines_of


class Part(Record):
    count: int = Field(ge=0)
    note: str | None = None


class Whole(Record):
    name: str
    parts: tuple[Part, ...]
    sizes: dict[str, float]


TEXT = """{
  "name": "a",
  "parts": [
    {"count": 1},
    {"count": 2}
  ],
  "sizes": {"x": 1.5}
}
"""


def test_what_is_written_is_read():
    whole = Whole.from_json(TEXT, "a.json")
    assert whole == Whole(name="a", parts=(Part(count=1), Part(count=2)), sizes={"x": 1.5})
    assert Whole.from_json(whole.to_json(), "again") == whole
    assert "note" not in whole.to_json()
    with pytest.raises(ValueError, match="frozen"):
        whole.name = "b"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"count": 2',
            '"count": -2',
            "a.json, line 5: parts[1].count: input should be greater than or equal to 0",
        ),
        ('"count": 2', '"count": "2"', "a.json, line 5: parts[1].count: input should be a valid integer, got '2'"),
        ('"count": 2', '"count": true', "a.json, line 5: parts[1].count: input should be a valid integer, got True"),
        ('{"count": 2}', "{}", "a.json, line 5: parts[1].count: is missing"),
        ('"count": 2', '"count": 2, "more": 1', "a.json, line 5: parts[1].more: unknown field"),
        ('"x": 1.5', '"x": Infinity', "a.json, line 7: sizes.x: input should be a finite number, got inf"),
        ('"a"', f"{['x' * 99]}".replace("'", '"'), "a.json, line 2: name: input should be a valid string, got ['xxx"),
        ('"name": "a",', "", "a.json, line 1: name: is missing"),
        (TEXT, "[]", "a.json: input should be an object, got []"),
        (TEXT, "{", "a.json: invalid JSON: EOF while parsing"),
        (TEXT, "[" * 100_000, "a.json: invalid JSON: recursion limit"),
    ],
)
def test_errors_name_file_line_and_field(old, new, says):
    assert old in TEXT
    with pytest.raises(RecordError) as error:
        Whole.from_json(TEXT.replace(old, new), "a.json")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_an_older_form_is_translated_first():
    older = lambda fields: fields | {"sizes": {name: fields[name] for name in ("x",)}}  # noqa: E731
    assert older({"x": 1.0})["sizes"] == {"x": 1.0}
    with pytest.raises(RecordError, match=r"^a\.json: there is no 'x'$"):
        Whole.from_json(TEXT, "a.json", translated=older)
    assert Whole.from_json(TEXT, "a.json", translated=lambda fields: fields | {"name": "b"}).name == "b"
    with pytest.raises(RecordError, match=r"^a\.json: name: input should be a valid string, got 3$"):
        Whole.from_json(TEXT, "a.json", translated=lambda fields: fields | {"name": 3})


def test_lines_of_fields_that_are_not_there():
    assert line_of(lines_of(TEXT), ("parts", 7, "count")) == 3
    assert line_of(lines_of(TEXT), ("name", "deeper")) == 2
    assert line_of(lines_of(""), ("name",)) is None
    assert lines_of("[" * 100_000) == {}
    assert dotted(("a", 0, "b")) == "a[0].b"
