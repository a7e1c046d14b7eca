"""Shared by all tests: no network, quiet libraries, a cache that ends with the session, and one tiny flow.

Temporary folders lie in memory where there is enough of it: every file of ours is synced, for which a disk takes
milliseconds each time.
"""

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
_CACHE = tempfile.TemporaryDirectory(prefix="mmmi-hf-tests-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
os.environ["HF_DATASETS_CACHE"] = _CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # of containers: each process that a test starts would compile us again
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks of the tests are too small to share

collect_ignore = ["explorer/offline"]  # it cuts the process that imports it from the network: those that tests start


def pytest_collection_finish():
    """What is imported and collected stays to the end: the garbage collector need not walk through it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_pipeline():
    """`tests.networks.tiny_flow` in four steps. Do not change it: convert or move a copy."""
    from tests.networks import tiny_flow

    return tiny_flow(class_names=["shirt", "shoe", "bag"], num_inference_steps=4)


@pytest.fixture
def forgotten(monkeypatch):
    """Estimators and modules that a test brings in are gone after it, and where it calls this, as in a new process."""
    from mmmi_hf.benchmark import estimator as estimators
    from mmmi_hf.benchmark import list_estimators

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
