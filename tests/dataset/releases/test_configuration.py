"""MMMIConfig: validation, YAML in and out, derived values never stale."""

import re

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from mmmi_hf.dataset.releases.families.common_cause import COMMON_CAUSE_LEVELS
from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations

STORY = """\
name: mine
rows: 100
seed: 3
modalities:
  - pipeline: identity
  - pipeline: asinh
causal_model:
  story: common_cause
  shape: [1, 4, 4]
  mi: 0.5
"""

EXPLICIT = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model:
  eta: [1.0, 0.0]
  weights: [[0.3, 0.2], [0.1, 0.4]]
  mixing: [[1.0, 0.0], [0.5, 1.0]]
  shape: [1, 4, 4]
  templates:
    - [ones, {gaussian: {centre: [1, 2], width: 1.5}}]
    - [{checkerboard: {period: 2}}, ones]
"""


def written(tmp_path, text):
    path = tmp_path / "story.yaml"
    path.write_text(text)
    return path


def test_yaml_round_trip_of_a_story(tmp_path):
    config = MMMIConfig.from_yaml(written(tmp_path, STORY))
    assert (config.name, config.rows, config.seed, str(config.version)) == ("mine", 100, 3, "1.0.0")
    assert config.modalities == (Modality("identity"), Modality("asinh"))
    again = MMMIConfig.from_yaml(written(tmp_path, config.to_yaml()))
    assert again.digest == config.digest
    assert again.to_yaml() == config.to_yaml()
    assert config.model.mutual_information("x1", "y") == pytest.approx(0.5, rel=1e-12)


def test_yaml_with_explicit_coefficients_and_templates(tmp_path):
    config = MMMIConfig.from_yaml(written(tmp_path, EXPLICIT))
    assert config.name == "story"
    assert config.model.shapes == {"x1": (1, 4, 4), "x2": (1, 4, 4)}
    assert MMMIConfig.from_yaml(written(tmp_path, config.to_yaml())).digest == config.digest


def test_a_target_beside_a_story(tmp_path):
    text = STORY.replace("  mi: 0.5", "  mi: 0.5\n  target: {classes: {quantiles: 10}}")
    config = MMMIConfig.from_yaml(written(tmp_path, text))
    assert config.model.classes == 10
    assert config.model.with_target(None).mutual_information("x1", "y") == pytest.approx(0.5)
    with pytest.raises(ConfigurationError, match=r"causal_model\.target\.classes: classes take quantiles or edges"):
        MMMIConfig.from_yaml(written(tmp_path, text.replace("quantiles: 10", "")))


def test_a_causal_model_object_survives_yaml(tmp_path):
    model = CausalModel([1.0], [[0.5], [0.25]], np.eye(2), shape=(1, 4, 4))
    config = MMMIConfig(name="object", causal_model=model, modalities=(Modality("identity"),) * 2)
    again = MMMIConfig.from_yaml(written(tmp_path, config.to_yaml()))
    assert again.model.digest == model.digest
    assert again.digest == config.digest


def test_changing_the_model_changes_everything_derived(small_config):
    louder = small_config.replace(causal_model={**small_config.causal_model, "mi": 2.0})
    assert louder.model.mutual_information("x1", "y") == pytest.approx(2.0)
    assert louder.digest != small_config.digest
    small_config.causal_model = {**small_config.causal_model, "mi": 3.0}  # as `datasets` sets fields
    assert small_config.model.mutual_information("x1", "y") == pytest.approx(3.0)


def test_digest_ignores_what_does_not_change_a_row(small_config):
    assert small_config.replace(rows=7, description="else").digest == small_config.digest
    assert small_config.replace(seed=12).digest != small_config.digest
    assert small_config.replace(store_latents=True).digest != small_config.digest


@pytest.mark.parametrize("text", ["\ud800", "a\x1b[2Jb", "a\u202eb", "see http://me:token@h/x", 5])
def test_what_is_no_description_in_python_too(small_config, text):
    says = "got 5, expected a valid string" if text == 5 else "expected text"
    with pytest.raises(ConfigurationError, match=f"description: {says}"):
        small_config.replace(description=text)


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [(1, [1]), (2, [2]), (3, [1, 1, 1]), (10, [8, 1, 1]), (256, [206, 25, 25]), (10_000, [8000, 1000, 1000])],
)
def test_splits_are_contiguous_and_complete(small_config, rows, sizes):
    splits = small_config.replace(rows=rows).split_rows
    assert [len(split) for split in splits.values()] == sizes
    assert [row for split in splits.values() for row in split] == list(range(rows))


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("rows: 100", "rows: 0"), 2, "rows: got 0, expected greater than or equal to 1"),
        (("rows: 100", "rows: 1.5"), 2, "rows: got 1.5, expected a whole number"),
        (("seed: 3", "seed: -1"), 3, "seed: got -1"),
        (
            ("seed: 3", "seed: 9223372036854775808"),
            3,
            "expected less than or equal to 9223372036854775807",
        ),
        (("seed: 3", "sede: 3"), 3, "sede: unknown field"),
        (("seed: 3", "version: 1.0"), 3, "version: got '1.0', expected x.y.z"),
        (("seed: 3", "standardize: minmax"), 3, "standardize: got 'minmax', expected 'whiten', 'rms' or 'none'"),
        (("seed: 3", "store_latents: maybe"), 3, "store_latents"),
        (("seed: 3", "description: [1]"), 3, "description: got [1], expected a valid string"),
        (("seed: 3", "rows: 4"), 3, "rows is given twice (first on line 2)"),
        (("name: mine", "name: ground_truth"), 1, "name: got 'ground_truth'"),
        (("name: mine", "name: default"), 1, "name: got 'default'"),
        (("name: mine", "name: a/b"), 1, "name: got 'a/b'"),
        (("pipeline: asinh", "pipelin: asinh"), 6, "modalities[1].pipelin: unknown field"),
        (("pipeline: asinh", "pipeline: 3"), 6, "modalities[1].pipeline: got 3, expected a valid string"),
        (
            ("  - pipeline: asinh", "  - pipeline: asinh\n    class_label: -1"),
            7,
            "modalities[1].class_label: got -1",
        ),
        (
            ("  - pipeline: asinh", "  - just text"),
            6,
            "modalities[1]: got 'just text', expected a dictionary or an instance of Modality",
        ),
        (("  - pipeline: asinh\n", ""), 4, "modalities: got 1; the causal model has 2 (x1, x2)"),
        (("story: common_cause", "story: comon_cause"), 8, "causal_model.story: got 'comon_cause'"),
        (("  mi: 0.5", "  me: 0.5"), 10, "causal_model.me: unknown field"),
        (("  mi: 0.5", "  mi: .inf"), 10, "causal_model.mi: mi is inf"),
        (("  mi: 0.5", "  mi: [1, 2, 3]"), 10, "causal_model.mi: mi has shape (3,)"),
        (("  mi: 0.5", "  rho_hat: [1, 2, 3]"), 10, "causal_model.rho_hat: rho_hat has shape (3,)"),
        (("  mi: 0.5", "  rho_tilde: 1.0e+140"), 7, "causal_model: weights[0] exceed"),
        (("  mi: 0.5", "  template: {gauss: {}}"), 10, "unknown template 'gauss'"),
        (
            ("  mi: 0.5", "  template: {gaussian: {breadth: 3}}"),
            10,
            "causal_model.template.gaussian.breadth: unknown field",
        ),
        (("  mi: 0.5", "  template: {gaussian: 3}"), 10, "expected its parameters by name"),
        (("  mi: 0.5", "  template: {gaussian: {}, ring: {}}"), 10, "a template is one name"),
        (("  mi: 0.5", "  template: {image: {path: nowhere.png}}"), 10, "nowhere.png"),
        (("  mi: 0.5", "  template: {array: [[1, 2], [3]]}"), 10, "rows of equal length"),
        (("  shape: [1, 4, 4]\n", ""), 7, "the field 'shape' is missing"),
        (("  story: common_cause", "  eta: [1.0]"), 10, "causal_model.mi: unknown field"),
        (("  story: common_cause\n", ""), 7, "give exactly one of"),
        (("modalities:", "modalities: 3\nmore:"), 5, "more: unknown field"),
    ],
)
def test_an_error_points_at_its_field_and_line(tmp_path, change, line, says):
    path = written(tmp_path, STORY.replace(*change))
    with pytest.raises(ConfigurationError) as raised:
        MMMIConfig.from_yaml(path)
    message = str(raised.value)
    assert says in message
    assert f"line {line}:" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected the fields of a configuration"),
        ("[1, 2]", "expected the fields of a configuration"),
        ("a: [", "not valid YAML"),
        ("name: x\n", "'causal_model' is missing"),
        ("name: x\ncausal_model: 3\n", "'modalities' is missing"),
        ("causal_model: {eta: [1]}\nmodalities: 3\n", "modalities: got 3, expected a valid tuple"),
        ("causal_model: 3\nmodalities: []\n", "causal_model: is missing"),
        ("causal_model: {eta: [1], weights: [[1]], shape: [4]}\nmodalities: [{}]\n", "'mixing' is missing"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, says):
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        MMMIConfig.from_yaml(written(tmp_path, text))


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no file"):
        MMMIConfig.from_yaml(tmp_path / "absent.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        MMMIConfig.from_yaml(path)


def test_templates_per_modality_of_different_shape(tmp_path):
    text = """\
modalities: [{pipeline: identity}, {pipeline: asinh}]
causal_model:
  eta: [1.0]
  weights: [[0.3], [0.2]]
  mixing: [[1.0, 0.0], [0.0, 1.0]]
  shape: [[1, 4, 4], [16]]
  templates: [{gaussian: {width: 2}}, ones]
"""
    config = MMMIConfig.from_yaml(written(tmp_path, text))
    assert config.model.shapes == {"x1": (1, 4, 4), "x2": (16,)}
    with pytest.raises(ConfigurationError, match="one per modality"):
        MMMIConfig.from_yaml(written(tmp_path, text.replace("[{gaussian: {width: 2}}, ones]", "[ones]")))


COEFFICIENTS = """\
modalities:
  - pipeline: identity
  - pipeline: asinh
causal_model:
  eta: [1.0, 0.0]
  weights:
    - [0.3, 0.2]
    - [0.1, 0.0]
  mixing:
    - [1.0, 0.0]
    - [0.0, 1.0]
  shape: [[1, 4, 4], [16]]
  templates:
    - [ones, {cosine: {waves: [0, 1, 2]}}]
    - [gaussian, null]
"""


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("[0.1, 0.0]", "[1.0e+140, 0.0]"), 8, "causal_model.weights[1]: weights[1] exceed mixing[1]"),
        (("[0.1, 0.0]", "[0.1, .nan]"), 8, "causal_model.weights[1][1]: weights[1, 1] is nan"),
        (("[0.1, 0.0]", "[0.1, 0.5]"), 15, "causal_model.templates[1][1]: templates[1][1] is None"),
        (("[0.0, 1.0]", "[0.0, 0.0]"), 11, "causal_model.mixing[1]: mixing[1] is all zero"),
        (("[0.0, 1.0]", "[0.5, 1.0]"), 12, "causal_model.shape: shape differs"),
        (("eta: [1.0, 0.0]", "eta: [0.0, 0.0]"), 5, "causal_model.eta: eta is all zero"),
        (("waves: [0, 1, 2]", "waves: [0, 1, 4]"), 14, "causal_model.templates[0][1].cosine: waves is [0, 1, 4]"),
        (("gaussian, null", "gauss, null"), 13, "causal_model.templates: templates names 'gauss'"),
    ],
)
def test_what_the_model_refuses_is_said_at_its_line(tmp_path, change, line, says):
    assert MMMIConfig.from_yaml(written(tmp_path, COEFFICIENTS)).model.mutual_information("x2", "y") > 0
    with pytest.raises(ConfigurationError) as raised:
        MMMIConfig.from_yaml(written(tmp_path, COEFFICIENTS.replace(*change)))
    assert says in str(raised.value)
    assert f"line {line}:" in str(raised.value)


def test_templates_of_a_story_with_modalities_of_different_shape(tmp_path):
    text = """\
modalities: [{pipeline: identity}, {pipeline: asinh}]
causal_model:
  story: common_cause
  shape: [[1, 4, 4], [16]]
  mi: [1.0, 0.5]
  template: [ones, {gaussian: {centre: 4, width: 2}}]
"""
    model = MMMIConfig.from_yaml(written(tmp_path, text)).model
    assert [model.mutual_information(x, "y") for x in model.modalities] == pytest.approx([1.0, 0.5], rel=1e-12)
    assert model.template(1, 0).argmax() == 4
    one = MMMIConfig.from_yaml(written(tmp_path, text.replace("[ones, {gaussian: {centre: 4, width: 2}}]", "ring")))
    assert one.model.template(1, 0).shape == (16,)
    both = text.replace("[ones, {gaussian: {centre: 4, width: 2}}]", "{gaussian: {width: 2}}")
    assert MMMIConfig.from_yaml(written(tmp_path, both)).model.template(0, 0).shape == (1, 4, 4)
    with pytest.raises(ConfigurationError, match=r"causal_model.template: got 1 rows, expected one per modality: 2"):
        MMMIConfig.from_yaml(written(tmp_path, text.replace("[ones, {gaussian: {centre: 4, width: 2}}]", "[ones]")))


def test_a_story_takes_every_coefficient_of_its_function(tmp_path):
    text = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model:
  story: template_ablation
  shape: [8]
  eta: [1.0, 0.0]
  rho_tilde: [[1.0, 2.0], [1.0, 2.0]]
  templates: [[ones, half_plane], [ones, half_plane]]
"""
    model = MMMIConfig.from_yaml(written(tmp_path, text)).model
    assert model.eta.tolist() == [1.0, 0.0]
    assert model.mutual_information("x1", "x2", given="y") > 0.1
    wrong = text.replace("eta: [1.0, 0.0]", "eta: none")
    with pytest.raises(ConfigurationError, match=r"line 5: causal_model.eta: eta is 'none', expected numbers"):
        MMMIConfig.from_yaml(written(tmp_path, wrong))
    with pytest.raises(ConfigurationError, match=r"give exactly one of.*found story, json"):
        MMMIConfig.from_yaml(written(tmp_path, text + "  json: {}\n"))


def test_image_templates_are_found_beside_the_file(tmp_path):
    from PIL import Image

    Image.fromarray(np.full((4, 4), 128, dtype=np.uint8)).save(tmp_path / "mask.png")
    path = written(tmp_path, STORY.replace("  mi: 0.5", "  mi: 0.5\n  template: {image: {path: mask.png}}"))
    assert MMMIConfig.from_yaml(path).model.mutual_information("x1", "y") == pytest.approx(0.5)


def test_the_registry():
    names = list_configurations()
    assert names[:10] == [f"common-cause-{level}" for level in COMMON_CAUSE_LEVELS]
    assert "independent" in names
    configs = [get_configuration(name) for name in names]
    assert len({config.seed for config in configs}) == len(configs)
    assert len({config.digest for config in configs}) == len(configs)
    for config, level in zip(configs, COMMON_CAUSE_LEVELS, strict=False):
        assert config.rows == 10_000
        assert config.model.mutual_information("x1", "y") == pytest.approx(level, rel=1e-12)


def test_the_registry_takes_overrides_and_refuses_unknown_names(tmp_path):
    config = get_configuration("independent", rows=5, seed=8, pipeline="identity", store_latents=True)
    assert (config.rows, config.seed, config.store_latents) == (5, 8, True)
    assert {modality.pipeline for modality in config.modalities} == {"identity"}
    with pytest.raises(
        ConfigurationError, match=r"unknown configuration 'common-cause-1': did you mean common-cause-1"
    ):
        get_configuration("common-cause-1")
    with pytest.raises(ConfigurationError, match="mmmi-hf list"):
        get_configuration("???")
    with pytest.raises(ConfigurationError, match="rows: got 0, expected greater than or equal to 1"):
        get_configuration("independent", rows=0)
    assert get_configuration(str(written(tmp_path, STORY))).name == "mine"


def test_the_names_without_classes_are_those_of_flow():
    from mmmi_hf.dataset.releases.configuration import has_no_classes
    from mmmi_hf.flow import elementwise_bijections, load_bijection

    assert all(load_bijection(name, (3,)).num_classes is None for name in elementwise_bijections())
    assert all(map(has_no_classes, elementwise_bijections()))
    assert not has_no_classes("fashion-mnist")


def test_a_released_name_is_not_taken_by_something_else(tmp_path):
    path = written(tmp_path, STORY.replace("name: mine", "name: independent"))
    with pytest.raises(ConfigurationError, match="belongs to a released configuration"):
        get_configuration(str(path))
    path = written(tmp_path, get_configuration("independent").to_yaml())
    assert get_configuration(str(path)).digest == get_configuration("independent").digest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modalities: &a [*a]\ncausal_model: {}\n", "the alias *a stands in what it repeats"),
        ("modalities: []\ncausal_model: {story: [common_cause], shape: [4]}\n", "causal_model.story: got"),
        (
            "modalities: []\ncausal_model: {eta: 1.0, weights: [[1]], mixing: [[1]], shape: [4]}\n",
            "causal_model.eta: expected a list",
        ),
        ("modalities: []\ncausal_model: {story: common_cause, shape: [4000000000000]}\n", "more than 16777216 entries"),
    ],
)
def test_structures_that_would_overwhelm(tmp_path, text, says):
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        MMMIConfig.from_yaml(written(tmp_path, text))
