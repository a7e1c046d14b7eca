"""Summaries against plain formulas, tables and pictures of awkward results, cards."""

import json
import math

import numpy as np
import pytest

from mmmi_hf.benchmark.estimators.variational import PAPER_TABLE_1 as EIGHT
from mmmi_hf.benchmark.protocol.summary import (
    PAPER_TABLE_1,
    beside_paper,
    curves_markdown,
    digits,
    markdown,
    share,
    summarize,
)
from mmmi_hf.benchmark.report.card import benchmark_card, card_of
from mmmi_hf.benchmark.report.plots import bias_figure, curves_figure, truth_figure
from mmmi_hf.cli.cards import main
from mmmi_hf.common.files import slug
from mmmi_hf.figures.style import save


def row(level, seed, value, *, null=False, estimator="dv", error=0.1):
    return {
        "config": f"level-{level}",
        "series": "identity, whiten",
        "a": "x1",
        "b": "y",
        "estimator": estimator,
        "seed": seed,
        "n": 100,
        "null": null,
        "form": "float",
        "abstained": False,
        "truth": 0.0 if null else level,
        "value": value,
        "low": None if value is None or error is None else value - 2 * error,
        "high": None if value is None or error is None else value + 2 * error,
        "standard_error": error,
        "train_rows": [0, 100],
        "validation_rows": [0, 20],
        "test_rows": [0, 20],
    }


GENERATOR = np.random.default_rng(0)
ROWS = [
    row(level, seed, level - 0.2 + 0.05 * GENERATOR.standard_normal())
    for level in (0.5, 1.0, 1.5, 2.0)
    for seed in (0, 1)
] + [row(2.0, 0, -0.01, null=True), row(2.0, 1, 0.03, null=True)]


def test_statistics_are_the_plain_ones():
    (group,) = summarize(ROWS)
    known = ROWS[:8]
    truth, value = (np.array([r[name] for r in known]) for name in ("truth", "value"))
    assert group["cells"] == 8
    assert group["correlation"]["value"] == pytest.approx(np.corrcoef(truth, value)[0, 1])
    assert group["bias"]["value"] == pytest.approx(np.mean(value - truth))
    assert group["rmse"]["value"] == pytest.approx(np.sqrt(np.mean((value - truth) ** 2)))
    assert group["variance"]["value"] == pytest.approx(np.mean(np.var(value.reshape(4, 2), axis=1, ddof=1)))
    assert group["null"] == {"value": pytest.approx(0.01), "low": -0.01, "high": 0.03, "cells": 2}
    for name in ("correlation", "bias", "rmse", "variance"):
        assert group[name]["low"] <= group[name]["value"] <= group[name]["high"]
    assert summarize(ROWS) == [group]


@pytest.mark.statistical
def test_intervals_are_those_of_levels_with_all_their_seeds():
    """What the seeds of a level share counts once; of a single level the seeds are resampled."""
    generator = np.random.default_rng(1)
    shared = generator.standard_normal(10)
    rows = [row(0.25 * k, seed, 0.25 * k + shared[k], null=False) for k in range(10) for seed in (0, 1)]
    (group,) = summarize(rows)
    width = 2 * 1.96 * shared.std() / np.sqrt(10)
    assert group["bias"]["high"] - group["bias"]["low"] == pytest.approx(width, rel=0.1)
    values = generator.standard_normal(12)
    (alone,) = summarize([row(1.0, seed, value) for seed, value in enumerate(values)])
    width = 2 * 1.96 * values.std() / np.sqrt(12)
    assert alone["bias"]["high"] - alone["bias"]["low"] == pytest.approx(width, rel=0.1)


def test_what_cannot_be_had_is_none():
    few = [row(1.0, 0, 0.9), row(2.0, 0, None)]
    (group,) = summarize(few)
    assert (group["cells"], group["failed"]) == (1, 1)
    assert group["correlation"] is None
    assert group["variance"] is None
    assert group["null"] is None
    assert group["bias"] == {"value": pytest.approx(-0.1), "low": None, "high": None}
    assert "1 (1 failed)" in markdown([group])
    assert beside_paper([("a", False, [group])]) == "", "one level has no correlation"
    assert summarize([*few, row(2.0, 0, None, null=True)])[0]["failed"] == 1, "nulls are counted apart, as cells are"
    (nothing,) = summarize([row(1.0, 0, None)])
    assert nothing["bias"] is None
    assert "–" in markdown([nothing])


def test_intervals_false_alarms_and_cannot_say_are_scored():
    """Coverage and alarms by hand; who cannot say has the error of the mean level, which is 1 here."""
    rows = [
        row(0.5, 0, 0.55, error=0.05),
        row(1.0, 0, 1.2, error=0.05),
        {**row(1.5, 0, None), "abstained": True},
        row(1.0, 1, None),
        row(1.5, 0, 0.3, null=True, error=0.1),
        row(1.5, 1, -0.1, null=True, error=0.01),
    ]
    (group,) = summarize(rows)
    assert (group["cells"], group["abstained"], group["failed"]) == (2, 1, 1)
    assert (group["coverage"]["value"], group["coverage"]["cells"]) == (0.5, 2)
    assert (group["alarms"]["value"], group["alarms"]["cells"]) == (0.5, 2), "an interval below 0 is no alarm"
    squares = [0.05**2, 0.2**2, 0.5**2, 0.0]
    assert group["score"]["value"] == pytest.approx(np.sqrt(np.mean(squares)))
    assert group["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(squares[:2])))
    text = markdown([group])
    assert "2 (1 cannot say, 1 failed)" in text
    assert "| 50 % of 2 |" in text
    (silent,) = summarize([row(1.0, 0, None, error=None)])
    assert silent["coverage"] is None
    assert silent["alarms"] is None


def test_shares_have_exact_intervals():
    """At its ends, what was found is just as unlikely as the interval says: by the sums of the binomial law."""
    found = share([True] * 8 + [False] * 2)
    assert sum(math.comb(10, k) * found["low"] ** k * (1 - found["low"]) ** (10 - k) for k in range(8, 11)) == (
        pytest.approx(0.025)
    )
    assert sum(math.comb(10, k) * found["high"] ** k * (1 - found["high"]) ** (10 - k) for k in range(9)) == (
        pytest.approx(0.025)
    )
    wider = share([True] * 8 + [False] * 2, error=0.01)
    assert wider["low"] < found["low"] < 0.8 < found["high"] < wider["high"]
    assert (share([True] * 3)["high"], share([False] * 3)["low"]) == (1.0, 0.0)
    assert share([]) is None


def test_numbers_have_a_minus_where_they_are_negative():
    assert [digits(number) for number in (1.23456, -1.23456, -0.0004, 0.0)] == ["1.235", "−1.235", "0.000", "0.000"]


def test_the_papers_table_has_the_eight_estimators():
    assert tuple(PAPER_TABLE_1) == EIGHT


def test_the_papers_table_stands_beside():
    small = [{**row, "n": 50, "value": 0.0 if row["value"] is None else -row["value"]} for row in ROWS]
    lines = beside_paper([("", False, summarize([*small, *ROWS]))]).splitlines()
    assert lines[0] == "| estimator | the paper | I(x1; y), identity, whiten, 100 rows |", "the largest number of rows"
    (group,) = summarize(ROWS)
    here = f"{group['correlation']['value']:.3f} / {group['rmse']['value']:.3f}"
    assert lines[2] == f"| dv | 0.995 / 0.1094 | {here} |"
    assert lines[3].startswith("| js | ")
    assert lines[3].endswith("| – |")
    assert lines[-2:] == [
        "| means of the null over seeds | – | 0.010 … 0.010 |",
        "| the exact critic (`oracle-dv`) | – | – |",
    ]
    lines = beside_paper([("one", False, summarize(ROWS)), ("two", True, summarize(small[:8]))]).splitlines()
    heads = "one, I(x1; y), identity, whiten, 100 rows | two, I(x1; y), identity, whiten, 50 rows that were seen"
    assert lines[0] == f"| estimator | the paper | {heads} |", "the same data of two commands"
    assert lines[2].startswith(f"| dv | 0.995 / 0.1094 | {here} | −0.9")
    assert lines[-2].endswith(" | – |"), "without a null"
    # what the exact critic reached on the same rows
    noisy = [{**each, "estimator": "oracle-dv", "value": 2.0 - each["value"]} for each in ROWS[:2]]
    exact = [{**each, "estimator": "oracle-dv"} for each in ROWS[2:]]
    lines = beside_paper([("", False, summarize([*ROWS, *noisy, *exact]))]).splitlines()
    oracle = summarize([*noisy, *exact])[0]
    assert lines[-1].endswith(f"| {oracle['correlation']['value']:.3f} / {oracle['rmse']['value']:.3f} |")


def test_learning_curves_are_one_table():
    small = [{**row, "n": 50} for row in ROWS if row["config"] != "level-0.5"]
    lines = curves_markdown(summarize([*small, *ROWS])).splitlines()
    assert lines[0] == "### I(x1; y), identity, whiten: bias (sd between seeds) by training rows"
    assert lines[2] == "| estimator | 50 | 100 |"
    entry = {group["n"]: group for group in summarize([*small, *ROWS])}
    shown = [f"−{-entry[n]['bias']['value']:.3f} ({entry[n]['variance']['value'] ** 0.5:.3f})" for n in (50, 100)]
    assert lines[4] == f"| dv | {shown[0]} | {shown[1]} |"
    assert len(lines) == 5
    (lone,) = summarize([row(1.0, 0, 0.5)])
    assert curves_markdown([lone]).splitlines()[4] == "| dv | −0.500 |", "one seed has no spread"
    (failed,) = summarize([row(1.0, 0, None)])
    assert curves_markdown([failed]).splitlines()[4] == "| dv | – |"


def test_pictures_of_awkward_results(tmp_path):
    rows = [
        *ROWS,
        row(1.0, 0, 40.0, estimator="wild"),
        row(1.0, 0, None, estimator="broken"),
        row(2.0, 0, 1.0, error=None),
    ]
    first, again = (
        [
            save(figure, tmp_path / str(index))[0].read_bytes()
            for index, figure in enumerate((truth_figure(rows, "t"), bias_figure(summarize(ROWS), "b")))
        ]
        for _ in range(2)
    )
    assert first == again
    panels = truth_figure(rows, "t").axes
    assert [panel.get_title() for panel in panels] == ["dv", "wild\n(1 outside)", "broken"]
    assert [list(panel.texts) for panel in panels] == [[], [], []], "nothing lies on the data"
    with_null = truth_figure([row(1.0, 0, 1.0, estimator="first"), *ROWS], "t").axes
    assert [panel.get_legend() is not None for panel in with_null] == [False, True]
    loud = summarize([row(1.0, 0, 1.0 + error, estimator=str(error)) for error in (0.1, 0.2, 0.3, 40.0)])
    assert [panel.get_xscale() for panel in bias_figure(loud, "b").axes] == ["symlog", "linear", "log"]
    curves = curves_figure(summarize([row(1.0, 0, None, estimator="broken"), *ROWS]), "c").axes
    assert [len(panel.get_lines()) for panel in curves] == [2, 1], "and the axis of the bias"
    assert slug("fashion-mnist, rms") == "fashion-mnist-rms"


def write_section(folder, rows=ROWS, **about):
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "command": "mmmi-hf benchmark data --out results",
        "dataset": "data",
        "revision": None,
        "configurations": {
            f"level-{level}": {
                "rows": 1200,
                "standardize": "whiten",
                "modalities": [
                    {"name": "x1", "shape": [3, 32, 32], "pipeline": "cifar10"},
                    {"name": "x2", "shape": [], "pipeline": "identity"},
                ],
            }
            for level in (0.5, 1.0, 1.5, 2.0)
        },
        "estimators": {"dv": {"estimator": "dv"}},
        "train_rows": [],
        "seeds": 2,
        "notes": ["something about the data"],
        "versions": {"torch": "2"},
        **about,
    }
    contents = {"benchmark": about, "results": rows, "summary": summarize(rows), "seconds": {"dv": {"total": 1800.0}}}
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def test_a_card_is_rendered_from_its_files_and_goes_stale_with_them(tmp_path, capsys):
    write_section(tmp_path)
    card_of(tmp_path).write()
    text = (tmp_path / "README.md").read_text()
    assert "## Estimators of mutual information\n" in text
    assert "| dv | 8 |" in text
    assert "mmmi-hf benchmark data" in text
    data = "x1 of 3 × 32 × 32 by `cifar10`; x2 of one number by `identity`; `whiten`; 1,200 rows"
    assert f"- Data: `level-0.5` … `level-2.0`: {data}.\n" in text
    assert "- Rows of a cell: 100 to train, 20 to stop or to choose, 20 to judge.\n" in text
    assert "Note: something about the data." in text
    assert "took 0.5 hours of one core" in text
    assert card_of(tmp_path).stale_lines() == []
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "README.md").write_text(text.replace("| dv | 8 |", "| dv | 9 |"))
    assert main([str(tmp_path), "--check"]) == 1
    assert "+| dv | 8 |" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    summary = (tmp_path / "summary.json").read_text()
    for factor, stale in ((1.0 + 1e-15, False), (1.0 + 1e-6, True)):  # the last digits are the machine's
        rescaled = json.loads(summary, parse_float=lambda digits, by=factor: by * float(digits))
        assert rescaled != json.loads(summary)
        (tmp_path / "summary.json").write_text(json.dumps(rescaled))
        if stale:
            with pytest.raises(ValueError, match="is not the summary of"):
                benchmark_card(tmp_path)
        else:
            assert card_of(tmp_path).stale_lines() == []
    (tmp_path / "summary.json").write_text(summary)
    changed = [*ROWS[1:], ROWS[1]]
    (tmp_path / "results.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match="is not the summary of"):
        benchmark_card(tmp_path)
    write_section(tmp_path, configurations={"level-1.0": {}})
    with pytest.raises(ValueError, match="the results have no 'modalities'; run the benchmark command again"):
        benchmark_card(tmp_path)
    (tmp_path / "results.json").unlink()
    assert main([str(tmp_path), "--check"]) == 2
    (tmp_path / "benchmark.json").unlink()
    with pytest.raises(ValueError, match=r"no benchmark\.json here or below"):
        benchmark_card(tmp_path)


def test_a_card_has_a_section_for_every_results_folder(tmp_path):
    write_section(tmp_path / "1-bare-latents")
    write_section(tmp_path / "2-curves", train_rows=[50, 100], versions={"torch": "3"})
    write_section(tmp_path / ".2-curves.new")
    (tmp_path / "1-bare-latents" / "plots").mkdir()
    (tmp_path / "1-bare-latents" / "plots" / "truth-a.png").touch()
    (tmp_path / "2-curves" / "remarks.md").write_text("\nMore rows help.\n")
    text = benchmark_card(tmp_path)
    assert text.count("\n\nMore rows help.\n\n") == 1
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## Findings",
        "## Contents",
        "## Beside the paper's Table 1",
        "## Bare latents: estimators of mutual information",
        "## Curves: estimators of mutual information",
        "## How it was done",
    ]
    assert "took 1.0 hours of one core" in text
    assert "  torch 2 or 3.\n" in text
    assert "| estimator | the paper | bare latents, I(x1; y), identity, whiten, 100 rows | curves, I(x1; y)," in text
    assert "(1-bare-latents/plots/truth-a.png)" in text
    assert text.count("bias (sd between seeds) by training rows") == 1


def test_a_section_of_the_papers_recipe_says_so(tmp_path):
    training = {
        "split": False,
        "critic": "joint",
        "layers": 3,
        "width": 8,
        "batch_size": 64,
        "steps": 2000,
        "patience": 1,
    }
    write_section(tmp_path, estimators={"dv": {"estimator": "dv", "training": training}})
    text = benchmark_card(tmp_path)
    assert "- Rows of a cell: 100, to train and to judge.\n" in text
    recipe = "the paper's recipe, but for width 8 (the paper: 256), steps 2,000 (the paper: 20,000)"
    assert f"- Networks: {recipe}: a joint critic of 3 layers of 8, batches of 64, 2,000 steps" in text
    assert "The paper has 10,000 pairs of every level." in text
    training |= {"width": 256, "steps": 20_000}
    write_section(tmp_path, estimators={"dv": {"estimator": "dv", "training": training}})
    assert "- Networks: the paper's recipe, a joint critic of 3 layers of 256" in benchmark_card(tmp_path)


@pytest.mark.parametrize("truth", [0.1, 0.35, 0.7])
def test_one_level_has_no_correlation_whatever_the_number_of_seeds(truth):
    rows = [{**ROWS[0], "null": False, "config": "a", "truth": truth, "value": 0.1 * 2**seed} for seed in range(3)]
    (summary,) = summarize([{**row, "seed": seed} for seed, row in enumerate(rows)])
    assert summary["cells"] == 3
    assert summary["correlation"] is None
