"""Estimators of others: how they are loaded, told apart, and known by their files."""

import sys

import pytest

from mmmi_hf.benchmark import Estimator, Measured, list_estimators, make_estimator, register_estimator, registry
from mmmi_hf.benchmark.protocol.cells import load_plugins, run_cell, run_plan
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Plan
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.cli import main

PLUGIN = """\
from mmmi_hf.benchmark import Estimator, Measured, register_estimator


@register_estimator("{name}")
class Constant(Estimator):
    def learn(self, train, validation, seed):
        return []

    def measure(self, test):
        return Measured({value})
"""


pytestmark = pytest.mark.usefixtures("forgotten")


def written(path, name, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLUGIN.format(name=name, value=value))
    return str(path)


def planned(folder, name):
    settings = {name: make_estimator(name).settings}
    return Plan(Source.open(str(folder)), ["level-1.2"], [("x1", "y")], settings, seeds=1, null=False)


def values(folder, out, name):
    records = run_plan(planned(folder, name), out, workers=1, progress=False)
    return [record["result"]["value"] for record in records]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package whose entry points are given, as pip would, and looks for it."""
    registry.broken_plugins.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)

    def install(**entries):
        about = tmp_path / "mmmi_hf_plugin_package-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mmmi-hf-plugin-package\nVersion: 1.0\n")
        lines = [f"{name.replace('_', '-')} = {place}" for name, place in entries.items()]
        (about / "entry_points.txt").write_text("\n".join(["[mmmi_hf.estimators]", *lines]))

    yield install
    registry.broken_plugins.cache_clear()


def test_an_installed_package_brings_estimators(installed, tmp_path, folder):
    (tmp_path / "mmmi_hf_plugin_a.py").write_text(PLUGIN.format(name="constant", value=0.5))
    (tmp_path / "mmmi_hf_plugin_b.py").write_text(
        PLUGIN.format(name="unused", value=0.25).replace('@register_estimator("unused")\n', "")
    )
    installed(a="mmmi_hf_plugin_a", half="mmmi_hf_plugin_b:Constant")
    assert registry.broken_plugins() == ()
    assert list_estimators()[-2:] == ["constant", "half"]
    assert values(folder, tmp_path / "out", "half") == [0.25]
    assert "source_sha256" in make_estimator("half").settings


def test_a_broken_package_is_named_and_breaks_nothing_else(installed, tmp_path, capsys):
    (tmp_path / "mmmi_hf_plugin_a.py").write_text("import no_such_module_of_ours\n")
    (tmp_path / "mmmi_hf_plugin_b.py").write_text(PLUGIN.format(name="dv", value=0.5))
    (tmp_path / "mmmi_hf_plugin_c.py").write_text(PLUGIN.format(name="constant", value=0.5))
    installed(a="mmmi_hf_plugin_a", b="mmmi_hf_plugin_b", c="mmmi_hf_plugin_c", d="mmmi_hf_plugin_c:Nothing")
    first, second, third = registry.broken_plugins()
    assert first == (
        "plug-in 'a' of mmmi-hf-plugin-package (mmmi_hf_plugin_a) cannot be loaded: "
        "ModuleNotFoundError: No module named 'no_such_module_of_ours'"
    )
    assert "an estimator named 'dv' is registered already" in second
    assert "plug-in 'd'" in third
    assert {"dv", "constant"} <= set(list_estimators())
    assert estimator_class("dv").__module__.startswith("mmmi_hf.")
    with pytest.raises(ValueError, match=r"unknown estimator 'own': .*; plug-in 'a' of mmmi-hf-plugin-package"):
        make_estimator("own")
    with pytest.raises(SystemExit, match="0"):
        main(["benchmark", "--list"])
    printed = capsys.readouterr()
    assert "constant" in printed.out
    assert [line.split(" (")[0] for line in printed.err.splitlines()] == [
        f"mmmi-hf: note: plug-in '{name}' of mmmi-hf-plugin-package" for name in "abd"
    ]


def test_finished_cells_depend_on_the_file_of_the_estimator(folder, tmp_path, forgotten):
    path = tmp_path / "mine" / "constant.py"
    load_plugins([written(path, "constant", 0.5)])
    assert values(folder, tmp_path, "constant") == [0.5]
    (kept,) = (tmp_path / "cells").glob("*.json")
    forgotten()
    load_plugins([written(path, "constant", 0.75)])
    assert values(folder, tmp_path, "constant") == [0.75], "what the old file estimated is not shown as the new one's"
    time = kept.stat().st_mtime_ns
    forgotten()
    load_plugins([written(tmp_path / "elsewhere" / "other.py", "constant", 0.5)])
    assert values(folder, tmp_path, "constant") == [0.5]
    assert kept.stat().st_mtime_ns == time, "the same code elsewhere is the same estimator"


def test_a_file_that_changed_during_the_run_is_refused(folder, tmp_path, forgotten):
    path = tmp_path / "constant.py"
    load_plugins([written(path, "constant", 0.5)])
    plan = planned(folder, "constant")
    (cell,) = plan.cells()
    forgotten()
    load_plugins([written(path, "constant", 0.75)])  # as a worker that begins later would
    with pytest.raises(ValueError, match="file of the estimator 'constant' was changed during the run; give the same"):
        run_cell(plan.source, cell)


def test_our_own_estimators_are_known_by_their_settings_alone():
    for name in list_estimators():
        if estimator_class(name).__module__.startswith("mmmi_hf."):
            assert set(make_estimator(name).settings) <= {
                "estimator", "training", "neighbours", "components", "rounds", "dimensions", "epochs", "directions",
                "divergence", "kernels", "levels", "most", "method", "steps", "timeout", "weights", "code_revision",
            }  # fmt: skip


@pytest.mark.parametrize("module", ["no_module_of_that_name", "math", "gone"])
def test_without_a_file_nothing_is_said_of_it(tmp_path, monkeypatch, module):
    """A prompt, a module that is compiled, a file that was taken away."""
    if module == "gone":
        gone = type(sys)("gone")
        gone.__file__ = str(tmp_path / "gone.py")
        monkeypatch.setitem(sys.modules, "gone", gone)

    class Constant(Estimator):
        __module__ = module

        def learn(self, train, validation, seed):
            return []

        def measure(self, test):
            return Measured(0.5)

    register_estimator("constant")(Constant)
    assert make_estimator("constant").settings == {"estimator": "constant"}


def test_files_of_one_name_are_told_apart_by_where_they_lie(tmp_path, monkeypatch):
    first = written(tmp_path / "a" / "mine.py", "first", 0.5)
    second = written(tmp_path / "b" / "mine.py", "second", 0.75)
    load_plugins([first, second])
    assert {"first", "second"} <= set(list_estimators())
    monkeypatch.chdir(tmp_path)
    kind = estimator_class("first")
    load_plugins(["a/mine.py", "b/../a/mine.py"])
    assert estimator_class("first") is kind, "the same file is loaded once"


@pytest.mark.parametrize("form", ["module", "file"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module_of_ours\n", "ModuleNotFoundError: No module named 'no_such_module_of_ours'"),
        ("unknown\n", "NameError: name 'unknown' is not defined"),
        ("def\n", "SyntaxError: "),
        (PLUGIN.format(name="dv", value=0.5), "ValueError: an estimator named 'dv' is registered already"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_refused(tmp_path, monkeypatch, form, text, reason):
    path = tmp_path / "plugin_that_fails.py"
    path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    given = str(path) if form == "file" else path.stem
    for _ in range(2):  # the second time it is not thought to be there
        with pytest.raises(ValueError, match="cannot be imported") as caught:
            load_plugins([given])
        assert repr(given) in str(caught.value)
        assert reason in str(caught.value)
        assert "give a module or a .py file that Python imports without an error" in str(caught.value)
