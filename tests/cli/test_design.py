"""`mmmi-hf design`: what it prints, the YAML that it writes, and requests that are wrong."""

from __future__ import annotations

import json
from functools import partial

import pytest

from mmmi_hf.causal import design
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.pipelines import DEFAULT_PIPELINE
from mmmi_hf.dataset.releases.registry import get_configuration


@pytest.fixture
def run(run, tmp_path, monkeypatch):
    """`mmmi-hf design` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run, "design")


SEVERAL = ("--want", "I(x1;y)=1", "--want", "I(x2;y)=0.5", "--want", "I(x1;x2)=2")
SEARCH = ("--story", "decaying_modalities", "--solve-for", "beta", "--set", "alpha=1.4", "--want", "I(x2;y)=1")


def test_several_values_and_the_file(run, tmp_path):
    code, out, err = run(*SEVERAL, "--out", "story.yaml", "--rows", 50, "--seed", 3)
    assert (code, err) == (0, "")
    for shown in (
        "orthogonal templates: 2 modalities of 1×32×32",
        "0.0789893",
        "cosine of waves [0, 1, 0]",
        "2.000000",
    ):
        assert shown in out
    assert "mmmi-hf generate story.yaml" in out
    config = get_configuration("story.yaml")
    assert (config.rows, config.seed, config.name) == (50, 3, "story")
    assert config.modalities == (Modality(DEFAULT_PIPELINE, 0), Modality(DEFAULT_PIPELINE, 1))
    wanted = {"I(x1;y)": 1.0, "I(x2;y)": 0.5, "I(x1;x2)": 2.0}
    assert config.model.digest == design.for_values((1, 32, 32), wanted).model.digest
    code, _, err = run(*SEVERAL, "--out", "story.yaml")
    assert code == 2
    assert "exists already" in err


def test_json(run):
    code, out, _ = run(*SEVERAL, "--format", "json")
    shown = json.loads(out)
    assert code == 0
    assert shown["achieved"] == pytest.approx(shown["wanted"], abs=1e-9)
    assert shown["weights"] == shown["causal_model"]["weights"]
    assert shown["quantities"]["I(x1;x2)"] == pytest.approx(2.0)
    assert shown["file"] is None


def test_a_search(run):
    code, out, _ = run(*SEARCH, "--modalities", 3, "--shape", "16", "--pipeline", "identity", "--out", "found.yaml")
    assert code == 0
    assert "decaying_modalities with beta solved for: 3 modalities of 16" in out
    config = get_configuration("found.yaml")
    assert config.causal_model["beta"] > 1
    assert config.modalities == (Modality("identity"),) * 3
    assert config.model.mutual_information("x2", "y") == pytest.approx(1.0, abs=1e-9)


def test_a_search_with_named_arguments(run):
    search = ("--story", "two_telescopes", "--solve-for", "rho_tilde_1", "--set", "target=mass", "--shape", "4,4")
    code, out, _ = run(*search, "--want", "I(x1;y)=0.5", "--format", "json", "--out", "t.yaml")
    assert code == 0
    assert json.loads(out)["causal_model"]["target"] == "mass"
    assert get_configuration("t.yaml").model.mutual_information("x1", "y") == pytest.approx(0.5, abs=1e-9)


def test_an_infinite_decay_is_strict_json(run):
    search = ("--story", "decaying_modalities", "--solve-for", "beta", "--set", "alpha=2", "--shape", "3")
    code, out, _ = run(*search, "--modalities", 2, "--want", "I(x2;y)=0", "--format", "json", "--out", "t.yaml")
    shown = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert shown["parameters"] == {"beta": "inf"}
    assert get_configuration("t.yaml").model.mutual_information("x2", "y") == 0.0


def test_modalities_of_unlike_shape(run):
    code, out, _ = run("--want", "I(x1;x2)=1", "--shape", "1x32x32", "--shape", "64", "--out", "two.yaml")
    assert code == 0
    assert "one common cause: x1 1×32×32, x2 64" in out
    config = MMMIConfig.from_yaml("two.yaml")
    assert config.modalities == (Modality(DEFAULT_PIPELINE, 0), Modality("identity"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--want"),
        (("--want", "I(x1;y)"), "expected a name and a number"),
        (("--want", "=2"), "expected a name and a number"),
        (("--want", "I(x1;y)=1", "--want", "I(x1;y)=2"), "wanted twice"),
        (("--want", "I(x1;y)=1", "--want", "I(y;x1)=2"), "are the same quantity"),
        (("--want", "I(x1;y)=-1"), "the nearest value that can be had is 0"),
        (
            ("--want", "I(x1;y)=1", "--want", "I(x2;y)=1", "--want", "I(x1;x2)=.1"),
            "the nearest value of this family is 0.68845936980",
        ),
        (("--want", "I(x1;y)=1", "--shape", "a"), "expected whole numbers"),
        (("--want", "I(x1;y)=1", "--shape", "0"), "shape is (0,)"),
        (("--want", "I(x1;y)=1", "--solve-for", "beta"), "need --story"),
        (("--want", "I(x1;y)=1", "--story", "common_cause"), "--solve-for"),
        ((*SEARCH, "--within", "3"), "expected two numbers"),
        ((*SEARCH, "--within", "3,2"), "within is"),
        ((*SEARCH, "--root", "4"), "root is 4"),
        ((*SEARCH, "--set", "gamma=4"), "gamma is no further argument"),
        ((*SEARCH, "--set", "gamma"), "expected e.g."),
        ((*SEARCH, "--set", "modalities=2.5"), "modalities is 2.5"),
        ((*SEARCH, "--within", "0.5,1", "--want", "I(x1;y)=2"), "wanted has 2 quantities"),
        (
            ("--story", "decaying_modalities", "--solve-for", "beta", "--set", "alpha=1", "--want", "I(x2;y)=0.1"),
            "singular covariance",
        ),
        (("--want", "I(x1;y)=1", "--out", "story.json"), "ends in .yaml"),
        (("--want", "I(x1;y)=1", "--out", "independent.yaml"), "name of a released configuration"),
        (("--want", "I(x1;y)=1", "--out", "absent/story.yaml"), "cannot be written"),
        (("--want", "I(x1;y)=1", "--pipeline", "absent"), "absent"),
    ],
)
def test_wrong_requests_are_one_line_and_exit_code_two(run, tmp_path, arguments, says):
    code, out, err = run(*arguments)
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1
    assert out == ""
    assert not list(tmp_path.iterdir())
