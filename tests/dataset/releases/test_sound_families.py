"""Families with sounds: what they promise of information, and which map makes the sounds."""

from __future__ import annotations

import math
import re

import pytest

from mmmi_hf.dataset.releases.pipelines import SOUND_PIPELINE
from mmmi_hf.dataset.releases.registry import get_configuration, get_family

CLASSES = {"strings": 5}


@pytest.mark.parametrize("release", get_family("image-and-sound").releases, ids=lambda release: release.name)
def test_an_image_and_a_sound_carry_the_stated_information_and_share_it_through_y_alone(release):
    level = float(release.name.removeprefix("image-and-sound-"))
    config = get_configuration(release.name)
    model = config.model
    assert [one.pipeline for one in config.modalities][1:] == [SOUND_PIPELINE]
    assert config.modalities[1].class_label == CLASSES["strings"]
    for modality in ("x1", "x2"):
        assert math.isclose(model.mutual_information(modality, "y"), level, rel_tol=1e-12)
    # two observations of equal signal-to-noise ratio: with ρ² = 1 − exp(−2I), I(x1;x2) = −½ ln(1 − ρ⁴)
    squared = 1.0 - math.exp(-2.0 * level)
    shared = -0.5 * math.log(1.0 - squared**2)
    assert math.isclose(model.mutual_information("x1", "x2"), shared, rel_tol=1e-9)
    assert model.mutual_information("x1", "x2", given="y") == pytest.approx(0.0, abs=1e-12)


def test_three_kinds_of_modality_see_the_cause_ever_less():
    config = get_configuration("image-sound-series")
    told = [config.model.mutual_information(name, "y") for name in ("x1", "x2", "x3")]
    assert told == pytest.approx([2.0, 1.0, 0.5], rel=1e-12)
    assert re.search(r"2\.0, 1\.0, 0\.5 nats", config.description)
    assert [one.pipeline for one in config.modalities][1:] == [SOUND_PIPELINE, "asinh"]
