"""Whether values rise with the information: counts of pairs, and what chance has of them."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from mmmi_hf.benchmark.report.order import Order, chance, order_sentences
from tests.benchmark.report.test_summary import row


def cells(estimator, *seeds):
    """Values of the levels 1, 2, 3, … of every seed."""
    return [
        row(float(level), seed, value, estimator=estimator)
        for seed, values in enumerate(seeds)
        for level, value in enumerate(values, start=1)
    ]


RISING, FALLING = [0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, 0.3, 0.2, 0.1]


def test_chance_is_that_of_all_orders_of_every_seed_counted_one_by_one():
    for levels in ([3], [4, 2], [3, 3, 3]):
        counts = [
            sum(a < b for of_seed in orders for k, a in enumerate(of_seed) for b in of_seed[k + 1 :])
            for orders in product(*(list(permutations(range(count))) for count in levels))
        ]
        for right in range(max(counts) + 2):
            assert chance(right, levels) == pytest.approx(np.mean([count >= right for count in counts])), (
                levels,
                right,
            )


def test_chance_of_one_seed_is_the_exact_law_of_kendall_s_coefficient():
    values = [1, 3, 2, 5, 4, 6, 8, 7]
    order = Order.of(cells("dv", values))
    assert order.told == "25 of 28"
    known = stats.kendalltau(range(8), values, alternative="greater", method="exact").pvalue
    assert chance(order.right, order.levels) == pytest.approx(known)


@pytest.mark.statistical
def test_values_that_do_not_depend_on_the_level_are_rarely_said_to_order_it():
    """Ten estimators without order, of networks that begin alike in a seed: named in one of twenty tries at most."""
    generator, tries, named = np.random.default_rng(0), 400, 0
    for _ in range(tries):
        rows = [
            each
            for k in range(10)
            for each in cells(f"e{k}", *(generator.standard_normal(5) + 3 * generator.standard_normal() for _ in "ab"))
        ]
        (sentence,) = order_sentences(rows, 0.05)
        named += not sentence.startswith("0 of 10 estimators order the levels better than chance (exact")
    z = (named / tries - 0.05) / np.sqrt(0.05 * 0.95 / tries)
    print(f"{named} of {tries} tables name one: z = {z:.2f}")
    assert z < 3


def test_who_orders_levels_better_than_chance_is_told_with_all_counts():
    rows = [
        *cells("dv", RISING, RISING),
        *cells("nwj", RISING, [0.2, 0.1, 0.3, 0.4, 0.5]),
        *cells("cca", RISING, RISING),
        *cells("sliced", RISING, FALLING),
    ]
    assert order_sentences(rows, 0.05) == [
        "3 of 4 estimators order the levels better than chance: of the pairs of levels of a seed, 19 of 20 (`nwj`) "
        "to 20 of 20 (2 estimators) are right (exact, 95 % for all together).\n"
        "Pairs of levels of a seed that are in their order: 20 of 20: `dv`, `cca`; 19 of 20: `nwj`; 10 of 20: "
        "`sliced`. Not known to be more than chance: `sliced`."
    ]
    (alone,) = order_sentences(cells("dv", RISING), 0.05)
    assert alone.startswith(
        "1 of 1 estimators orders the levels better than chance: of the pairs of levels of a seed, "
    )
    assert "10 of 10 (`dv`) are right" in alone
    (none,) = order_sentences(cells("dv", FALLING), 0.05)
    assert none.startswith("0 of 1 estimators order the levels better than chance (exact, 95 %")


def test_so_few_levels_that_a_perfect_order_may_be_chance_are_told_as_such():
    rows = [*cells("dv", [1.0, 2.0, 3.0]), *cells("nwj", [1.0, 3.0, 2.0])]
    assert order_sentences(rows, 0.05, seen=True) == [
        "by values of training rows, 1 of 2 estimators have all levels in their order, which does not tell them from "
        "chance: that has so few levels and seeds in their order once in 6 times.\n"
        "Pairs of levels of a seed that are in their order: 3 of 3: `dv`; 2 of 3: `nwj`."
    ]
    thrice = cells("dv", *[[1.0, 2.0, 3.0]] * 3)
    assert order_sentences(thrice, 0.05)[0].startswith("1 of 1 estimators orders the levels better"), "once in 216"
    assert order_sentences(cells("dv", [1.0, 2.0]), 0.05) == [], "of two levels nothing is said"


def test_missing_and_equal_values_put_no_pair_into_order_and_nulls_are_left_out():
    null = row(3.0, 0, -9.0, null=True)
    order = Order.of([*cells("flo", [0.1, None, 0.3], [0.0, 0.0, 0.0]), null])
    assert (order.told, order.levels) == ("1 of 6", (3, 3))


def test_who_said_nothing_is_not_told():
    silent = cells("mist", [None] * 5, [None] * 5)
    both = order_sentences([*cells("dv", RISING, RISING), *silent], 0.05)
    assert both == order_sentences(cells("dv", RISING, RISING), 0.05)
    assert order_sentences(silent, 0.05) == []
