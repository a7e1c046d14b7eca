"""Requests that were answered wrongly once: one line, the right exit code, and nothing written."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from mmmi_hf.cli import app
from mmmi_hf.cli.extension import NAME
from tests.support import generate

STORY = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model: {story: common_cause, shape: [1, 4, 4], mi: 0.5}
rows: 20
"""


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text(STORY)
    return path


@pytest.fixture
def refuses(run, tmp_path):
    """Run a command that must be refused; its line."""

    def call(*arguments):
        before = sorted(tmp_path.rglob("*"))
        code, out, err = run(*arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1), (code, out, err)
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return call


@pytest.mark.parametrize("out", ["hf://datasets/me/x", "ftp://b/x", "q::r", "", "$HOME/d", "/dev/null", "a" * 300])
@pytest.mark.parametrize("command", ["generate", "figures"])
def test_places_that_are_none(refuses, story, command, out, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refuses(command, story, "--out", out, "-q")


def test_a_home_folder_is_expanded_once(run, story, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run("generate", story, "--out", "~/d", "--no-figures", "-q")[0] == 0
    assert (tmp_path / "d" / "manifests" / "story.json").is_file()
    assert not (tmp_path / "~").exists()
    (tmp_path / "d").rename(tmp_path / "d[1]")
    (tmp_path / "d[1]").chmod(0o500)
    assert run("figures", "~/d[1]", "--out", "~/f", "-q")[0] == 0
    assert run("verify", "~/d[1]", "--no-write", "-q")[0] == 0


@pytest.mark.parametrize("rows", ["1_0", "١٢", "1e3", "0x10", "9" * 4000, ""])
def test_whole_numbers(refuses, story, tmp_path, rows):
    assert "whole number" in refuses("generate", story, "--out", tmp_path / "d", "--rows", rows)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rows: 20", "rows: 1000000000000000000000000000000", "rows: got"),
        ("{pipeline: identity}]", '{pipeline: ""}]', "modalities[1].pipeline: pipeline is empty"),
        ("{pipeline: identity}]", "{pipeline: ../../etc/passwd}]", "modalities[1].pipeline: no pipeline"),
        ("{pipeline: identity}]", "{pipeline: fashion-mnist, class_label: 3}]", "makes the shape (1, 32, 32)"),
        ("{pipeline: identity}]", "{pipeline: identity, class_label: 3}]", "class_label"),
        ("rows: 20", "version: ١.٢.٣", "version: got"),
        ("rows: 20", f"version: 1.1.{'9' * 4000}", "version: got"),
        ("rows: 20", 'description: "a\\e[2Jb"', "description: expected text without control characters"),
        ("rows: 20", 'description: "\\ud800"', "not valid YAML"),
        ("rows: 20", "seed: true", "seed: got True"),
    ],
)
def test_stories_that_info_refuses_too(refuses, story, tmp_path, old, new, says):
    story.write_text(STORY.replace(old, new))
    assert says in refuses("info", story)
    assert says in refuses("generate", story, "--out", tmp_path / "d")


def test_a_class_that_the_pipeline_lacks(refuses, story):
    story.write_text(
        STORY.replace("[1, 4, 4]", "[1, 32, 32]").replace("identity}]", "fashion-mnist, class_label: 99}]")
    )
    assert "modalities[1].class_label: got 99, expected 0 … 9" in refuses("info", story)


def test_a_file_whose_name_is_no_configuration(refuses, tmp_path):
    path = tmp_path / "sto ry.yaml"
    path.write_text(STORY)
    assert "the file's name would be the configuration's" in refuses("info", path)


@pytest.mark.parametrize("value", ["1_0", "١", "0x1", "1,0", "", "one", "--1"])
def test_numbers(refuses, value):
    for words in (
        ["--want", f"I(x1;y)={value}"],
        ["--want", "I(x1;y)=1", "--shape", f"1,{value}"],
        ["--want", "I(x1;y)=1", "--story", "common_cause", "--solve-for", "rho_hat", "--within", f"0.5,{value}"],
        ["--want", "I(x1;y)=1", "--story", "common_cause", "--solve-for", "rho_hat", "--set", f"eta={value}"],
    ):
        said = refuses("design", *words)
        assert words[-2].removeprefix("--") in said or "eta" in said
    assert "is not a number" in refuses("benchmark", "d", "--out", "b", "--learning-rate", value)


@pytest.mark.parametrize("name", ["shape", "story", "wanted", "parameter", "within", "root"])
def test_what_has_an_option_of_its_own(refuses, name):
    words = ["--want", "I(x1;y)=1", "--story", "common_cause", "--solve-for", "rho_hat", "--set", f"{name}=1"]
    assert f"'{name}' is given by --" in refuses("design", *words)


@pytest.mark.parametrize("quantity", ["I(" * 500, "x" * 5000, "I(x1;y|" + "x" * 5000])
def test_what_is_wrong_is_repeated_in_part(refuses, quantity):
    assert len(refuses("info", "common-cause-1.0", "--quantity", quantity)) < 600


def test_flags_that_contradict_each_other(refuses, tmp_path):
    assert "--write and --no-write contradict each other" in refuses("verify", tmp_path, "--write", "--no-write")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("genrate", "x"), "no command 'genrate': did you mean generate?"),
        (("INFO", "x"), "no command 'INFO': did you mean info?"),
        (("xyz",), "no command 'xyz': see `mmmi-hf --help`"),
        (("info", "comon-cause-1.0"), "did you mean common-cause-1.0? ("),
        (("info", "two-telescope"), "did you mean two-telescopes? ("),
        (
            ("info", "two-telescopes-mas"),
            "did you mean two-telescopes-mass-diffuse, two-telescopes-mass-concentrated, ",
        ),
        (("info", "foo"), "see `mmmi-hf list` ("),
        (("generate-family", "interaction", "--out", "d"), "did you mean interactions?"),
        (("list", "--formt", "json"), "no option '--formt': did you mean --format?"),
        (("verify", "d", "--no-wrte"), "did you mean --no-write?"),
        (("verify", "d", "--foo"), "no option '--foo': see --help"),
        (("info", "common-cause-1.0", "--quantity", "redundent(x1,x2;y)"), "write e.g. redundant(x1,x2;y)\n"),
        (("info", "common-cause-1.0", "--quantity", "TCC(x1,x2,y)"), "write e.g. TC(x1,x2,y)\n"),
        (
            ("generate", "common-cause-1.0", "--out", "d", "--pipeline", "fashion-minst"),
            "give one of cifar10, fashion-mnist, ",
        ),
        (("design", "--want", "I(x1;y)=1", "--story", "comon_cause", "--solve-for", "mi"), "one of categorical_cause"),
    ],
)
def test_slips_are_understood_and_nonsense_is_not(refuses, words, says):
    assert says in refuses(*words)


def test_lists_without_names(refuses, tmp_path):
    for option in ("--configs", "--train-rows"):
        assert "none were named" in refuses("benchmark", tmp_path, "--out", tmp_path / "b", option, "") or option


def test_a_family_is_said_to_be_one_and_can_be_made(run, refuses, tmp_path):
    said = refuses("generate", "two-telescopes", "--out", tmp_path / "d")
    assert "is a family of 4 configurations" in said
    assert "generate-family two-telescopes" in said
    assert "is a family" in refuses("info", "two-telescopes")
    assert "unknown family" in refuses("generate-family", "two-telescope", "--out", tmp_path / "d")
    code, out, _ = run(
        "generate-family", "independent", "--out", tmp_path / "d", "--rows", 3, "--pipeline", "identity", "-q"
    )
    assert (code, "[1/1] independent" in out) == (0, True)


def test_names_of_files_rewrite_no_screen(run, story, tmp_path):
    assert run("generate", story, "--out", tmp_path / "d", "--no-figures", "-q")[0] == 0
    (tmp_path / "d" / "data" / "\x1b[1A\x1b[2Kvalid.parquet").touch()
    code, out, err = run("verify", tmp_path / "d", "--no-write", "-q")
    assert code == 1
    assert "\x1b" not in out + err
    assert "\\x1b[1A" in out + err


TEN = ("--story", "decaying_modalities", "--solve-for", "beta", "--set", "alpha=1.4", "--shape", "1,4,4")


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("info", "decaying-modalities-alpha1.4-beta1.4"),
        ("design", "--want", "I(x5;y)=0.5", *TEN),
        ("design", "--want", "I(x1;y)=1", "--want", "I(x1;x2)=0.1", "--shape", "1,4,4", "--modalities", "9"),
        ("info", "sometimes-missing-classes-0.3"),
        ("figures", "common-cause-1.0", "--out", "a-folder-with-a-long-name/and-another-one", "-q"),
    ],
)
def test_what_is_printed_fits_the_terminal(run, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(*words)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", sorted(each.name for each in get_command(app).commands.values()))
def test_help_is_for_people(run, command, monkeypatch):
    """It fits a terminal, its arguments are words of its text, and no type is one of Python's."""
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(command, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"<(str|int|float|bool|Path|list)\b|\{[a-z]+\}", out)


def test_what_generate_and_verify_print_fits_the_terminal(run, story, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    story.write_text(
        STORY.replace("[1, 4, 4]", "[1, 4, 4], modalities: 3")
        .replace("rows: 20", "rows: 70")
        .replace("[{pipeline: identity}, ", "[{pipeline: asinh}, {pipeline: identity}, ")
    )
    for words in (("generate", "story.yaml", "--out", "d", "--no-figures", "-q"), ("verify", "d", "--no-write", "-q")):
        code, out, err = run(*words)
        assert code == 0, err
        assert "8 bits" in out
        assert max(map(len, out.splitlines())) <= 80


def test_a_full_disk_is_a_failure(run, tmp_path, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mmmi_hf.dataset.releases.configuration.MMMIConfig.to_yaml", full)
    words = ("design", "--want", "I(x1;y)=1", "--shape", "1,4,4", "--out", tmp_path / "a.yaml")
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert "is full; free some space" in err
    assert not (tmp_path / "a.yaml").exists()


def test_the_hubs_own_program_finds_ours(tmp_path):
    hf = Path(sys.executable).with_name("hf")
    if not hf.exists() or not Path(sys.executable).with_name(NAME).exists():
        pytest.skip("the programs are not installed")
    env = {**os.environ, "HOME": str(tmp_path), "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_OFFLINE": "1"}
    made = subprocess.run(
        [sys.executable, "-m", "mmmi_hf", "install-extension"], env=env, capture_output=True, text=True, check=True
    )
    assert "`hf mmmi` now runs" in made.stdout
    listed = subprocess.run([hf, "mmmi", "list"], env=env, capture_output=True, text=True, check=True)
    assert "common-cause-1.0" in listed.stdout


def test_reading_needs_nothing_of_linux(story, tmp_path):
    folder = generate(story, tmp_path / "d", certify=False).folder
    program = f"""
import sys
for name in ("fcntl", "grp", "resource"):
    sys.modules[name] = None
from mmmi_hf import cli, load
found = load({str(folder)!r}, cache_dir={str(tmp_path / "cache")!r}, progress=False)
assert len(next(found.numpy_batches(split="train"))["y"])
for arguments in (
    ["list"],
    ["info", {str(story)!r}],
    ["design", "--want", "I(x1;y)=1", "--shape", "1,4,4", "--pipeline", "identity"],
    ["figures", {str(story)!r}, "--out", {str(tmp_path / "f")!r}, "-q"],
):
    try:
        cli.main(arguments)
    except SystemExit as ended:
        assert not ended.code, arguments
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
