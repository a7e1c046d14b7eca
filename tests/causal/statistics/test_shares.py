"""Shares of bad rows and deviations of good ones, against their definitions."""

import math

import numpy as np
import pytest
from scipy import stats

from mmmi_hf import CausalModel, Latents, common_cause, decaying_modalities, two_telescopes
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.statistics.deviations import deviations, losses, reach
from mmmi_hf.causal.statistics.floors import pair_slack, target_slack
from mmmi_hf.causal.statistics.shares import (
    EXACT_LEVELS,
    VIEW_LEVELS,
    Counted,
    Grade,
    floors,
    folder_limit,
    grades_of_deviations,
    grades_of_losses,
    grades_of_replays,
    most_expected,
)

PAIR = {"I(x1;x2)": ("x1", "x2")}
QUANTITIES = {"I(x1;y)": ("x1", "y"), "I(x1,x2;y)": ("x1", "x2", "y"), "I(x1;x2)": ("x1", "x2")}


@pytest.mark.parametrize("bad", [0, 1, 7])
def test_the_largest_mean_is_where_so_few_bad_rows_are_that_improbable(bad):
    assert stats.poisson.cdf(bad, most_expected(bad, 0.01)) == pytest.approx(0.01)
    assert most_expected(bad, 0.4999) >= bad + 1


@pytest.mark.parametrize(("bad", "seen", "rows"), [(0, 64, 1000), (2, 300, 400), (5, 50, 10_000), (4, 4, 9)])
def test_the_folder_limit_against_its_definition(bad, seen, rows):
    every = np.arange(bad, rows - (seen - bad) + 1)
    possible = every[stats.hypergeom.cdf(bad, rows, every, seen) >= 0.01]
    assert folder_limit(Counted(bad, seen, rows), 0.01) == possible.max() / rows


def test_a_folder_of_which_every_row_was_seen_has_its_own_share():
    assert folder_limit(Counted(0, 500, 500), 0.01) == 0.0
    assert folder_limit(Counted(1, 500, 500), 0.01) == 1 / 500


@pytest.mark.parametrize(
    "numbers", [(-1, 10, 10, 0.01), (11, 10, 10, 0.01), (0, 0, 0, 0.01), (0, 10, 10, 0.5), (0, 9, 9, 0.0)]
)
def test_impossible_counts_are_refused(model, numbers):
    *counts, error = numbers
    with pytest.raises(InvalidQueryError):
        folder_limit(Counted(*counts), error)
    with pytest.raises(InvalidQueryError):
        graded(model, QUANTITIES, Counted(*counts), {"x1": of_map(), "x2": of_map()}, error)


def test_impossible_counts_of_a_map_are_refused(model):
    with pytest.raises(InvalidQueryError, match="10001 of 10000"):
        graded(model, QUANTITIES, Counted(0, 9, 9), {"x1": of_map(10_001)}, 0.01)


def test_more_rows_seen_than_there_are_is_refused():
    with pytest.raises(InvalidQueryError, match="11 of 10"):
        folder_limit(Counted(0, 11, 10), 0.01)


@pytest.fixture(scope="module")
def model():
    return common_cause((1, 28, 28), mi=1.0)


def of_map(bad=0, name="shirts", seen=10_000):
    return name, Counted(bad, seen, seen)


def graded(model, quantities, folder, maps, error):
    """Grades of replays at the tolerance of floats: modality → `of_map`."""
    names = {modality: name for modality, (name, _) in maps.items()}
    return grades_of_replays(model, quantities, folder, names, dict(maps.values()), 2e-5, error)


def test_an_honest_folder_keeps_what_is_promised(model):
    """Of 10,000 rows 1,408 replayed: 95 % of 1 nat, and 93 % of the pair; all replayed: 99 %."""
    maps = {"x1": of_map(name="bags"), "x2": of_map()}
    some = floors(model, QUANTITIES, graded(model, QUANTITIES, Counted(0, 1408, 10_000), maps, 0.009))
    every = floors(model, QUANTITIES, graded(model, QUANTITIES, Counted(0, 10_000, 10_000), maps, 0.009))
    pair = model.mutual_information("x1", "x2")
    assert model.mutual_information("x1", "y") == pytest.approx(1.0)
    assert some["I(x1;y)"].value > 0.95
    assert some["I(x1;x2)"].value > 0.93 * pair
    assert every["I(x1;y)"].value > 0.99
    for quantity, blocks in QUANTITIES.items():
        assert some[quantity].value < every[quantity].value < model.mutual_information(blocks[:-1], blocks[-1])


def test_shares_are_those_of_the_folder_and_of_the_maps(model):
    maps = {"x1": of_map(3, "shirts"), "x2": of_map(0, "bags")}
    seen = graded(model, QUANTITIES, Counted(2, 700, 700), maps, 0.01)
    share = pytest.approx(2 / 700 + most_expected(3, 0.01) / 10_000)
    assert seen["I(x1;y)"] == [Grade(target_slack(1.0, 2e-5 * 28.0), share)]
    slack = pair_slack(model.canonical_correlations("x1", "x2"), 2e-5 * 28.0)
    assert seen["I(x1;x2)"] == [Grade(pytest.approx(slack), share)]
    (grade,) = graded(model, QUANTITIES, Counted(1, 100, 700, 0.125), maps, 0.01)["I(x1;y)"]
    assert grade.share == pytest.approx(most_expected(4, 0.01) / (0.125 * 700))
    same = {"x1": of_map(), "x2": of_map()}
    grades = graded(model, QUANTITIES, Counted(0, 699, 700), same, 0.01)
    assert grades["I(x1;y)"][0].share == pytest.approx(math.log(100) / (700 * math.log(700)))
    grades = graded(model, QUANTITIES, Counted(0, 700, 700), same, 0.01)
    assert grades["I(x1;y)"][0].share == pytest.approx(math.log(100) / 10_000)
    assert grades["I(x1;x2)"][0].share == pytest.approx(2 * math.log(100) / 10_000)


def test_a_stratum_that_was_not_seen_leaves_everything_open(model):
    grades = graded(model, QUANTITIES, Counted(0, 9, 90, 0.0), {"x1": of_map()}, 0.01)
    assert grades["I(x1;y)"][0].share == 1.0


def cases(counts):
    """Which columns there are, and how often each."""
    columns, times = np.unique(counts, axis=1, return_counts=True)
    return zip(columns.T, times.tolist(), strict=True)


@pytest.mark.statistical
@pytest.mark.parametrize("error", [0.05, 0.2])
def test_the_limit_of_the_sum_holds_however_the_bad_rows_are_divided(model, error):
    """Bad rows of the folder, of one map, of the other, or of all: how often their shares exceed the limit."""
    generator, repetitions, rows, seen, tried = np.random.default_rng(5), 20_000, 2000, 400, 900
    for expected in (1.0, 3.2, 7.0):
        for parts in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.3, 0.0, 0.7), (0.2, 0.4, 0.4)):
            of_folder = round(parts[0] * expected * rows / seen)
            first, second = (part * expected / tried for part in parts[1:])
            truth = of_folder / rows + first + second
            counts = np.stack(
                [
                    generator.hypergeometric(of_folder, rows - of_folder, seen, repetitions),
                    generator.binomial(tried, first, repetitions),
                    generator.binomial(tried, second, repetitions),
                ]
            )
            exceeded = 0
            for values, times in cases(counts):
                folder, one, other = (int(value) for value in values)
                maps = {"x1": of_map(one, "a", tried), "x2": of_map(other, "b", tried)}
                (grade,) = graded(model, PAIR, Counted(folder, seen, rows), maps, error)["I(x1;x2)"]
                exceeded += times * (truth > grade.share)
            share, spread = exceeded / repetitions, math.sqrt(error * (1 - error) / repetitions)
            print(f"{parts} of {expected}: {share:.4f} of {error} (z = {(share - error) / spread:.1f})")
            assert share <= error + 3 * spread


def test_quantities_of_modalities_without_a_map_have_no_grade(model):
    grades = graded(model, QUANTITIES, Counted(0, 10, 10), {"x1": of_map()}, 0.01)
    assert list(grades) == ["I(x1;y)"]
    assert list(floors(model, QUANTITIES, grades)) == ["I(x1;y)"]
    assert graded(model, QUANTITIES, Counted(0, 10, 10), {}, 0.01) == {}


def test_losses_are_counted_once_for_all_targets():
    found = {"I(x1;y)": np.full(100, 1e-4), "I(x1,x2;y)": np.full(100, -1.0)}
    found["I(x1;y)"][0], found["I(x1;y)"][1], found["I(x1,x2;y)"][2] = 0.02, np.inf, np.nan
    grades = grades_of_losses(found, 5000, (1e-3, 0.1, 0.5), 0.01)
    three, two = (folder_limit(Counted(bad, 100, 5000), 0.01 / 3) for bad in (3, 2))
    slacks = [1e-3, 1e-3 + 0.099 * three, 1e-3 + 0.099 * three + 0.4 * two]
    assert grades["I(x1;y)"] == [Grade(pytest.approx(d), s) for d, s in zip(slacks, (three, two, two), strict=True)]
    assert grades["I(x1;y)"] == grades["I(x1,x2;y)"]


def test_deviations_are_counted_once_for_all_pairs(model):
    found = {"I(x1;x2)": np.array([1e-4] * 99 + [0.01])}
    grades = grades_of_deviations(model, QUANTITIES, found, 5000, (1e-3, 0.1), 0.01)
    rho = model.canonical_correlations("x1", "x2")
    one, none = (folder_limit(Counted(bad, 100, 5000), 0.005) for bad in (1, 0))
    assert grades == {"I(x1;x2)": [Grade(pair_slack(rho, 1e-3), one), Grade(pair_slack(rho, 0.1), none)]}


@pytest.mark.parametrize("levels", [(), (0.0,), (-1.0, 1e-3), (1e-3, 1e-3), (1e-3, math.nan)])
def test_levels_must_ascend_from_above_zero(levels):
    with pytest.raises(InvalidQueryError, match="levels"):
        grades_of_losses({"I(x1;y)": np.zeros(9)}, 9, levels, 0.01)


def test_the_levels_that_are_offered_ascend():
    for levels in (EXACT_LEVELS, VIEW_LEVELS):
        assert len(grades_of_losses({"I(x1;y)": np.zeros(9)}, 9, levels, 0.01)["I(x1;y)"]) == len(levels)


def test_the_best_grade_is_chosen(model):
    grades = {"I(x1;y)": [Grade(1e-3, 0.2), Grade(1e-2, 0.01), Grade(0.9, 0.001)]}
    (floor,) = floors(model, QUANTITIES, grades).values()
    assert (floor.slack, floor.share) == (1e-2, 0.01)


def small_models():
    shape = (3, 2)
    generator = np.random.default_rng(1)
    templates = [[generator.standard_normal(shape) for _ in range(2)] for _ in range(2)]
    mixing = [[1.0, 0.3, 0.0], [0.0, 0.4, 1.0]]
    weights = [[1.0, 0.7], [0.6, 1.0]]
    yield "two causes", CausalModel([1.0, 0.5], weights, mixing, shape=shape, templates=templates)
    yield "shared sources", decaying_modalities(shape, modalities=3, alpha=1.6, beta=1.2)
    matrix = generator.standard_normal((1 + 5 + 4, 12))
    yield "dense", CausalModel.from_matrix(matrix, [(5,), (4,)])


MODELS = dict(small_models())


@pytest.mark.parametrize("name", MODELS)
def test_the_reach_of_a_target_is_the_length_of_its_decoder(name):
    model = MODELS[name]
    names = model.modalities
    total = 0.0
    for modality in names:
        size = math.prod(model.shapes[modality])
        z = {other: np.zeros((size, *model.shapes[other])) for other in names}
        z[modality] = np.eye(size).reshape(size, *model.shapes[modality])
        decoder = model.decode(Latents(z, np.zeros(size), "whiten"), names)
        total += math.sqrt(size) * np.linalg.norm(decoder)
    scale = math.sqrt(model.variance_y - model.residual_variance(names))
    assert reach(model, (*names, "y")) == pytest.approx(total / scale)
    alone = math.sqrt(math.prod(model.shapes["x1"]))
    if model.mutual_information("x1", "y") > 0.0:
        assert reach(model, ("x1", "y")) == alone
    assert reach(model, ("x1", "x2")) == alone


@pytest.mark.parametrize("kind", ["whiten", "rms", "none"])
@pytest.mark.parametrize("name", MODELS)
def test_deviations_of_a_pair_are_lengths_of_canonical_errors(name, kind):
    """One pair: the error of the canonical variate itself. Several: at least that, at most the whole error."""
    model = MODELS[name]
    true = model.sample(50, seed=3, standardize=kind)
    generator = np.random.default_rng(2)
    z = {name: values + 0.05 * generator.standard_normal(values.shape) for name, values in true.z.items()}
    recovered = Latents(z, true.y, kind)
    first, second = model.modalities[:2]
    found = deviations(model, (first, second), recovered, true)
    lengths = [
        np.linalg.norm((whitened(model, recovered, name) - whitened(model, true, name)).reshape(50, -1), axis=1)
        for name in (first, second)
    ]
    assert np.all(found <= np.max(lengths, axis=0) * (1 + 1e-12))
    rho = model.canonical_correlations(first, second)
    kappa = rho[rho > 1e-12] / np.sqrt(1 - rho[rho > 1e-12] ** 2)
    for side, other in ((first, second), (second, first)):
        moved = Latents({side: z[side] - true.z[side], other: np.zeros_like(true.z[other])}, true.y, kind)
        lost = model.mutual_information(first, second) - model.pointwise_mutual_information(moved, first, second)
        assert np.all(found >= np.sqrt(2 * np.maximum(lost, 0.0)) / kappa.max() * (1 - 1e-6))


def whitened(model, latents, name):
    natural = model.unstandardize_latents(latents.z[name], name, latents.standardize)
    return model.standardize_latents(natural, name, "whiten")


def test_losses_are_those_of_pointwise_information(model):
    true = model.sample(20, seed=0)
    z = {name: values + 0.01 for name, values in true.z.items()}
    recovered = Latents(z, np.zeros(20), "whiten")
    kept = model.pointwise_mutual_information(Latents(z, true.y, "whiten"), ("x1", "x2"), "y")
    whole = model.pointwise_mutual_information(true, ("x1", "x2"), "y")
    np.testing.assert_allclose(losses(model, ("x1", "x2"), recovered, true), whole - kept)


def test_a_row_that_could_not_be_recovered_loses_and_deviates_without_limit(model):
    true = model.sample(3, seed=0)
    recovered = Latents({name: values.copy() for name, values in true.z.items()}, true.y, "whiten")
    recovered.z["x2"][1, 0, 0, 0] = np.nan
    assert losses(model, ("x1",), recovered, true).tolist() == [0.0] * 3
    assert losses(model, ("x1", "x2"), recovered, true).tolist() == [0.0, np.inf, 0.0]
    assert deviations(model, ("x1", "x2"), recovered, true).tolist() == [0.0, np.inf, 0.0]


def test_deviations_need_one_standardisation(model):
    true = model.sample(3, seed=0)
    with pytest.raises(InvalidQueryError, match="standardised by"):
        deviations(model, ("x1", "x2"), Latents(true.z, true.y, "rms"), true)


def test_a_target_of_which_nothing_is_known_has_an_empty_floor():
    model = two_telescopes((4, 4), target="atmosphere")
    maps = {"x2": of_map()}
    quantities = {"I(x2;y)": ("x2", "y")}
    grades = graded(model, quantities, Counted(0, 9, 9), maps, 0.01)
    assert floors(model, quantities, grades)["I(x2;y)"].value == 0.0


def test_modalities_that_share_nothing():
    """x2 has a shape of its own and no template: it reads nothing of y, and its pair has no canonical correlation."""
    model = CausalModel(
        [1.0], [[1.0], [0.0]], [[1.0, 0.0], [0.0, 1.0]], shape=[(3, 2), (4,)], templates=[["ones"], [None]]
    )
    assert reach(model, ("x1", "x2", "y")) == pytest.approx(reach(model, ("x1", "y")))
    true = model.sample(3, seed=0)
    moved = Latents({name: values + 0.1 for name, values in true.z.items()}, true.y, "whiten")
    whole = np.linalg.norm(whitened(model, moved, "x1") - whitened(model, true, "x1"), axis=(1, 2))
    np.testing.assert_allclose(deviations(model, ("x1", "x2"), moved, true), whole)
