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


def found(rows, same_laws=()):
    """What stands in the open, and what stands aside: its first paragraph, and all of it."""
    ((kind, sentences),) = ssl_findings("sharing", rows, same_laws).items()
    assert kind == "Sharing, self-supervised learning, identity, whiten"
    parts = [sentence.partition("\n") for sentence in sentences]
    return [claim for claim, _, _ in parts if claim], [back for _, _, back in parts if back]


def claims(rows, same_laws=()):
    return found(rows, same_laws)[0]


def aside(start, rows, same_laws=()):
    (back,) = [each for each in found(rows, same_laws)[1] if each.startswith(start)]
    return back


WHERE = "Where as much is shared, more of it where y sits, and x2 tells as much of y, the probe's"
TOO = "Where as much is shared, more of it where y sits, and x2 tells more of y too, the probe's"
BESIDE = "Where more is shared beside y, all else equal, and something where y sits, the probe's"


def test_what_is_told_of_how_much_where_and_whose():
    short, controls, estimate, rule = claims(ROWS)
    where, too, beside, trained, pairs, whose = found(ROWS)[1]
    assert short == (
        "in short, of the R² that a probe has of encoders that never saw y: where as much is shared and more of it "
        "where y sits, it is higher in 4 (`contrastive` 2, `vicreg` 2) and lower in none of 4 comparisons; where more "
        "is shared beside y, all else equal, it is higher in none and lower in 1 (`vicreg` 1) of 2 comparisons; where "
        "an encoder was trained, beside the same untrained, it is higher in 6 (`contrastive` 3, `vicreg` 3) and lower "
        "in 2 (`contrastive` 1, `vicreg` 1) of 8 comparisons."
    )
    assert where.startswith(WHERE)
    assert "`contrastive` higher in 1 of 1, by 0.380 (0." in where
    assert "and x2 tells more of y too, the probe's" in too
    assert "`contrastive` higher in 1 of 1, by 0.380 (0." in too
    assert beside.startswith(BESIDE)
    assert "`contrastive` not known to differ in 1 of 1;" in beside
    assert "`vicreg` lower in 1 of 1, by 0.200 (0." in beside
    assert whose.startswith("Where as much is shared, in the same places, and x2 tells more of y, the probe's R² is: ")
    assert "`contrastive` not known to differ in 1 of 1; `vicreg` not known to differ in 1 of 1." in whose
    assert "`contrastive` higher in 3 of 4, by 0.300 (" in trained
    assert "lower in 1 of 4, by 0.080 (0." in trained
    assert estimate.startswith(
        "whether a better estimate means a better representation is not answered. Between data sets with the same "
        "I(x1; x2) and I(x1; y), R² of `contrastive` differs in 2 of 3 pairs; where it is higher, its InfoNCE value "
        "lies nearer to I(x1; x2) in 0, farther off in 2, and is not known to do either in 0."
    )
    assert "of `contrastive`, all of the 3 configurations that share 2.000 nats:" in pairs
    assert "| `loud` – `apart` | 0.380 (0." in pairs
    assert controls.startswith(
        "R² of the probe is 0.500 at best. In all 4 configurations, with intervals, `raw` reaches 0.4"
    )
    assert "of 5 seeds in common or more; intervals are Student's, 95 % for all of a sentence together" in rule
    assert "one in law" not in "".join(found(ROWS)[1])
    assert "masked" not in " ".join([beside, where, whose, trained]), "what was not run is not named"


def test_configurations_of_one_law_are_counted_once_and_cannot_differ():
    same = [["loud", "noise"]]
    _, controls, _ = claims(ROWS, same)
    assert "`contrastive` higher in 1 of 1" in aside(WHERE, ROWS, same), "what x2 tells of y is held fixed where it can"
    assert aside(BESIDE, ROWS, same)
    assert aside("By construction", ROWS, same).startswith(
        "By construction R² cannot differ where the law of x1 and x2, and that of x1 and y, is the same, whatever x2 "
        "tells of y: `loud` and `noise`. 2 of 2 intervals hold 0, which checks them but weakly.\n\n| difference of R² |"
    )
    assert "`contrastive` higher in 2 of 3" in aside("Where an encoder was trained", ROWS, same)
    assert "a better estimate" not in " ".join(claims(ROWS, same)), "one pair of data sets says nothing of estimates"
    assert "In all 4 configurations" in controls
    assert found(ROWS, same)[1][-1] == (
        "To an encoder these are one in law, and comparisons that agree in law are counted once: `loud` and `noise`."
    )


def test_more_where_y_sits_and_a_lower_score_is_told():
    rows = [*ROWS, *cells("wide", (20.0, 0.0, 0.5), contrastive=(0.1, 3.0), **CONTROLS)]
    sentence = next(each for each in claims(rows) if each.startswith("nats where y sits do not decide alone"))
    assert "of all pairs with the same I(x1; y): `contrastive` in 3 of 7, by most `wide` – `" in sentence
    assert ": −0.300 (−0." in sentence
    assert sentence.endswith("`vicreg` in 0 of 3.")
    other = [{**row, "information": 0.3} if row["config"] == "wide" else row for row in rows]
    assert not any("do not decide alone" in each for each in claims(other)), "where x1 tells less of y, no wonder"


def test_more_beside_y_is_told_apart_where_nothing_sits_there():
    rows = [*ROWS, *cells("empty", (0.0, 0.0, 0.0), contrastive=(0.12, 0.0), **CONTROLS)]
    sentence = aside("Where more is shared beside y, all else equal, and nothing where y sits", rows)
    assert "the probe's R² is: `contrastive` lower in 1 of 1, by 0.100 (" in sentence
    assert "`contrastive` not known to differ in 1 of 1" in aside(BESIDE, rows)


def test_more_of_both_is_told_apart_of_less_and_where_nothing_sits_it_is_not():
    """`wide` has more where y sits and more beside it than `thin`; beside `apart`, where nothing sits, not."""
    rows = [
        *ROWS,
        *cells("thin", (2.0, 0.0, 0.1), contrastive=(0.12, 0.5), vicreg=0.12, **CONTROLS),
        *cells("wide", (20.0, 0.0, 0.2), contrastive=(0.05, 0.5), vicreg=0.12, **CONTROLS),
    ]
    (sentence,) = [each for each in claims(rows) if each.startswith("where more is shared both")]
    assert "`contrastive` lower in 1 of 1, by 0.070 (0." in sentence
    assert "`vicreg` not known to differ in 1 of 1." in sentence
    table = aside("More where y sits and beside it:", rows).splitlines()
    assert table[2:4] == ["| difference of R² | `contrastive` | `vicreg` |", "| --- | ---: | ---: |"]
    assert len(table) == 5
    difference = [0.05 - 0.12 + a - b for a, b in zip(STEP * (1 + 4 % 3), STEP * (1 + 4 % 3), strict=True)]
    low, high = stats.t.interval(1 - 0.05 / 2, 4, np.mean(difference), max(stats.sem(difference), 1e-12))
    written_one = written({"value": float(np.mean(difference)), "low": float(low), "high": float(high)})
    assert table[4].startswith(f"| `wide` – `thin` | {written_one} |")
    narrow = [{**row, "shared": 2.05} if row["config"] == "wide" else row for row in rows]
    assert not any("is shared both" in each for each in claims(narrow)), "less beside it"


def test_a_bound_near_zero_shows_its_sign():
    assert written({"value": 0.071, "low": 0.0003, "high": 0.1414}) == "0.071 (0.0003 … 0.141)"
    assert written({"value": -0.071, "low": -0.1414, "high": -0.00003}) == "−0.071 (−0.141 … −0.00003)"
    assert written({"value": 0.0, "low": 0.0, "high": -1e-17}) == "0.000 (0.000 … 0.000)"


def test_differences_are_student_s_by_seeds_for_all_of_a_sentence_together():
    (_, sentences) = next(iter(ssl_findings("", ROWS).items()))
    backs = next(sentence for sentence in sentences if sentence.startswith("\nWhere more is shared"))
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
    (line,) = [line for line in backs.splitlines() if line.startswith("| `loud` – `quiet` |")]
    assert line.endswith(f"| {written({'value': pairs.mean(), 'low': low, 'high': high})} |")


def test_what_one_sentence_counts_is_held_together_wherever_it_stands():
    """Two comparisons with more where y sits, of two methods: one of them stands in one place, one in the other."""
    for start, (one, other) in ((WHERE, ("noise", "apart")), (TOO, ("loud", "apart"))):
        differences = [
            sum(
                sign * row["r_squared"]
                for row in ROWS
                for config, sign in ((one, 1.0), (other, -1.0))
                if (row["config"], row["method"], row["seed"]) == (config, "contrastive", seed)
            )
            for seed in SEEDS
        ]
        low, high = stats.t.interval(1 - 0.05 / 4, 4, np.mean(differences), stats.sem(differences))
        expected = written({"value": float(np.mean(differences)), "low": float(low), "high": float(high)})
        assert f"| `{one}` – `{other}` | {expected} |" in aside(start, ROWS)


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
    assert any(sentence.startswith("accuracy of the probe is 0.750 at best") for sentence in sentences)
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


def beside(rows):
    return aside("Where more is shared beside y", rows)


def test_a_failed_seed_is_left_out_of_a_pair_and_fewer_than_three_of_a_table():
    rows = [row for row in ROWS if not (row["config"] == "loud" and row["method"] == "vicreg" and row["seed"] == 4)]
    assert "`vicreg` lower in 1 of 1, by 0.201" in beside(rows), "of the four seeds that both have"
    assert "of 4 seeds in common or more" in claims(rows)[-1]
    few = [row for row in ROWS if not (row["config"] == "loud" and row["method"] == "vicreg" and row["seed"] > 1)]
    assert "vicreg" not in beside(few)
    apart = [
        row
        for row in ROWS
        if row["method"] != "vicreg" or (row["seed"] < 3 if row["config"] == "loud" else row["seed"] > 1)
    ]
    assert "vicreg" not in beside(apart), "three seeds each, but one in common"
    assert "of 3 seeds in common or more" in claims(apart)[-1], "the least of what is compared"
