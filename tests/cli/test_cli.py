"""The command line: output, JSON, exit codes, and one clear line for every wrong request."""

import json
import re
import subprocess
import sys

import pytest

from mmmi_hf import cli
from mmmi_hf.causal.quantities import reported_values
from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations, list_families
from tests.networks import tiny_flow

YAML = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model: {story: common_cause, shape: [1, 4, 4], mi: 0.5}
rows: 40
"""


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text(YAML)
    return path


def test_list(run):
    code, out, _ = run("list")
    assert code == 0
    assert all(name in out for name in list_configurations())
    code, out, _ = run("list", "--format", "json")
    entries = json.loads(out)
    assert [entry["name"] for entry in entries] == list_configurations()
    assert {entry["family"] for entry in entries} == set(list_families())


def test_info(run):
    code, out, _ = run("info", "common-cause-1.0")
    assert code == 0
    assert "I(x1;y)" in out
    assert "1.000000" in out
    code, out, _ = run("info", "common-cause-1.0", "--format", "json")
    shown = json.loads(out)
    assert shown["config"] == "common-cause-1.0"
    assert shown["version"] == "2.0.0"
    assert shown["quantities"] == reported_values(get_configuration("common-cause-1.0").model)


def test_info_answers_queries(run):
    code, out, _ = run("info", "common-cause-1.0", "--quantity", "I(x1,x2;y)", "--format", "json")
    assert code == 0
    assert list(json.loads(out)["quantities"]) == ["I(x1,x2;y)"]


def test_info_needs_no_heavy_library():
    program = (
        "import sys; from mmmi_hf import cli\n"
        "try: cli.main(['info', 'common-cause-1.0', '--format', 'json'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'accelerate', 'diffusers') if m in sys.modules], file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stderr.strip() == "[]"


def test_generate_prints_the_table_and_how_to_load(run, story, tmp_path):
    out = tmp_path / "out"
    code, shown, _ = run("generate", story, "--out", out, "--no-figures", "--quiet")
    assert code == 0
    assert "I(x1;x2)" in shown
    assert f'load_dataset("{out}", "story", split="train")' in shown
    code, shown, _ = run("generate", story, "--out", out, "--no-figures", "--quiet")
    assert code == 0
    assert "it was complete already" in shown


def test_generate_as_json(run, story, tmp_path):
    code, shown, _ = run(
        "generate",
        story,
        "--out",
        tmp_path / "out",
        "--rows",
        20,
        "--seed",
        4,
        "--no-figures",
        "--quiet",
        "--format",
        "json",
    )
    summary = json.loads(shown)
    assert code == 0
    assert summary["rows_made"] == 20
    assert summary["splits"] == {"train": 16, "validation": 2, "test": 2}
    assert summary["quantities"]["I(x1;y)"] == pytest.approx(0.5)


def write(tmp_path, text):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("rows: 40", "rows: 0"), "rows: got 0"),
        (("rows: 40", "row: 40"), "row: unknown field"),
        (("mi: 0.5", "rho_hat: .nan"), "causal_model"),
        (("mi: 0.5", "mi: -1"), "mi"),
        (("mi: 0.5", "template: {array: [0, 1]}"), "template"),
        (("mi: 0.5", "template: {array: [[[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]}"), "zero"),
        (("{pipeline: identity}]", "{pipeline: identity, class_label: 3}]"), "class_label: 'identity' has no classes"),
        (("{pipeline: identity}]", "{pipeline: fashion-mnist, class_label: 3}]"), "shape"),
        (
            (
                "{story: common_cause, shape: [1, 4, 4], mi: 0.5}",
                "{eta: [1], weights: [[1], [1]], mixing: [[1], [1]], shape: [4]}",
            ),
            "infinite",
        ),
        (
            (
                "{story: common_cause, shape: [1, 4, 4], mi: 0.5}",
                "{eta: [1], weights: [[1], [1]], mixing: [[1], [0]], shape: [4]}",
            ),
            "source",
        ),
        (
            (
                "{story: common_cause, shape: [1, 4, 4], mi: 0.5}",
                "{eta: [1], weights: [[1, 2]], mixing: [[1], [1]], shape: [4]}",
            ),
            "weights",
        ),
    ],
)
def test_a_wrong_configuration_is_one_line_and_writes_nothing(run, tmp_path, change, says):
    path = write(tmp_path, YAML.replace(*change))
    code, out, err = run("generate", path, "--out", tmp_path / "out", "--no-figures", "--quiet")
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("info", "nothing-like-it"), "unknown configuration"),
        (("info", "absent.yaml"), "there is no file"),
        (("info", "independent", "--quantity", "I(x1;x7)"), "x7"),
        (("info", "independent", "--format", "xml"), "xml"),
        (("generate", "independent"), "--out"),
        (("generate", "independent", "--out", "x", "--rows", "many"), "--rows"),
        (("generate", "independent", "--out", "x", "--rows", "0"), "rows: got 0"),
        (("generate", "independent", "--out", "x", "--pipeline", "no-such-thing"), "no-such-thing"),
        (("no-such-command",), "no-such-command"),
        (("train", "absent.yaml", "--out", "x"), "absent.yaml"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_two(run, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_model_too_loud_for_float64_is_a_wrong_request(run, tmp_path):
    path = write(tmp_path, YAML.replace("mi: 0.5", "rho_tilde: 1.0e+120"))
    for arguments in (("info", path), ("generate", path, "--out", tmp_path / "out", "--no-figures", "--quiet")):
        code, _, err = run(*arguments)
        assert code == 2
        assert "x1" in err
        assert "make the mixing larger or the weights smaller" in err
    assert not (tmp_path / "out").exists()


def test_a_class_outside_the_pipeline(run, tmp_path):
    path = write(
        tmp_path, YAML.replace("[1, 4, 4]", "[1, 32, 32]").replace("identity}]", "fashion-mnist, class_label: 10}]")
    )
    code, _, err = run("generate", path, "--out", tmp_path / "out")
    assert code == 2
    assert "modalities[1].class_label: got 10, expected 0 … 9" in err


def test_an_output_folder_that_holds_something_else(run, story, tmp_path):
    code, _, err = run("generate", story, "--out", tmp_path)
    assert code == 2
    assert "holds something else" in err


def test_a_full_disk(run, story, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = run("generate", story, "--out", tmp_path / "out", "--no-figures", "--quiet")
    assert code == 1
    assert "is full" in err
    assert len(err.splitlines()) == 1


def test_failures_are_one_line_and_exit_code_one(run, story, tmp_path, monkeypatch):
    def broken(*arguments, **keywords):
        raise RuntimeError("the\ncat")

    monkeypatch.setattr("mmmi_hf.dataset.assembly.generate", broken)
    code, _, err = run("generate", story, "--out", tmp_path / "out", "--no-figures", "--quiet")
    assert (code, err) == (1, "mmmi-hf: failed: the cat (MMMI_HF_TRACEBACK=1 shows where)\n")
    monkeypatch.setenv("MMMI_HF_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        cli.main(["generate", str(story), "--out", str(tmp_path / "out")])


def test_version_and_module_form():
    shown = subprocess.run([sys.executable, "-m", "mmmi_hf", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("mmmi-hf ")


def test_no_arguments_show_the_help(run):
    code, out, err = run()
    assert code == 0
    assert "evaluate-flow" in out
    assert err == ""


def test_released_configurations_run_on_the_identity(run, tmp_path):
    out = tmp_path / "out"
    code, _, _ = run(
        "generate", "common-cause-1.0", "--out", out, "--rows", 4, "--pipeline", "identity", "--no-figures", "--quiet"
    )
    assert code == 0


def test_an_installation_without_some_weights(run, tmp_path, monkeypatch):
    """Everything else works; what needs the weights says so, and what may stand in for them is asked for."""
    from mmmi_hf.flow import bundled

    stand_in = tiny_flow((16, 8, 8), classes=10, patch_size=4, num_inference_steps=1)
    stand_in.save_pretrained(tmp_path / "pretrained" / "fashion-mnist")
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "pretrained")
    name, out = "common-cause-1.0-cifar10", tmp_path / "out"
    assert run("info", name)[0] == 0
    code, _, err = run("generate", name, "--out", out, "--rows", 3, "--no-figures", "--quiet")
    assert code == 2
    assert "no pipeline 'cifar10' (this installation comes without its weights): give one of asinh" in err
    assert "fashion-mnist, a pipeline's folder, or its owner/name on the Hub" in err
    assert not out.exists()
    code, _, _ = run(
        "generate",
        name,
        "--out",
        out,
        "--rows",
        3,
        "--pipeline",
        "fashion-mnist",
        "--no-figures",
        "--quiet",
        "--no-certify",
    )
    assert code == 0


def test_a_folder_that_another_run_takes(run, story, tmp_path, monkeypatch):
    from mmmi_hf.common.failures import FolderInUseError
    from mmmi_hf.dataset.generation.shards import Shards

    def taken(self):
        raise FolderInUseError("another run makes other bytes of 'story'")

    monkeypatch.setattr(Shards, "check", taken)
    code, _, err = run("generate", story, "--out", tmp_path / "out", "--quiet")
    assert (code, err) == (1, "mmmi-hf: another run makes other bytes of 'story'\n")


def test_a_dry_run_says_the_cost_and_writes_nothing(run, story, tmp_path):
    code, out, err = run("generate", story, "--out", tmp_path / "out", "--dry-run", "--rows", 400)
    assert (code, err) == (0, "")
    assert "story: 400 rows, at most 0." in out
    assert "MB in 3 files" in out
    assert re.search(r"400 rows are to be made\nabout [0-9.]+ \w+ here with one process", out)
    code, out, _ = run("generate", story, "--out", tmp_path / "out", "--dry-run", "--format", "json")
    summary = json.loads(out)
    assert summary["rows_missing"] == summary["rows"]
    assert summary["seconds"] >= 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.1, "1 seconds"), (80, "80 seconds"), (600, "10 minutes"), (9000, "2.5 hours")]
)
def test_durations(seconds, said):
    from mmmi_hf.cli.application import duration

    assert duration(seconds) == said


def test_info_says_what_a_configuration_costs(run, story):
    code, out, _ = run("info", story)
    assert code == 0
    assert "MB in 3 files" in out
    code, out, _ = run("info", story, "--time")
    assert re.search(r"Its rows take about [0-9.]+ \w+ here, in one process\.", out)
    code, out, _ = run("info", story, "--time", "--format", "json")
    assert json.loads(out)["seconds"] >= 0


def test_an_interrupt_is_said(capsys):
    import typer

    from mmmi_hf.cli import run

    program = typer.Typer()

    @program.command()
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        run(program, [], "work")
    assert stopped.value.code == 130
    assert "work: interrupted; run the same command again to continue" in capsys.readouterr().err
