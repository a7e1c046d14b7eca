"""What the README says about configurations is so."""

from __future__ import annotations

import re

import numpy as np

from mmmi_hf import templates
from mmmi_hf.causal.quantities import reported_values
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.registry import get_family, list_families
from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_story(tmp_path):
    block = re.search(r"<!-- story -->\n```yaml\n(.*?)```\n<!-- end -->", README, re.DOTALL)
    path = tmp_path / "story.yaml"
    path.write_text(block[1], encoding="utf-8")
    config = MMMIConfig.from_yaml(path)
    assert config.modalities == (Modality("fashion-mnist-2", 7), Modality("asinh"))
    lower = config.model.template(0, 1)
    assert lower[0, 16:].all()
    assert not lower[0, :16].any()
    np.testing.assert_array_equal(config.model.template(1, 0), templates.gaussian((128,), centre=80, width=10))
    values = reported_values(config.model)
    assert values["I(x1;x2|y)"] > 0.1  # the second cause is shared without y


def test_its_table_of_families():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\d+) \| (yes)? *\|", README, re.MULTILINE)
    shown = [(name + suffix, count) for name, count, also in rows for suffix in ["", "-cifar10"][: 1 + bool(also)]]
    assert sorted(shown) == sorted((name, str(len(get_family(name).configurations))) for name in list_families())
