"""YAML that others wrote: bounds, lines, one line for each refusal; and what we write is the same for every reader."""

import dataclasses
import os
import time
from pathlib import Path

import datasets
import pytest
import yaml

from mmmi_hf.common import yaml_files
from mmmi_hf.common.yaml_files import YamlError, dump, front_matter, parse, parse_file
from tests.dataset.certificate.forgeries import SMALL
from tests.support import generate

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
TEXTS = ["1e3", "1E-3", "0o7", "0x1F", ".5", "1.", "+12", "-.inf", ".NaN", "~", "Null", "TRUE", "yes", "off", "1.0.0"]


def test_data_and_lines():
    found = parse("a: &x 1\nb:\n- c: 2\n- *x\n")
    assert found.data == {"a": 1, "b": [{"c": 2}, 1]}
    assert found.lines[("b", 0, "c")] == 3
    assert parse("").data is None


def test_what_is_repeated_counts_each_time():
    """The Hub's own tools write aliases of lists that stand in a card twice."""
    found = parse("a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]")
    assert found.data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": [[1, {"b": 2}]] * 2}
    half = "a: &x [" + "1," * (yaml_files.MOST_VALUES // 2) + "1]\n"
    assert len(parse(half).data["a"]) == yaml_files.MOST_VALUES // 2 + 1
    with pytest.raises(YamlError, match="more than 200,000 values"):
        parse(half + "b: *x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "more than 200,000 values"),
        ("a: &a [*a]", "the alias *a stands in what it repeats"),
        ("a: &a {b: [*a]}", "the alias *a stands in what it repeats"),
        ("a: *nothing", "not valid YAML"),
        ("a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 80)), "nests deeper than 64"),
        ("[" * 200_000, "nests deeper than 64"),
        ("{a: " * 100, "nests deeper than 64"),
        ("[" + "1," * 500_000 + "1]", "more than 200,000 values"),
        ("a: 1\nb: 2\na: 3", "a is given twice (first on line 1)"),
        ("- {x: 1, x: 2}", "[0].x is given twice"),
        ("? [1]\n: 2", "the name of a field is a list or mapping"),
        ('a: "\\ud800"', "not valid YAML"),
        ("a: !!bool abc", "not valid YAML: a value is not what its tag or its form says ('abc')"),
        ("a: !!timestamp x", "not valid YAML"),
        ("a: !!int x", "not valid YAML"),
        ("a: " + "1" * 5000, "not valid YAML"),
        ("a: 2026-13-45", "not valid YAML"),
        ("a: !!python/object:os.x 1", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("a\n---\nb", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("x" * (yaml_files.MOST_BYTES + 1), "characters, at most"),
    ],
)
def test_what_is_refused(text, says):
    started = time.monotonic()
    with pytest.raises(YamlError) as refused:
        parse(text)
    assert says in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert time.monotonic() - started < 15


def test_without_the_c_library_the_same_is_refused(monkeypatch):
    monkeypatch.setattr(yaml_files, "_Loader", yaml.SafeLoader)
    for text in (BOMB, "[" * 5000, "a: 1\na: 2", "a: !!bool abc"):
        with pytest.raises(YamlError):
            parse(text)


def test_files(tmp_path):
    path = tmp_path / "a.yaml"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        parse_file(path)
    path.write_text("b: 1\na: [")
    with pytest.raises(YamlError, match=r"a.yaml, line \d: not valid YAML"):
        parse_file(path)
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert parse_file(path).data == {"a": 1}
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(YamlError, match="no UTF-8 text"):
        parse_file(path)
    with pytest.raises(YamlError, match="is a folder, expected a regular file"):
        parse_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(YamlError, match="is a pipe"):
        parse_file(tmp_path / "pipe")
    with pytest.raises(YamlError, match="is a device"):
        parse_file(Path("/dev/zero"))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(yaml_files.MOST_BYTES + 1)
    with pytest.raises(YamlError, match="expected at most"):
        parse_file(tmp_path / "large")


@pytest.mark.parametrize("text", TEXTS)
def test_texts_that_look_like_something_else(text):
    written = dump({"config_name": text, text: [text]})
    assert yaml.safe_load(written) == {"config_name": text, text: [text]}
    if text != "1.0.0":
        assert written == f"config_name: '{text}'\n'{text}':\n- '{text}'\n"


def test_other_texts_and_numbers_stay_bare():
    fields = {"name": "common-cause-1.0", "rows": 3, "share": 0.5, "default": True, "nothing": None}
    assert dump(fields) == (written := "name: common-cause-1.0\nrows: 3\nshare: 0.5\ndefault: true\nnothing: null\n")
    assert front_matter(fields) == f"---\n{written}---\n\n"


def test_lists_are_short_where_that_is_asked_for():
    fields = {"mixing": [[1.0, 0.0], [0.0, 1.0]], "modalities": [{"pipeline": "1e3"}]}
    written = "mixing: [[1.0, 0.0], [0.0, 1.0]]\nmodalities:\n- pipeline: '1e3'\n"
    assert dump(fields, short_lists=True) == written


def test_a_configuration_whose_name_is_a_number(tmp_path):
    folder = generate(dataclasses.replace(SMALL, name="1e3"), tmp_path / "out", certify=False).folder
    card = (folder / "README.md").read_text()
    assert "config_name: '1e3'" in card
    assert "config_name: 1e3" not in card
    assert datasets.get_dataset_config_names(str(folder)) == ["1e3", "ground_truth"]
