"""What classifiers are said to read: only where all of an interval lies on one side of a mark."""

import numpy as np
import pytest
from scipy import stats

from mmmi_hf.benchmark.report.card import benchmark_card
from mmmi_hf.benchmark.report.class_findings import class_findings, read_information
from mmmi_hf.common.yaml_files import parse_file
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.families.interactions import family
from tests.support import ROOT

CARD = ROOT / "model_cards" / "benchmark"


def cells(config, method, excesses, *, inputs=("x1", "x2"), null=False, error=0.001, information=0.25):
    return [
        {
            "config": config,
            "series": "identity, whiten",
            "method": method,
            "inputs": list(inputs),
            "seed": seed,
            "null": null,
            "information": information,
            "calibration": excess,
            "calibration_error": error,
        }
        for seed, excess in enumerate(excesses)
    ]


def test_an_interval_is_student_s_over_seeds_and_never_narrower_than_the_rows_make_it():
    excesses = [0.02, 0.05, 0.03, 0.04]
    read = read_information(cells("c", "early", excesses), 0.05)
    low, high = stats.t.interval(0.95, 3, 0.25 - np.mean(excesses), stats.sem(excesses))
    assert (read["low"], read["high"]) == pytest.approx((low, high))
    read = read_information(cells("c", "early", [0.03] * 4, error=0.02), 0.05)
    assert read["high"] - read["value"] == pytest.approx(stats.t.ppf(0.975, 3) * 0.01)


def test_who_reads_most_part_and_nothing_is_told_apart():
    rows = [
        *cells("synergistic", "early", [0.030, 0.032, 0.028, 0.031]),
        *cells("synergistic", "late", [0.252, 0.254, 0.251, 0.255]),
        *cells("synergistic", "contrastive", [0.120, 0.122, 0.121, 0.119]),
        *cells("synergistic", "linear", [0.02, 0.25, 0.1, 0.2]),  # an interval over everything
        *cells("synergistic", "network", [0.0] * 4, inputs=["x1"]),
        *cells("synergistic", "early", [0.2] * 4, null=True),
    ]
    ((kind, told),) = class_findings("fusion", rows).items()
    assert kind == "Fusion, classification of y, identity, whiten"
    most, part, nothing, rule = told
    assert "4 seeds, 95 % for all 4 classifiers together" in rule
    start = "`synergistic`: of the 0.250 nats that all inputs tell, "
    assert most.startswith(f"{start}more than three quarters are read by `early` 0.220 (0.2")
    assert part.startswith(
        f"{start}more than a tenth and less than three quarters are read by `contrastive` 0.130 (0.1"
    )
    assert nothing.startswith(f"{start}less than a tenth are read by `late` −0.003 (")
    assert "linear" not in " ".join(told)
    assert "network" not in " ".join(told)


def test_two_seeds_and_rows_without_a_posterior_say_nothing():
    assert class_findings("", cells("c", "early", [0.0, 0.0])) == {}
    rows = [{**row, "calibration": None} for row in cells("c", "early", [0.0] * 5)]
    assert class_findings("", rows) == {}


def test_the_configurations_of_the_card_are_those_of_the_family():
    """The same models as `interactions`, on smaller latents."""
    releases = {release.name.removeprefix("interactions-"): release for release in family().releases}
    found = {path.stem: parse_file(path).data for path in sorted((CARD / "fusion").glob("*.yaml"))}
    assert found.keys() == releases.keys()
    for name, fields in found.items():
        config, shape = MMMIConfig(**fields), tuple(fields["causal_model"]["shape"])
        released = MMMIConfig(**{**fields, "causal_model": releases[name].model(shape)})
        assert config.model.digest == released.model.digest
        assert config.model.mutual_information(["x1", "x2"], "y") == pytest.approx(0.25, abs=1e-9)


def test_the_committed_card_says_who_misses_synergy():
    most, nothing = [line for line in benchmark_card(CARD).splitlines() if line.startswith("- `synergistic`: of the")]
    assert "more than three quarters" in most
    assert "`early`" in most
    assert "less than a tenth" in nothing
    for method in ("linear", "late", "contrastive"):
        assert f"`{method}`" in nothing
