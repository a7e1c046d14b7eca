"""A small dataset folder of bare latents: two levels and a model that shares a vector source."""

import pytest

from mmmi_hf import CausalModel, MMMIConfig, Modality, common_cause
from tests.support import generate

ROWS = 500


def configuration(name, model, seed, **fields):
    pair = tuple(Modality("identity") for _ in model.modalities)
    return MMMIConfig(name=name, causal_model=model, modalities=pair, rows=ROWS, seed=seed, **fields)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("benchmark") / "data"
    shape = (1, 3, 3)
    shared = CausalModel([1.0], [[0.5], [0.5]], [[1.0, 0.5], [0.5, 1.0]], shape=shape)
    configs = [
        configuration("level-0.4", common_cause(shape, mi=0.4), 1),
        configuration("level-1.2", common_cause(shape, mi=1.2), 2),
        configuration("shared", shared, 2, standardize="rms"),
    ]
    for config in configs:
        generate(config, out)
    return out
