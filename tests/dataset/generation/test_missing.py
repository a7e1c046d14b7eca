"""Rows that lack modalities: columns, plain `load_dataset`, certificates, damage that must be found, YAML."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

import mmmi_hf
from mmmi_hf.causal.laws.missing.patterns import lacking
from mmmi_hf.dataset.cards.pictures import first_rows, tuples_figure
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.generation.rows import images_of, load_bijections, make_rows
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from tests.dataset.certificate.forgeries import forge

MISSING = {"x1": 0.3, "x2": 0.5}
TARGETS = {
    "classes": {"target": {"classes": {"quantiles": 3}}},
    "number": {},
    "square": {"target": {"function": {"name": "square"}}},
}
DRAWN = "classes"


def configuration(target, **changes):
    spec = {"story": "common_cause", "shape": [1, 4, 4], "mi": 1.0, "missing": MISSING, **TARGETS[target]}
    fields = {
        "name": "sometimes",
        "version": "1.0.0",
        "causal_model": spec,
        "modalities": (Modality("half-cube"), Modality("asinh")),
        "rows": 160,
        "seed": 5,
        "store_latents": target == "number",
        "store_posterior": target == "classes",
    }
    return MMMIConfig(**{**fields, **changes})


@pytest.mark.parametrize("target", TARGETS)
def test_rows_load_plainly_and_are_certified(folders, target):
    folder, config = folders(target), configuration(target)
    data = datasets.load_dataset(str(folder), "sometimes", split="train")
    assert data.features["x1_missing"] == datasets.Value("bool")
    drawn = config.model.sample(128, seed=5)
    loaded = mmmi_hf.load(folder, "sometimes", split="train", progress=False)
    batch = {name: values.numpy() for name, values in next(loaded.torch_batches(batch_size=128)).items()}
    for name in MISSING:
        gone = np.array(data[f"{name}_missing"])
        np.testing.assert_array_equal(gone, lacking(drawn.z[name]))
        np.testing.assert_array_equal(batch[f"{name}_missing"], gone)
        values = np.array(data[name], dtype=np.float32)
        assert not values[gone].any()
        assert values[~gone].any(axis=(1, 2, 3)).all()
        assert target != "number" or not batch[f"z{name[1:]}"][gone].any()
        assert not batch[f"pmi_{name}_y"][gone].any()
    data.with_format("torch")[:4]  # stacks into one batch, missing rows or not
    both = loaded.ground_truth["I(x1,x2;y)"]
    assert both.value == config.model.mutual_information(["x1", "x2"], "y")
    assert both.method.startswith("exact: ")
    assert "the mean over which modalities rows have" in both.method
    assert 0.99 * both.value <= both.measured_float32 <= both.value
    if target == "square":  # the law of its pointwise information is not computed
        assert both.floor_float32 is None
    else:
        assert 0.1 * both.value < both.floor_float32 < both.value
    card = (folder / "README.md").read_text()
    assert "| `x1_missing`, `x2_missing` | bool |" in card
    assert "a row lacks x1 with probability 0.3, x2 with probability 0.5; a flag says so" in card


@pytest.mark.parametrize("target", TARGETS)
def test_certificates_hold_again_with_and_without_the_seed(folders, target):
    for options in ({"sample_seed": 3}, {"use_seed": False}, {}):
        (result,) = certify(folders(target), progress=False, rows_float64=0, write=False, **options).values()
        assert result.valid, result.reasons
        assert "missing modalities" in result.record.tests


def test_transforms_leave_what_rows_lack_alone(folders):
    (result,) = certify(folders("number"), progress=False, transform={"x1": lambda values: 0.9 * values}).values()
    assert 0.0 < result.transformed["I(x1,x2;y)"] < result.bounds["I(x1,x2;y)"].analytic


def flags_turned(columns):
    columns["x1_missing"] = ~columns["x1_missing"]


def flag_of_a_row_that_has_it(columns):
    row = int(np.argmin(columns["x2_missing"]))
    columns["x2_missing"][row] = True
    columns["x2"][row] = 0.0


def filled(columns):
    columns["x1"][int(np.argmax(columns["x1_missing"]))] = 0.1


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (flags_turned, "x1 is missing and not zero"),
        (flag_of_a_row_that_has_it, "x2_missing is not the one of (seed, row)"),
        (filled, "x1 is missing and not zero"),
    ],
)
def test_damage_is_found(folders, damage, found, tmp_path):
    forged = forge(folders("classes"), tmp_path / "forged", "sometimes", damage)
    (result,) = certify(forged, progress=False, rows_float64=0, write=False).values()
    assert not result.valid
    assert found in " | ".join(result.reasons)


def test_a_row_is_the_same_whatever_is_made_with_it():
    config = configuration("classes")
    assert make_rows(config, 40, 70).slice(3, 20).equals(make_rows(config, 43, 63))


def test_pictures_say_what_is_missing(folders):
    place = DatasetFolder(folders("classes"), reading=True)
    manifest = place.known_manifest("sometimes")
    rows = first_rows(place.data_files(manifest, "train"))
    figure = tuples_figure("sometimes", place.model("sometimes"), manifest.modalities, rows)
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert written.count("missing") == sum(rows["x1_missing"]) + sum(rows["x2_missing"]) > 0


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("{x3: 0.3}", "line 4: causal_model.missing: missing names 'x3', expected modalities: x1, x2"),
        ("{x1: 1.5}", "line 4: causal_model.missing: missing[x1] is 1.5, expected a probability"),
        ("0.3", "line 4: causal_model.missing: missing is 0.3, expected a modality with a probability"),
        ("{x1: .nan}", "line 4: causal_model.missing: missing[x1] is nan"),
    ],
)
def test_yaml(tmp_path, missing, says):
    text = (
        "causal_model:\n  story: common_cause\n  mi: 1.0\n  missing: {}\n  shape: [1, 4, 4]\n"
        "modalities: [{{pipeline: identity}}, {{pipeline: identity}}]\n"
    )
    path = tmp_path / "mine.yaml"
    path.write_text(text.format(missing))
    with pytest.raises(ConfigurationError) as refusal:
        MMMIConfig.from_yaml(path)
    assert says in str(refusal.value)
    path.write_text(text.format("{x1: 0.25}"))
    config = MMMIConfig.from_yaml(path)
    assert dict(config.model.law.missing) == {"x1": 0.25}
    path.with_name("again.yaml").write_text(config.to_yaml())
    assert MMMIConfig.from_yaml(path.with_name("again.yaml")).digest == config.digest


def test_latents_that_are_nan_where_no_row_lacks_the_modality_are_an_error():
    config = configuration("number")
    bijection = load_bijections(config, device="cpu")["x1"]
    latents = config.model.with_missing(None).sample(32, seed=1).z["x1"].astype(np.float32)
    latents[3] = np.nan
    images = images_of(bijection, None, latents, True)
    assert not images[3].any()
    assert images[4].any()
    with pytest.raises(ArithmeticError, match="finite"):
        images_of(bijection, None, latents)
