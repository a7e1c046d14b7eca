"""A small dataset folder of bare latents: two levels and a model that shares a vector source."""

import pytest

from mmmi_hf import CausalModel, common_cause
from tests.support import bare, generate


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark") / "data"
    shape = (1, 3, 3)
    shared = CausalModel([1.0], [[0.5], [0.5]], [[1.0, 0.5], [0.5, 1.0]], shape=shape)
    configs = [
        bare("level-0.4", common_cause(shape, mi=0.4), rows=500, seed=1),
        bare("level-1.2", common_cause(shape, mi=1.2), rows=500, seed=2),
        bare("shared", shared, rows=500, seed=2, standardize="rms"),
    ]
    for config in configs:
        generate(config, out)
    return out
