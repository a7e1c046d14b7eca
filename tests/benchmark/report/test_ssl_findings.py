"""What encoders that never saw y are said to keep of it: only where an interval excludes the contrary."""

import numpy as np
import pytest
from scipy import stats

from mmmi_hf.benchmark.report.intervals import over_seeds, written
from mmmi_hf.benchmark.report.ssl_findings import ssl_findings

SEEDS = range(5)
STEP = np.array([-0.01, 0.0, 0.01, 0.005, -0.005])  # between seeds


def cells(config, facts, **methods):
    """method=R² of the probe, or (R², InfoNCE value)."""
    shared, other, aligned = facts
    rows = []
    for method, told in methods.items():
        score, estimate = told if isinstance(told, tuple) else (told, None)
        rows += [
            {
                "config": config,
                "series": "identity, whiten",
                "method": method,
                "seed": seed,
                "null": False,
                "information": 0.35,
                "ceiling": 0.5,
                "r_squared": score + step,
                "r_squared_error": 0.001,
                "shared": shared,
                "other": other,
                "aligned": aligned,
                "estimate": None if estimate is None else estimate + step,
            }
            for seed, step in zip(SEEDS, STEP * (1 + len(config) % 3), strict=True)
        ]
    return rows


CONTROLS = {"untrained": (0.1, -2.0), "raw": 0.47, "supervised": 0.46}
ROWS = [
    *cells("quiet", (0.3, 1.0, 0.3), contrastive=(0.40, 0.28), vicreg=0.40, **CONTROLS),
    *cells("loud", (2.0, 1.0, 0.3), contrastive=(0.40, 0.50), vicreg=0.20, **CONTROLS),
    *cells("noise", (2.0, 0.0, 0.3), contrastive=(0.40, 0.50), vicreg=0.20, **CONTROLS),
    *cells("apart", (2.0, 0.0, 0.0), contrastive=(0.02, 1.50), vicreg=0.02, **CONTROLS),
]


def told(rows):
    ((kind, sentences),) = ssl_findings("sharing", rows).items()
    assert kind == "Sharing, self-supervised learning, identity, whiten"
    return [sentence.split("\n")[0] for sentence in sentences]


def test_what_is_told_of_how_much_where_and_whose():
    controls, beside, where, whose, trained, nearer, estimate, rule = told(ROWS)
    assert controls.startswith(
        "R² of the probe is 0.500 at best. In all 4 configurations, with intervals, `raw` reaches 0.4"
    )
    assert beside.startswith("where more is shared beside y, and all else is equal, the probe's R² is: ")
    assert "`contrastive` not known to differ in 1 of 1 (all within −0." in beside
    assert "`vicreg` lower in 1 of 1, by 0.200 (0." in beside
    assert "`contrastive` higher in 2 of 2, by 0.380 (0." in where
    assert "`contrastive` not known to differ in 1 of 1" in whose
    assert "`vicreg` not known to differ in 1 of 1" in whose
    assert "`contrastive` higher in 3 of 4, by 0.300 (" in trained
    assert "lower in 1 of 4, by 0.080 (0." in trained
    assert nearer.startswith("training brought the InfoNCE value of `contrastive` nearer to I(x1; x2) in 4 of 4")
    assert nearer.endswith("the probe's R² rose in 3, fell in 1, and is not known to have changed in 0.")
    assert (
        "Of 3 pairs of configurations with the same I(x1; x2) and I(x1; y), R² of `contrastive` differs in 2"
        in estimate
    )
    assert "nearer to I(x1; x2) in 0, farther off in 2, and neither in 0. Farther off, for one: `" in estimate
    assert "the value's error by 1.000 (" in estimate
    assert "of 5 seeds or more; intervals are 95 % for all of a sentence together" in rule
    assert "masked" not in " ".join([beside, where, whose, trained]), "what was not run is not named"


def test_differences_are_student_s_by_seeds_for_all_of_a_sentence_together():
    (_, sentences) = next(iter(ssl_findings("", ROWS).items()))
    backs = next(sentence for sentence in sentences if sentence.startswith("where more is shared")).split("\n")[1]
    differences = [
        next(
            row["r_squared"] for row in ROWS if (row["config"], row["method"], row["seed"]) == (config, "vicreg", seed)
        )
        * sign
        for seed in SEEDS
        for config, sign in (("loud", 1.0), ("quiet", -1.0))
    ]
    pairs = np.array(differences).reshape(-1, 2).sum(axis=1)
    low, high = stats.t.interval(1 - 0.05 / 2, 4, pairs.mean(), stats.sem(pairs))  # two methods
    assert f"`loud` – `quiet` {written({'value': pairs.mean(), 'low': low, 'high': high})}" in backs


def test_an_interval_may_not_be_narrower_than_the_test_rows_make_it():
    values = [0.02, 0.05, 0.03, 0.04]
    found = over_seeds(values, 0.05)
    assert (found["low"], found["high"]) == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))
    wide = over_seeds([0.3] * 4, 0.05, [0.02] * 4)
    assert wide["high"] - wide["value"] == pytest.approx(stats.t.ppf(0.975, 3) * 0.01)


def test_classes_are_told_by_their_accuracy():
    rows = [
        {("accuracy" + name[9:] if name.startswith("r_squared") else name): value for name, value in row.items()}
        | {"bayes_accuracy": 0.75}
        for row in ROWS
    ]
    ((kind, sentences),) = ssl_findings("sharing", rows).items()
    assert kind == "Sharing, self-supervised learning of classes, identity, whiten"
    assert sentences[0].startswith("accuracy of the probe is 0.750 at best")
    assert "the probe's accuracy is: " in sentences[1]


@pytest.mark.parametrize(
    "rows",
    [
        [row for row in ROWS if row["seed"] < 2],
        [{**row, "null": True} for row in ROWS],
        [{**row, "aligned": None} for row in ROWS],
        [{**row, "r_squared": None} for row in ROWS],
    ],
)
def test_two_seeds_nulls_failures_and_unknown_places_say_nothing(rows):
    assert ssl_findings("sharing", rows) == {}


def test_a_failed_seed_is_left_out_of_a_pair_and_fewer_than_three_of_a_table():
    rows = [row for row in ROWS if not (row["config"] == "loud" and row["method"] == "vicreg" and row["seed"] == 4)]
    assert "`vicreg` lower in 1 of 1, by 0.201" in told(rows)[1], "of the four seeds that both have"
    few = [row for row in ROWS if not (row["config"] == "loud" and row["method"] == "vicreg" and row["seed"] > 1)]
    assert "vicreg" not in told(few)[1]
    apart = [
        row
        for row in ROWS
        if row["method"] != "vicreg" or (row["seed"] < 3 if row["config"] == "loud" else row["seed"] > 1)
    ]
    assert "vicreg" not in told(apart)[1], "three seeds each, but one in common"
