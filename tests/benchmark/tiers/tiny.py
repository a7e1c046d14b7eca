"""A tier of two small configurations."""

import contextlib

from mmmi_hf.benchmark.tiers import tier as tiers
from mmmi_hf.benchmark.tiers.tier import read_tier

HEAD = """\
name: tiny
version: 1.0.0
title: A tiny one
configurations:
  small-0.5:
    modalities: [{pipeline: identity}]
    causal_model: {story: common_cause, mi: 0.5, modalities: 1, shape: [2]}
    rows: 300
    seed: 1
  small-1.5:
    modalities: [{pipeline: identity}]
    causal_model: {story: common_cause, mi: 1.5, modalities: 1, shape: [2]}
    rows: 300
    seed: 2
groups:
  - name: numbers
    title: Numbers
    configs: [small-*]
"""
"""Up to the settings of its one group."""


@contextlib.contextmanager
def placed(folder, content, name="tiny"):
    """The folder of the tier, whose parent is in the place of the package's."""
    place = folder / "tiers" / name
    place.mkdir(parents=True)
    (place / "tier.yaml").write_text(content)
    kept, tiers._HERE = tiers._HERE, place.parent
    read_tier.cache_clear()
    try:
        yield place
    finally:
        tiers._HERE = kept
        read_tier.cache_clear()
