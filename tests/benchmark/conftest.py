"""A small dataset folder of bare latents: two levels and a model that shares a vector source."""

import sys

import pytest

from mmmi_hf import CausalModel, MMMIConfig, Modality, common_cause
from mmmi_hf.benchmark import estimator as estimators
from mmmi_hf.benchmark import list_estimators
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


@pytest.fixture
def forgotten(monkeypatch):
    """Estimators and modules that a test brings in are gone after it, and where it calls this, as in a new process."""
    list_estimators()  # ours are there before
    monkeypatch.setattr(estimators, "_REGISTERED", dict(estimators._REGISTERED))
    before = set(sys.modules)

    def forget():
        for name in [name for name in sys.modules if name.startswith("mmmi_hf_plugin_") and name not in before]:
            del sys.modules[name]
        for name, kind in list(estimators._REGISTERED.items()):
            if kind.__module__.startswith("mmmi_hf_plugin_") and kind.__module__ not in before:
                del estimators._REGISTERED[name]

    yield forget
    forget()
