"""The released families: what each promises, on any pipeline's shape, and that every configuration loads."""

from __future__ import annotations

import json
import pkgutil

import datasets
import numpy as np
import pytest

from mmmi_hf.causal.quantities import reported_values
from mmmi_hf.dataset.releases import families
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from mmmi_hf.dataset.releases.families.common_cause import COMMON_CAUSE_LEVELS
from mmmi_hf.dataset.releases.families.decaying_modalities import DECAYS
from mmmi_hf.dataset.releases.families.template_ablation import ABLATION_TEMPLATES
from mmmi_hf.dataset.releases.families.two_telescopes import TABLE_2_PRODUCT, TABLE_2_SQUARED_NORM
from mmmi_hf.dataset.releases.registry import (
    family_of,
    get_configuration,
    get_family,
    list_configurations,
    list_families,
    pipeline_shape,
)
from tests.support import generate

RELEASED = [
    "common-cause",
    "common-cause-rms",
    "independent",
    "two-telescopes",
    "decaying-modalities",
    "template-ablation",
    "image-and-time-series",
    "missing-modality",
    "imbalanced-modality",
    "common-cause-cifar10",
    "independent-cifar10",
    "two-telescopes-cifar10",
    "decaying-modalities-cifar10",
]
"""Families that were published: they stay, in this order."""
FAMILIES = list_families()
ABLATION = [f"template-ablation-{name}" for name in ABLATION_TEMPLATES]


def models(family):
    return [get_configuration(name).model for name in get_family(family).configurations]


INDEX_OF = {
    "_class_name": "FlowMatchingPipeline",
    "unet": ["diffusers", "UNet2DModel"],
    "scheduler": ["mmmi_hf.flow.scheduler", "FlowMatchODEScheduler"],
}


def of_size(name, tmp_path, shape):
    """A pipeline's folder that says what shape it makes; its weights are never read here."""
    folder = tmp_path / name
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(INDEX_OF | {"patch_size": 2}))
    (folder / "unet" / "diffusion_pytorch_model.safetensors").touch()
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    channels, height, width = shape
    config = {"in_channels": 4 * channels, "out_channels": 4 * channels, "sample_size": [height // 2, width // 2]}
    (folder / "unet" / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_families_hold_every_configuration_once():
    assert [name for name in FAMILIES if name in RELEASED] == RELEASED
    listed = [name for family in list_families() for name in get_family(family).configurations]
    assert listed == list_configurations()
    assert len(set(listed)) == len(listed)
    assert family_of("two-telescopes-mass-diffuse") == "two-telescopes"
    assert family_of("mine") is None
    configs = [get_configuration(name) for name in listed]
    assert len({config.seed for config in configs}) == len(configs)
    assert len({config.digest for config in configs}) == len(configs)
    assert all(config.description and config.rows == 10_000 for config in configs)
    assert all(len(get_family(name).description) > 20 for name in FAMILIES)


def test_every_file_is_a_family_of_its_name():
    files = [each.name for each in pkgutil.iter_modules(families.__path__)]
    assert sorted(files) == sorted(name.replace("-", "_") for name in list_families())
    orders = [get_family(name).order for name in list_families()]
    assert orders == sorted(set(orders))


def test_unknown_families():
    with pytest.raises(ConfigurationError, match="did you mean two-telescopes"):
        get_family("two-telescope")
    with pytest.raises(ConfigurationError, match="mmmi-hf list"):
        get_family("???")


def test_models_that_were_released_never_change():
    """Digests of the models with which the common-cause family and the null were first made."""
    known = {
        "common-cause-0.25": "b0a5e6547c0170c33494fa645e6a0c5a83278358c5fe8373374198ad0ec15ea7",
        "common-cause-1.0": "47a15248328cd36a5c53954c28766b7c583a8f9ee2ced924f983d929ec750ea9",
        "common-cause-2.5": "b06f9a3a7c48c088ff3a96a7c22a3de2c71c6dbedcaf71c0afa466c19652bb24",
        "independent": "be6add776347050467f9acf6d8335508c35c536f0dd7244898907b4e80ca7e31",
    }
    assert {name: get_configuration(name).model.digest for name in known} == known


def test_rms_variants_have_the_same_models():
    for level in COMMON_CAUSE_LEVELS:
        plain, rms = (get_configuration(f"common-cause-{level}{end}") for end in ("", "-rms"))
        assert rms.model.digest == plain.model.digest
        assert (plain.standardize, rms.standardize) == ("whiten", "rms")


def test_two_telescopes_are_table_2():
    """I(x1;y), I(x1;x2) and I(x2;y) of both targets, at both places; the values follow from the printed norms."""
    for place in ("concentrated", "diffuse"):
        mass, atmosphere = (
            get_configuration(f"two-telescopes-{target}-{place}").model for target in ("mass", "atmosphere")
        )
        for model in (mass, atmosphere):
            assert model.mutual_information("x1", "y") == pytest.approx(2.7716010614265, abs=1e-9)
            assert model.mutual_information("x1", "x2") == pytest.approx(2.6295193323451, abs=1e-6)
        assert mass.mutual_information("x2", "y") == pytest.approx(3.3260202488092, abs=1e-9)
        assert atmosphere.mutual_information("x2", "y") == 0.0
        first, second = (mass.weights[0, k] * mass.template(0, k).ravel() for k in range(2))
        assert [first @ first, second @ second] == pytest.approx([TABLE_2_SQUARED_NORM] * 2, rel=1e-11)
        assert first @ second == pytest.approx(TABLE_2_PRODUCT, rel=1e-11)
    near, far = (get_configuration(f"two-telescopes-mass-{place}").model for place in ("concentrated", "diffuse"))
    spread = [float((model.template(0, k) > 0.2).mean()) for model in (near, far) for k in (0, 1)]
    assert spread[0] < spread[1] == spread[2] < spread[3]


def test_decays_are_those_of_the_paper():
    for name in get_family("decaying-modalities").configurations:
        config = get_configuration(name)
        assert [modality.class_label for modality in config.modalities] == list(range(10))
    settings = [(a, b) for a in DECAYS for b in DECAYS]
    for model, (alpha, beta) in zip(models("decaying-modalities"), settings, strict=True):
        np.testing.assert_allclose(model.weights[:, 0], beta ** -np.arange(10.0), rtol=1e-14)
        np.testing.assert_allclose(model.mixing[0], alpha ** -np.arange(10.0), rtol=1e-14)
        assert model.mutual_information("x1", "x2") > 500.0


def test_ablation_changes_the_place_and_nothing_else():
    """Equal information and equal inner products to 1e-9, unlike templates and unlike information maps."""
    family = models("template-ablation")
    assert len(family) == len(ABLATION) >= 6
    first = reported_values(family[0])
    assert first["I(x1;y)"] == pytest.approx(1.0, abs=1e-9)
    assert first["I(x1;x2)"] == pytest.approx(1.5, abs=1e-9)
    induced = first["I(x1;x2)"] - first["I(x1;x2|y)"]
    assert first["I(x1;x2)"] > induced + 0.5
    assert family[0].eta.tolist() == [1.0, 0.0]
    for model in family:
        for name, value in reported_values(model).items():
            assert abs(value - first[name]) <= 1e-9, name
        stacked = np.stack([model.template(i, k).ravel() for i in range(2) for k in range(2)])
        np.testing.assert_allclose(stacked @ stacked.T, np.tile(np.eye(2), (2, 2)), atol=1e-9)
        np.testing.assert_array_equal(model.weights, family[0].weights)
    places = np.stack([model.template(0, 0).ravel() for model in family])
    cosines = places @ places.T - 2.0 * np.eye(len(family))
    assert cosines.max() <= 0.8
    for kind in ("whiten", "rms", "none"):
        for about in ("y", "x2"):
            maps = np.stack([model.information_map("x1", about, standardize=kind).ravel() for model in family])
            shares = maps / maps.sum(axis=1, keepdims=True)
            apart = 0.5 * np.abs(shares[:, None] - shares[None]).sum(axis=-1)[np.triu_indices(len(family), 1)]
            assert apart.min() > 0.1, (kind, about)  # at least a tenth of the map lies elsewhere


def test_cifar10_families_tell_the_same_stories():
    """The same causal coefficients and information, in the paper's shape and its classes: automobile and frog."""
    for family in ("common-cause", "independent", "two-telescopes", "decaying-modalities"):
        plain, colour = (get_family(family + end).configurations for end in ("", "-cifar10"))
        assert [f"{name}-cifar10" for name in plain] == list(colour)
        for one, other in zip(map(get_configuration, plain), map(get_configuration, colour), strict=True):
            assert {m.pipeline for m in other.modalities} == {"cifar10"}
            labels = [m.class_label for m in other.modalities]
            assert labels == ([1, 6] if len(labels) == 2 else list(range(10)))
            assert set(other.model.shapes.values()) == {(3, 32, 32)}
            assert get_configuration(other.name, pipeline="fashion-mnist").model.digest == one.model.digest
            if family != "decaying-modalities":  # where sources are shared, information grows with the dimension
                values = reported_values(one.model)
                assert reported_values(other.model) == {key: pytest.approx(v, abs=1e-9) for key, v in values.items()}


def test_unlike_modalities():
    (mixed,), (missing,), (unlike,) = (
        models(f) for f in ("image-and-time-series", "missing-modality", "imbalanced-modality")
    )
    assert dict(mixed.shapes) == {"x1": (1, 32, 32), "x2": (128,)}
    assert [mixed.mutual_information(x, "y") for x in ("x1", "x2")] == pytest.approx([1.0, 1.0], rel=1e-12)
    assert get_configuration("image-and-time-series").modalities[1] == Modality("asinh")
    assert missing.mutual_information("x3", ["x1", "x2", "y"]) == 0.0
    assert missing.mutual_information("x1", "y") == pytest.approx(1.0, rel=1e-12)
    assert [unlike.mutual_information(x, "y") for x in unlike.modalities] == pytest.approx([2.0, 0.5, 0.1], rel=1e-12)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 16, 24)])
def test_models_follow_the_shape_of_a_pipeline(shape, tmp_path):
    pipeline = of_size("other", tmp_path, shape)
    assert pipeline_shape(pipeline) == shape
    for name in [each for family in FAMILIES for each in get_family(family).configurations[::4]]:
        config, released = get_configuration(name, pipeline=pipeline), get_configuration(name)
        assert config.model.shapes["x1"] == shape
        assert config.modalities[0] == Modality(pipeline, released.modalities[0].class_label)
        if not name.startswith("decaying"):  # where sources are shared, information grows with the dimension
            values = reported_values(released.model)
            assert reported_values(config.model) == {key: pytest.approx(v, abs=1e-9) for key, v in values.items()}
    mixed = get_configuration("image-and-time-series", pipeline=pipeline)
    assert mixed.model.shapes["x2"] == (128,)
    assert mixed.modalities[1] == Modality("asinh")


def test_pipelines_whose_shape_cannot_be_known(tmp_path):
    folder = of_size("broken", tmp_path, (1, 8, 8))
    (tmp_path / "broken" / "unet" / "config.json").write_text("{}")
    for name in (folder, str(tmp_path / "absent")):
        with pytest.raises(ConfigurationError, match=r"modalities\[0\].pipeline: "):
            get_configuration("independent", pipeline=name)
    assert pipeline_shape("identity") is None
    with pytest.raises(ConfigurationError, match="too small for the templates of two telescopes"):
        get_configuration("two-telescopes-mass-diffuse", pipeline=of_size("tiny", tmp_path, (1, 2, 2)))


@pytest.mark.parametrize("name", list_configurations())
def test_yaml_of_every_configuration(name, tmp_path):
    config = get_configuration(name)
    path = tmp_path / f"{name}.yaml"
    path.write_text(config.to_yaml())
    assert get_configuration(str(path)).digest == config.digest


def loads(name, folder):
    """Generate three rows through the identity and read everything back with plain `datasets`."""
    generate(name, folder, rows=3, pipeline="identity")
    config = get_configuration(name)
    data = datasets.load_dataset(str(folder), name)
    assert {split: len(rows) for split, rows in data.items()} == {"train": 1, "validation": 1, "test": 1}
    row = data["train"].with_format("numpy")[0]
    assert {x: row[x].shape for x in config.model.modalities} == dict(config.model.shapes)
    truth = datasets.load_dataset(str(folder), "ground_truth", split="train").to_pandas()
    own = truth[truth.config == name]
    assert dict(zip(own.quantity, own.value, strict=True)) == reported_values(config.model)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_of_every_family_generates_and_loads(family, tmp_path):
    loads(get_family(family).configurations[-1], tmp_path / "out")


@pytest.mark.slow
def test_every_configuration_generates_and_loads(tmp_path):
    for family in FAMILIES:
        for name in get_family(family).configurations:
            loads(name, tmp_path / family)


def test_a_configuration_of_ones_own_takes_another_pipeline():
    mine = MMMIConfig(
        name="mine",
        causal_model={"story": "independent", "shape": [4]},
        modalities=(Modality("asinh"), Modality("identity")),
    )
    assert {m.pipeline for m in mine.with_pipeline("half-cube").modalities} == {"half-cube"}
