"""Isolated packages: one adapter, tried with a tiny package in an environment of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mmmi_hf.benchmark import Pairs, make_estimator
from mmmi_hf.benchmark.estimator import CannotSayError, MissingPackageError
from mmmi_hf.benchmark.estimators.isolated import Isolated
from mmmi_hf.benchmark.isolated import environment
from mmmi_hf.benchmark.isolated.environment import Environment

NAMES = ["latentmi", "mist", "torch-mist", "diffusion-mi"]
BRIDGE = """
import tinymi


def estimate(parts, request):
    return tinymi.answer(parts, request)
"""
PACKAGE = """
import os, sys, time
import numpy as np


def answer(parts, request):
    what = request["settings"]["what"]
    if what == "fail":
        raise RuntimeError("no such luck")
    if what == "exit":
        sys.exit(3)
    if what == "slow":
        time.sleep(30)
    if what == "cannot":
        return {"cannot_say": "too many coordinates"}
    if what == "text":
        return {"value": "much"}
    if what == "list":
        return [1.0]
    r = np.corrcoef(parts["test"][0][:, 0], parts["test"][1][:, 0])[0, 1]
    return {
        "value": float(-0.5 * np.log1p(-r**2)),
        "standard_error": 0.05,
        "version": "1.0",
        "shapes": {split: [list(side.shape) for side in sides] for split, sides in parts.items()},
        "threads": os.environ["OMP_NUM_THREADS"],
        "seed": request["seed"],
        "path": "mmmi_hf" in sys.modules,
    }
"""


@dataclass
class Tiny(Isolated):
    name = "tiny"
    what: str = "value"
    timeout: int = 3600


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of environments with one, which has a package that this process has not, and this process's NumPy."""
    folder = tmp_path_factory.mktemp("environments")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "tiny")], check=True)
    (packages,) = (folder / "tiny" / "lib").glob("python*/site-packages")
    (packages / "tinymi.py").write_text(PACKAGE)
    (packages / "numpy.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    (folder / "bridge.py").write_text(BRIDGE)
    return folder


@pytest.fixture
def tiny(place, monkeypatch):
    monkeypatch.setenv(environment.PLACE, str(place))
    monkeypatch.setattr(
        Tiny, "environment", Environment("tiny", "tinymi==1.0", str(place / "bridge.py")), raising=False
    )
    return Tiny


def parts():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((600, 1, 2, 2))
    pairs = Pairs(x, x[:, 0, 0, 0] + 0.5 * generator.standard_normal(600))
    return [pairs.take(np.arange(k, 600, 3)) for k in range(3)]


def test_a_package_of_another_environment_estimates(tiny):
    train, validation, test = parts()
    found = tiny().fit(train, validation, seed=4).estimate(test)
    r = np.corrcoef(test.a[:, 0, 0, 0], test.b)[0, 1]
    assert found.value == pytest.approx(-0.5 * np.log1p(-(r**2)))
    assert found.standard_error == 0.05
    assert found.details["version"] == "1.0"
    answer = tiny.environment.ask({"test": test, "train": train, "validation": validation},
                                  {"seed": 4, "settings": {"what": "value"}}, timeout=60)  # fmt: skip
    assert answer["shapes"]["test"] == [[200, 4], [200, 1]]
    assert (answer["threads"], answer["seed"], answer["path"]) == ("1", 4, False)


@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [
        ("fail", ArithmeticError, r"'tiny' gave no answer \(exit 1\): RuntimeError: no such luck"),
        ("exit", ArithmeticError, r"gave no answer \(exit 3\): it printed nothing"),
        ("slow", ArithmeticError, "'tiny' took more than 1 s"),
        ("cannot", CannotSayError, "too many coordinates"),
        ("text", ArithmeticError, "which has no value"),
        ("list", ArithmeticError, "expected a mapping"),
    ],
)
def test_what_goes_wrong_there_is_said(tiny, what, kind, says):
    train, validation, test = parts()
    fitted = tiny(what, timeout=1 if what == "slow" else 60).fit(train, validation)
    with pytest.raises(kind, match=says):
        fitted.estimate(test)


@pytest.mark.parametrize("name", NAMES)
def test_without_the_environment_the_error_says_how_to_make_it(name, tmp_path, monkeypatch):
    monkeypatch.setenv(environment.PLACE, str(tmp_path))
    estimator = make_estimator(name)
    with pytest.raises(MissingPackageError) as caught:
        estimator.require()
    message = str(caught.value)
    assert "\n" not in message
    assert f"python3 -m venv {tmp_path / name} && {tmp_path / name}/bin/pip install " in message
    assert "==" in message
    with pytest.raises(ValueError, match="environment of its own"):
        estimator.fit(*parts()[:2])


@pytest.mark.parametrize("name", NAMES)
def test_every_bridge_is_a_file_with_the_function(name):
    bridge = Path(environment.__file__).parent / "bridges" / f"{make_estimator(name).environment.bridge}.py"
    space = {}
    exec(compile(bridge.read_text(), str(bridge), "exec"), space)  # imports nothing of the package yet
    assert callable(space["estimate"])


def test_representations_are_read_by_nearest_neighbours(monkeypatch, tmp_path):
    generator = np.random.default_rng(1)
    a = generator.standard_normal((300, 1))
    b = a + 0.5 * generator.standard_normal((300, 1))
    answer = json.loads(json.dumps({"representations": [a.tolist(), b.tolist()], "version": "0.1.3"}))
    found = make_estimator("latentmi").read(answer)
    assert found.value == pytest.approx(0.5 * np.log1p(4), abs=0.2)
    assert found.details["version"] == "0.1.3"
