"""The same rows as images, as the latents that they were made of, and as the pictures that a viewer shows."""

import numpy as np
import pytest

import mmmi_hf
from mmmi_hf import MMMIConfig, Modality, common_cause
from mmmi_hf.benchmark import make_estimator
from mmmi_hf.benchmark.protocol.cells import pairs_of, run_plan
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Plan
from tests.networks import smaller_flow
from tests.support import generate


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    place = tmp_path_factory.mktemp("forms")
    smaller_flow(1).save_pretrained(place / "pipe")
    config = MMMIConfig(
        name="pictures",
        causal_model=common_cause((1, 8, 8), mi=1.0, modalities=1),
        modalities=(Modality(str(place / "pipe"), 1),),
        rows=200,
        seed=3,
    )
    generate(config, place / "data")
    return place / "data"


def cells(images):
    plan = Plan(
        Source.open(str(images)),
        ["pictures"],
        [("x1", "y")],
        {"cca": make_estimator("cca").settings},
        seeds=1,
        null=False,
        shares=(50, 20, 30),
        forms=("latents", "float", "views"),
    )
    return plan, {cell.settings["form"]: cell for cell in plan.cells()}


def test_three_forms_are_of_the_same_rows(images):
    plan, of_form = cells(images)
    pairs = {form: pairs_of(plan.source, cell, "test", exact=False) for form, cell in of_form.items()}
    assert {found.a.shape for found in pairs.values()} == {(60, 1, 8, 8)}
    assert all(np.array_equal(found.b, pairs["float"].b) for found in pairs.values())
    loaded = mmmi_hf.load(images, "pictures", split="test", progress=False)
    assert np.array_equal(pairs["float"].a[-20:], np.array(loaded.dataset["x1"], dtype=np.float32))
    latents = loaded.model.sample_rows(loaded.dataset["row"], seed=3, standardize="whiten")
    assert np.array_equal(pairs["latents"].a[-20:], latents.z["x1"])
    picture = np.asarray(loaded.dataset[0]["x1_image"])
    assert np.array_equal(pairs["views"].a[-20, 0], picture)
    assert pairs["views"].a.min() >= 0
    assert pairs["views"].a.max() <= 255


def test_what_the_views_carry_is_said_with_them(images, tmp_path):
    plan, of_form = cells(images)
    assert [cell.series.split(", ")[-1] for cell in of_form.values()] == ["latents", "whiten", "8-bit views"]
    assert "8-bit views carry at most the information that stands as their truth" in plan.notes()
    records = run_plan(plan, tmp_path, workers=1, progress=False)
    assert [record["result"].get("error") for record in records] == [None] * 3
