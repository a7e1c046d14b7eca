"""Findings: a sentence only where an interval backs it; the figures at the top of a card."""

import math

import numpy as np
import pytest
from scipy import stats

from mmmi_hf.benchmark.protocol.summary import summarize
from mmmi_hf.benchmark.report.card import benchmark_card, card_of
from mmmi_hf.benchmark.report.findings import changes_of, findings, median, rmse_of
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
    """All but what is said of order, which has tests of its own."""
    told = findings("images", rows, bounds or {})
    return [sentence for sentences in told.values() for sentence in sentences if "levels" not in sentence]


def test_a_side_is_told_only_where_nearly_all_cells_are_on_it():
    low, fair = cells("low", [-0.3] * 15), cells("fair", [0.05, -0.05, 0.04] * 5)
    (sentence, short) = said([*low, *fair])
    assert sentence == (
        "1 of 2 estimators reads too little in more than half of 15 cells: in the median, "
        "`low` by 0.300 (0.300 … 0.300) nats.\n"
        "Read too little, by a median of so many nats: `low` 0.300 (0.300 … 0.300)."
    )
    assert short.startswith(
        "stated intervals of 95 %, which are of the sampling of test rows only, hold the truth less"
    )
    assert "for 1 of 2 estimators: in 0 % of 15 cells (0–" in short
    assert short.split("\n")[1].endswith("%): `low`.")
    assert said(cells("low", [-0.3] * 3))[0].startswith("stated intervals"), "three cells say nothing about a side"
    assert said(fair) == []


def test_one_wild_cell_moves_neither_the_median_nor_its_interval():
    errors = [-0.1 * (k + 1) for k in range(15)]
    wild = [*errors[:-1], -400.0]
    assert said(cells("js", wild, reach=1e3)) == said(cells("js", errors, reach=1e3))
    assert "`js` by 0.800 (0.400 … 1.200) nats" in said(cells("js", wild, reach=1e3))[0]


def test_all_estimators_of_a_side_are_listed_with_their_intervals_the_nearest_first():
    rows = [*cells("a", [-0.3] * 15), *cells("b", [-0.1] * 15), *cells("c", [-0.2] * 15)]
    claim, every = said(rows)[0].split("\n")
    assert claim.endswith("in the median, `b` by 0.100 (0.100 … 0.100) to `a` by 0.300 (0.300 … 0.300) nats.")
    assert every.endswith("`b` 0.100 (0.100 … 0.100); `c` 0.200 (0.200 … 0.200); `a` 0.300 (0.300 … 0.300).")


def test_the_interval_of_a_median_is_the_narrowest_that_the_binomial_law_allows():
    """Chance that the median of a law lies outside two order statistics: sums of the binomial law, by hand."""
    for count, error in ((15, 0.05), (15, 0.05 / 20), (20, 0.01), (5, 0.2)):
        found = median([float(k) for k in range(count)], error)
        assert found["value"] == (count - 1) / 2
        below = int(found["low"]) + 1
        assert found["high"] == count - below
        outside = [2 * sum(math.comb(count, k) for k in range(j)) / 2**count for j in (below, below + 1)]
        assert outside[0] <= error < outside[1]
    assert median([1.0, 2.0, 3.0], 0.05) is None


def test_the_interval_of_an_rmse_is_that_of_a_chi_square():
    errors = [0.3, -0.1, 0.2, -0.4]
    found = rmse_of(errors, [0.2] * 4)
    total = np.sum(np.square(errors))
    assert found["value"] == pytest.approx(math.sqrt(total / 4))
    assert found["low"] == pytest.approx(math.sqrt(total / stats.chi2.ppf(0.975, 4)))
    assert found["high"] == pytest.approx(math.sqrt(total / stats.chi2.ppf(0.025, 4)))
    alone = rmse_of(errors, [1.0, 1e-6, 1e-6, 1e-6])
    assert alone["high"] == pytest.approx(math.sqrt(total / 4 / stats.chi2.ppf(0.025, 1))), (
        "one cell has all the weight"
    )


@pytest.mark.statistical
def test_the_interval_of_an_rmse_holds_with_unequal_cells():
    generator = np.random.default_rng(0)
    deviations = np.repeat([0.02, 0.05, 0.1], 5)
    truth, held, tries = math.sqrt(np.mean(deviations**2)), 0, 2000
    for errors in deviations * generator.standard_normal((tries, 15)):
        found = rmse_of(list(errors), list(deviations))
        held += found["low"] <= truth <= found["high"]
    z = (held / tries - 0.95) / math.sqrt(0.95 * 0.05 / tries)
    print(f"{held} of {tries} intervals hold the RMSE: z = {z:.2f}")
    assert abs(z) < 4


def test_upper_bounds_are_called_so():
    rows = cells("vclub", [0.3] * 15)
    told = "1 of 1 estimators reads too much in more than half of 15 cells: in the median, `vclub`"
    assert said(rows, {"vclub": "upper"})[0].startswith(f"{told} (an upper bound) by 0.300 (0.300 … 0.300) nats")
    assert said(rows)[0].startswith(f"{told} by 0.300")


def test_what_the_oracle_misses_is_beside_what_others_miss():
    oracle, other = cells("oracle-dv", [-0.3, 0.05, 0.0] * 5), cells("dv", [-0.3] * 15)
    _, short, last = said([*oracle, *other])
    assert last.startswith("the exact critic, told the model, has an RMSE of 0.176 (0.")
    assert last.endswith(") nats in 15 cells, from the sampling of test rows: a yardstick, no limit.")
    assert short.split("\n")[0].endswith("for the exact critic in 67 % of 15 cells (38–88 %).")
    assert "`oracle-dv`" not in " ".join(said([*oracle, *other])), "oracles are no competitors"
    silent = [{**each, "standard_error": None} for each in oracle]
    assert "RMSE" not in " ".join(said([*silent, *other])), "without an interval nothing is said"


@pytest.mark.statistical
def test_alarms_are_told_where_there_are_too_many_for_so_many_estimators():
    """Intervals of 95 % that are right give an alarm in one of 40 nulls: none of 20 estimators is named for it."""
    generator = np.random.default_rng(0)
    fair = [cells(f"e{k}", [0.0] * 3, nulls=list(0.05 * generator.standard_normal(5)), reach=0.098) for k in range(20)]
    rows = [each for of_one in fair for each in of_one]
    alarms = sum(each["low"] > 0 for each in rows if each["null"])
    print(alarms, "of 100 intervals lie above 0")
    assert not [sentence for sentence in said(rows) if "lie above 0" in sentence]
    wrong = cells("minde", [0.0] * 3, nulls=[0.2] * 5)
    (sentence,) = [sentence for sentence in said([*rows, *wrong]) if "lie above 0" in sentence]
    assert sentence.startswith(
        "of pairs that share nothing, stated intervals, which are of the sampling of test rows only"
    )
    assert "for 1 of 21 estimators (`minde`): in 100 % of 5 cells (" in sentence
    assert "its values from 0.200 to 0.200 nats" in sentence
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
    told = findings("forms", rows, {})
    less = f"0.400 ({0.4 - reach:.3f} … {0.4 + reach:.3f})"
    assert told == {
        "Forms, the same rows in several forms": [
            "as trained here, once a level, 1 of 1 estimators reads less of the images than of the latents of the same "
            f"rows: `dv` by {less} nats.\nRead less of the images than of the latents, by so many nats: `dv` {less}.",
            "how another training would differ is in none of these intervals, and may be all that differs.",
        ]
    }
    assert "in several forms" not in "".join(findings("forms", floats, {}))
    twice = [*rows, *({**each, "seed": 1} for each in rows)]
    (first, _) = findings("forms", twice, {})["Forms, the same rows in several forms"]
    assert first.startswith("as trained here, 2 times a level, ")
    dim = [*latents, *cells("dv", [-0.5] * 3, reach=0.02, form="views")]
    (first, _) = findings("forms", dim, {})["Forms, the same rows in several forms"]
    assert "less of the 8-bit pictures (which may carry less information than floats) than of the latents" in first


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
    many = errors_figure({**dict.fromkeys("abcd", rows), "e": ROWS})
    assert [panel.get_subplotspec().rowspan.start for panel in many.axes] == [0, 0, 0, 0, 1], "four abreast"
    assert [label.get_text() for label in many.axes[-1].get_yticklabels()] == ["dv"], "of its own row alone"
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
    assert "\n\n**Images, I(x1; y), identity, whiten**\n\n- 1 of 1 estimators reads too little" in text
    folded = text[text.index("<summary>Every estimator and comparison behind") : text.index("## Withdrawn")]
    assert "**Images, I(x1; y), identity, whiten**\n\n- Read too little, by a median of so many nats: `dv`" in folded
    assert "## Withdrawn\n\nA claim." in text
    assert "overview/" not in text, "nothing was drawn yet"
    card = card_of(tmp_path)
    assert [path.name for path in card.draw()] == ["errors.png", "intervals.png"]
    card.write()
    assert card.stale_lines() == []
    text = (tmp_path / "README.md").read_text()
    assert text.count("(overview/errors.png)") == 1
    assert "\n*Estimate − truth of every cell" in text
    assert "◀ and ▶ are values beyond the edge.*" in text
    assert "bars do not hold for all estimators together" in text, "as intervals of findings do"
    assert text.index("overview/errors.png") < text.index("## Contents") < text.index("<summary>All values")


def test_the_first_page_has_what_front_txt_names_and_the_rest_is_folded(tmp_path):
    for name in ("1-latents", "2-images", "3-more"):
        write_section(tmp_path / name)
    whole = benchmark_card(tmp_path)
    assert "The other findings" not in whole
    (tmp_path / "front.txt").write_text("3-more\n1-latents 1\n")
    text = benchmark_card(tmp_path)
    shown, folded = text[text.index("## Findings") : text.index("<summary>Every")].split("<summary>The other findings")
    assert [line for line in shown.splitlines() if line.startswith("**")] == [
        "**More, I(x1; y), identity, whiten**",
        "**Latents, I(x1; y), identity, whiten**",
    ]
    assert "**Images, I(x1; y), identity, whiten**" in folded
    assert "**Latents, I(x1; y), identity, whiten**" in folded, "its other sentences"
    bullets = [line for line in whole[: whole.index("<details>")].splitlines() if line.startswith("- ")]
    assert sorted(line for part in (shown, folded) for line in part.splitlines() if line[:2] == "- ") == sorted(bullets)


@pytest.mark.parametrize("line", ["2-images", "1-latents 1 2", "1-latents one", "", "1-latents -1"])
def test_a_wrong_line_of_front_txt_is_refused(line, tmp_path):
    write_section(tmp_path / "1-latents")
    (tmp_path / "front.txt").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"front\.txt: a line is a section's folder and how many sentences"):
        benchmark_card(tmp_path)


def test_figures_show_the_images_of_several_forms_where_these_have_seeds_enough(tmp_path):
    forms = [
        {**each, "form": form}
        for form in ("latents", "float", "views")
        for each in cells("dv", [-0.3] * 9, nulls=[0.0] * 3)
    ]
    for seeds, drawn in ((3, ["errors.png", "intervals.png", "forms.png"]), (1, ["forms.png"])):
        write_section(tmp_path / f"of-{seeds}", rows=[each for each in forms if each["seed"] < seeds])
        card = card_of(tmp_path / f"of-{seeds}")
        assert [path.name for path in card.draw()] == drawn


def test_the_number_of_sentences_that_may_err_is_told(tmp_path):
    write_section(tmp_path / "1-images")
    text = benchmark_card(tmp_path)
    found = text[text.index("## Findings") : text.index("<details>")]
    assert f"and there are {found.count(chr(10) + '- ')} of them" in found


def test_of_values_of_training_rows_order_and_null_are_told():
    rows = [*cells("dv", [2.0] * 3, nulls=[2.1, 2.4]), *cells("nwj", [1.0] * 3, nulls=[3.0])]
    ((order, null),) = findings("recipe", rows, {}, seen=True).values()
    assert order.startswith(
        "by values of training rows, 2 of 2 estimators have all levels in their order, which does not"
    )
    assert null == (
        "of pairs that share nothing, all 3 values of training rows, of 2 estimators, lie between 2.100 and 3.000 "
        "nats, those of pairs that share most, 2.000 nats, between 3.000 and 4.000. They were made by the paper's "
        "recipe."
    )
    told = findings("recipe", rows, {}, seen=True, differs=["width 8 (the paper: 256)", "layers 2 (…)"])
    assert next(iter(told.values()))[1].endswith("recipe, but for width 8 (the paper: 256), layers 2 (…).")
    fair = cells("dv", [0.0] * 3, nulls=[0.1, -0.1])
    ((_, null),) = findings("recipe", fair, {}, seen=True).values()
    assert "of 1 estimator, lie between −0.100 and 0.100 nats" in null, "told whatever it is"
    ((order,),) = findings("recipe", cells("dv", [0.0] * 3), {}, seen=True).values()
    assert "nothing" not in order, "without a null"


def test_so_few_nulls_that_no_number_of_alarms_would_tell_are_told_with_their_range():
    rows = [*cells("minde", [0.0] * 3, nulls=[0.2]), *cells("dv", [0.0] * 3, nulls=[-0.05])]
    (sentence,) = said(rows)
    assert sentence == (
        "of pairs that share nothing, values lie between −0.050 and 0.200 nats, and an interval lies above 0 for 1 "
        "of 2 estimators (`minde`): too few nulls to tell how often."
    )
    silent = cells("package", [0.0] * 3, nulls=[0.4])  # a value without an interval
    for each in silent:
        each |= {"low": None, "high": None, "standard_error": None}
    (sentence,) = said([*rows, *silent])
    assert "values lie between −0.050 and 0.400 nats, and an interval lies above 0 for 1 of 2 estimators" in sentence
    two = stats.beta.ppf(0.05 / 2, 2, 1)  # of one estimator, two alarms of two: at least 16 %
    assert two > 0.05
    assert "too few" not in " ".join(said(cells("minde", [0.0] * 3, nulls=[0.2, 0.2])))
    assert said(cells("dv", [0.0] * 3)) == [], "without a null"


def test_cells_without_a_value_are_counted_where_a_side_is_told():
    rows = cells("flo", [-0.3] * 15, reach=1e3)
    rows[0] |= {"value": None, "low": None, "high": None, "standard_error": None}
    (sentence,) = said(rows)
    assert "too little in more than half of 15 cells: in the median, `flo` (of the 14 of 15 cells with a value) by" in (
        sentence
    )


def test_all_levels_are_told_whatever_their_numbers_of_training_rows():
    """Of each level those with most: a level with fewer is not left out."""
    rows = [{**each, "n": 100 if each["config"] == "level-0.5" else 200} for each in cells("low", [-0.3] * 15)]
    curve = [{**each, "n": 50, "value": 9.0} for each in rows]
    ((kind, sentences),) = findings("levels", [*curve, *rows], {}).items()
    assert kind == "Levels, I(x1; y), identity, whiten, 100 or 200 training rows"
    assert "in more than half of 15 cells: in the median, `low` by 0.300 (0.300 … 0.300)" in sentences[0]


def test_of_three_seeds_forms_are_compared_by_seeds_and_images_are_told_as_any_data():
    changes = np.array([[-0.5, -0.4, -0.3], [-0.6, -0.6, -0.6], [-0.3, -0.3, -0.1], [-0.5, -0.2, -0.2]])
    latents = cells("dv", [0.0] * 12, reach=0.02, form="latents")
    floats = cells("dv", list(changes.ravel()), reach=0.02)
    rows = [*latents, *floats]
    rows = [{**each, "series": f"{each['series']}, latents"} if each["form"] == "latents" else each for each in rows]
    means = changes.mean(axis=1)
    low, high = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))
    found = changes_of(rows, "float")["dv"]
    assert [found[name] for name in ("value", "low", "high")] == pytest.approx([means.mean(), low, high])
    several, images = findings("white", rows, {}).items()
    assert several[0] == "White, the same rows in several forms"
    assert several[1][0].startswith("as trained here, 4 times a level, 1 of 1 estimators reads less of the images")
    assert several[1][-1] == (
        "intervals are Student's over 4 seeds, with rows and trainings of their own, of means over levels."
    )
    assert images[0] == "White, I(x1; y), identity, whiten", "not the latents"
    assert "in more than half of 12 cells" in images[1][0]
    floats[0] |= {"value": None}
    low, high = stats.t.interval(0.95, 2, means[1:].mean(), stats.sem(means[1:]))
    gone = [
        {**each, "value": None} if (each["form"], each["seed"], each["truth"]) == ("float", 0, 0.5) else each
        for each in rows
    ]
    assert changes_of(gone, "float")["dv"]["low"] == pytest.approx(low), "a seed without one of the levels is left out"
    two = [each for each in gone if each["seed"] < 3]
    assert changes_of(two, "float") == {}, "two whole seeds of three are too few"
    assert changes_of([each for each in rows if each["seed"] < 2], "float")["dv"]["high"] < -0.4, "by test rows"


def test_beside_the_papers_table_stand_values_and_no_verdict(tmp_path):
    """Whether levels are ordered is told by the rule of order: a mark set by a few resampled levels is none."""
    write_section(tmp_path)
    text = benchmark_card(tmp_path)
    assert "| the exact critic (`oracle-dv`) | – | – |" in text
    assert "ordered as well" not in text
    assert "not below" not in text
