"""Shared by all tests: no network, quiet libraries."""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks of the tests are too small to share


@pytest.fixture
def pictures():
    """Ask for it where `generate` is to draw the figures of its card."""


@pytest.fixture(autouse=True)
def _no_pictures(request, monkeypatch):
    """Drawing takes longer than making the few rows of most tests; those that look at pictures ask for them."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("mmmi_hf.dataset.assembly.draw_for_card", lambda folder, config: [])
