"""Findings: a sentence only where an interval backs it; the figures at the top of a card."""

import numpy as np
import pytest

from mmmi_hf.benchmark.protocol.summary import share, summarize
from mmmi_hf.benchmark.report.card import benchmark_card, card_of
from mmmi_hf.benchmark.report.findings import changes_of, findings
from mmmi_hf.benchmark.report.overview import errors_figure, forms_figure, intervals_figure
from mmmi_hf.figures.style import save
from tests.benchmark.report.test_summary import ROWS, row, write_section


def cells(estimator, errors, *, reach=0.1, form="float", nulls=()):
    """Cells of three levels in turn, with these errors."""
    rows = [
        {**row((0.5, 1.0, 2.0)[k % 3], k // 3, (0.5, 1.0, 2.0)[k % 3] + error, estimator=estimator), "form": form}
        for k, error in enumerate(errors)
    ]
    rows += [{**row(2.0, k, value, estimator=estimator, null=True), "form": form} for k, value in enumerate(nulls)]
    for each in rows:
        each |= {"low": each["value"] - reach, "high": each["value"] + reach, "standard_error": reach / 2}
    return rows


def said(rows, bounds=None):
    told = findings("images", summarize(rows), rows, bounds or {})
    return [sentence for sentences in told.values() for sentence in sentences]


def test_a_side_is_told_only_where_nearly_all_cells_are_on_it():
    low, fair = cells("low", [-0.3] * 15), cells("fair", [0.05, -0.05, 0.04] * 5)
    (sentence, short) = said([*low, *fair])
    assert sentence.startswith("1 of 2 estimators read less than there is")
    assert "`low` (−0.300 nats; 100 % of 15 (" in sentence
    part = share([True] * 15, error=0.025)
    assert f"({100 * part['low']:.0f}–100 %)" in sentence
    assert short.startswith("intervals that state 95 % hold the truth less often for 1 of 2 estimators: 0 % of 15")
    assert said(cells("low", [-0.3] * 3))[0].startswith("intervals"), "three cells say nothing about a side"
    assert said(fair) == []


def test_upper_bounds_are_called_so():
    rows = cells("vclub", [0.3] * 15)
    assert said(rows, {"vclub": "upper"})[0].startswith("`vclub`, an upper bound, (0.300 nats")
    assert said(rows)[0].startswith("`vclub` (0.300 nats")


def test_what_the_oracle_misses_is_beside_what_others_miss():
    oracle, other = cells("oracle-dv", [-0.3, 0.05, 0.0] * 5), cells("dv", [-0.3] * 15)
    first, _, short = said([*oracle, *other])
    assert first.startswith("the exact critic has an RMSE of 0.176 nats in 15 cells")
    assert short.endswith("for the exact critic 67 % of 15 (38–88 %).")
    assert "`oracle-dv`" not in " ".join(said([*oracle, *other])), "oracles are no competitors"


@pytest.mark.statistical
def test_alarms_are_told_where_there_are_too_many_for_so_many_estimators():
    """Intervals of 95 % that are right give an alarm in one of 40 nulls: none of 20 estimators is named for it."""
    generator = np.random.default_rng(0)
    fair = [cells(f"e{k}", [0.0] * 3, nulls=list(0.05 * generator.standard_normal(5)), reach=0.098) for k in range(20)]
    rows = [each for of_one in fair for each in of_one]
    alarms = sum(each["low"] > 0 for each in rows if each["null"])
    print(alarms, "of 100 intervals lie above 0")
    assert not [sentence for sentence in said(rows) if "where there is nothing" in sentence]
    wrong = cells("minde", [0.0] * 3, nulls=[0.2] * 5)
    (sentence,) = [sentence for sentence in said([*rows, *wrong]) if "where there is nothing" in sentence]
    assert "`minde` (100 % of 5 (" in sentence
    assert "mean 0.200 nats" in sentence
    assert "`e0`" not in sentence


def test_forms_are_compared_on_the_same_rows():
    latents = cells("dv", [0.0] * 3, reach=0.02, form="latents", nulls=[0.0])
    floats = cells("dv", [-0.5, -0.4, -0.3], reach=0.02, nulls=[0.0])
    views = cells("dv", [0.01, -0.01, 0.0], reach=0.02, form="views")
    oracle = cells("oracle-dv", [0.0] * 3, form="latents") + cells("oracle-dv", [0.3] * 3)
    rows = [*latents, *floats, *views, *oracle]
    changes = changes_of(rows, "float")
    assert list(changes) == ["dv"]
    assert changes["dv"]["value"] == pytest.approx(-0.4)
    reach = 1.959964 * np.sqrt(3 * 2 * 0.01**2) / 3
    assert changes["dv"]["high"] == pytest.approx(-0.4 + reach, abs=1e-6)
    told = findings("forms", [], rows, {})
    assert told == {
        "Forms, the same rows in several forms": [
            "of the images made of them, 1 of 1 estimators read less than of the latents of the same rows, most of all "
            f"`dv` (by −0.400 (−{0.4 + reach:.3f} … −{0.4 - reach:.3f}) nats)."
        ]
    }
    assert findings("forms", [], floats, {}) == {}


def test_the_three_figures_are_the_same_bytes_again(tmp_path):
    rows = [*ROWS, row(1.0, 0, 40.0, estimator="wild"), row(1.0, 0, None, estimator="broken")]
    several = [{**each, "form": form} for each in rows for form in ("latents", "float", "views")]
    first, again = (
        [
            save(figure, tmp_path / str(index))[0].read_bytes()
            for index, figure in enumerate(
                (errors_figure({"a": rows, "b": ROWS}), intervals_figure(summarize(rows)), forms_figure(several))
            )
        ]
        for _ in range(2)
    )
    assert first == again
    panels = errors_figure({"a": rows, "b": ROWS}).axes
    assert [panel.get_title() for panel in panels] == ["a", "b"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["dv", "wild", "broken"]
    assert [panel.get_title() for panel in forms_figure(several).axes] == [
        "null",
        "0.5 nats",
        "1 nats",
        "1.5 nats",
        "2 nats",
    ]


def test_a_card_has_findings_figures_and_what_is_added(tmp_path):
    write_section(tmp_path / "1-images")
    (tmp_path / "remarks.md").write_text("## Withdrawn\n\nA claim.\n")
    text = benchmark_card(tmp_path)
    assert "## Findings" in text
    assert "- **Images, I(x1; y), identity, whiten**\n" in text
    assert "## Withdrawn\n\nA claim." in text
    assert "overview/" not in text, "nothing was drawn yet"
    card = card_of(tmp_path)
    assert [path.name for path in card.draw()] == ["errors.png", "intervals.png"]
    card.write()
    assert card.stale_lines() == []
    text = (tmp_path / "README.md").read_text()
    assert text.count("(overview/errors.png)") == 1
    assert text.index("overview/errors.png") < text.index("## Contents") < text.index("<details>")


def test_of_values_of_training_rows_the_null_is_told():
    rows = [*cells("dv", [2.0] * 3, nulls=[2.1, 2.4]), *cells("nwj", [1.0] * 3, nulls=[3.0])]
    told = findings("recipe", summarize(rows), rows, {}, seen=True)
    assert list(told.values()) == [
        [
            "of pairs that share nothing, all 3 values of training rows, of 2 estimators, lie between 2.100 and 3.000 "
            "nats."
        ]
    ]
    fair = cells("dv", [0.0] * 3, nulls=[0.1, -0.1])
    assert list(findings("recipe", summarize(fair), fair, {}, seen=True).values()) == [[]]
