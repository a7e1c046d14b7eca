"""A family, an element-wise bijection, a quantity and an estimator are one new file each: nothing else is edited.

They are put into a copy of the package, and used from end to end by the command line.
"""

import json
import os
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tests.support import ROOT

FILES = {
    "dataset/releases/families/one_more.py": """
from mmmi_hf.dataset.releases.configuration import Modality
from mmmi_hf.dataset.releases.family import Family, Release


def family():
    model = lambda shape: {"story": "common_cause", "shape": [6], "mi": 1.0}
    release = Release("one-more-1", "Two series.", 77, model, (Modality("doubling"), Modality("doubling")))
    return Family("one-more", 5, "one more", "Two series through a new map.", (release,))
""",
    "flow/elementwise/doubling.py": """
from mmmi_hf.flow.elementwise._base import ElementwiseBijection


class DoublingBijection(ElementwiseBijection):
    name = "doubling"
    definition = "x = 2 z"

    def _forward(self, z):
        return 2 * z

    def _inverse(self, x):
        return x / 2
""",
    "causal/quantities/kinds/twice.py": """
from mmmi_hf.causal.quantities.quantity import Kind


class Twice(Kind):
    word, arguments, example, meaning = "Twice", 2, "Twice(x1;y)", "twice the information"

    def value(self, model, quantity):
        return 2.0 * model.mutual_information(*quantity.blocks)

    def reported(self, model):
        yield (99,), self.of(("x1",), ("y",))


KIND = Twice()
""",
    "benchmark/estimators/constant.py": """
from dataclasses import dataclass
from typing import final

from mmmi_hf.benchmark.estimator import Estimator, Measured, register_estimator


@register_estimator("constant")
@final
@dataclass
class Constant(Estimator):
    order = 500
    value: float = 0.5

    def learn(self, train, validation, seed):
        return []

    def measure(self, test):
        return Measured(self.value, 0.1)
""",
}
COMMANDS = [
    ["list", "--format", "json"],
    ["info", "one-more-1", "--quantity", "Twice(x1,x2;y)", "--format", "json"],
    ["generate", "one-more-1", "--out", "data", "--rows", "240", "--no-certify", "--no-figures", "--quiet"],
    ["verify", "data", "--quiet"],
    ["benchmark", "data", "--estimators", "constant", "--set", "constant.value=0.25", "--out", "out", "--seeds", "1",
     "--workers", "1", "--no-plots", "--quiet"],
]  # fmt: skip
SCRIPT = """
import contextlib, io, json, sys
import mmmi_hf
from mmmi_hf.cli import main

printed = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(arguments)
        except SystemExit as stopped:
            assert stopped.code == 0, (arguments, out.getvalue())
    printed.append(out.getvalue())
print(json.dumps([mmmi_hf.__file__, *printed]))
"""


def test_new_files_are_known_everywhere(tmp_path):
    copy = tmp_path / "package/mmmi_hf"
    shutil.copytree(ROOT / "mmmi_hf", copy, ignore=shutil.ignore_patterns("pretrained", "__pycache__"))
    (copy / "flow/pretrained").mkdir()
    for name, text in FILES.items():
        assert not (copy / name).exists()
        (copy / name).write_text(text)
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(COMMANDS)],
        env=os.environ | {"PYTHONPATH": str(copy.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    file, listed, told, _, verified, _ = json.loads(found.stdout)
    assert file.startswith(str(copy))
    assert "one-more-1" in [each["name"] for each in json.loads(listed)]
    (twice,) = json.loads(told)["quantities"].values()
    assert twice > 2.0
    assert "valid" in verified
    truth = pq.read_table(tmp_path / "data/ground_truth/one-more-1.parquet").to_pylist()
    assert {row["quantity"]: row["value"] for row in truth}["Twice(x1;y)"] == pytest.approx(2.0)
    assert "one-more-1" in (tmp_path / "data/README.md").read_text()
    assert "doubling" in (tmp_path / "data/manifests/one-more-1.json").read_text()
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert [row["value"] for row in results] == [0.25] * 2
