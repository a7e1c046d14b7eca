"""The contract of estimators as checks: `check_estimator` runs them all.

Owns what is checked; the contract itself, in prose, is `mmmi_hf.benchmark.estimator`. Imports NumPy, causal/ and
benchmark/.

    from mmmi_hf.testing.estimators import check_estimator
    check_estimator(MyEstimator())
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache

import numpy as np

from mmmi_hf.benchmark.estimator import Estimate, Estimator
from mmmi_hf.benchmark.pairs import ExactPairs, Pairs
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.settings import restored
from mmmi_hf.causal import CausalModel

ROWS = (1500, 400, 800)
"""Of training, validation and test."""
Parts = tuple[Pairs, Pairs, Pairs]


def check_estimator(estimator: Estimator, *, bias: float = 0.0, slack: float = 0.08) -> None:
    """Every check.

    Args:
        estimator: registered, with settings that are cheap; it is left as it is.
        bias: what the estimator is known to be off by, in nats.
        slack: nats that it may be off besides that and three standard errors, on normal rows of 0 to 1.1 nats.

    Raises:
        AssertionError: says what of the contract does not hold.
    """
    check_settings(estimator)
    check_set_of_rows(estimator)
    check_refusals(estimator)
    for d, noise in ((1, 0.6), (4, 1.4)):
        check_known_information(estimator, d, noise, bias=bias, slack=slack)
    check_null(estimator, expected=bias, slack=slack)


def check_settings(estimator: Estimator) -> None:
    """The name finds its class; settings are plain JSON values, from which the same estimator is made."""
    _holds(isinstance(estimator, Estimator), f"{type(estimator).__name__} must be a subclass of Estimator")
    _holds(
        estimator_class(estimator.name) is type(estimator), f"{estimator.name!r} must be registered as the name of it"
    )
    settings = estimator.settings
    _holds(settings.get("estimator") == estimator.name, f"settings must tell the name, got {settings}")
    _holds(json.loads(json.dumps(settings)) == settings, f"settings must be plain JSON values, got {settings}")
    _holds(restored(settings).settings == settings, f"what is made of {settings} has other settings")


def check_set_of_rows(estimator: Estimator) -> None:
    """Equal rows, settings and seed give equal bits, in whatever order rows come."""
    parts = tuple(pairs.take(np.arange(min(300, len(pairs)))) for pairs in rows_for(estimator, 4, 1.4)[1])
    train, validation, test = parts

    def run(order: np.ndarray) -> Estimate:
        fitted = copy.deepcopy(estimator).fit(train.take(order), validation.take(order[::-1]), seed=5)
        return fitted.estimate(test.take(np.roll(order, 7)))

    there = np.arange(300)
    first = run(there)
    _holds(run(there) == first, "the same rows and seed must give the same bits, history included")
    _holds(run(np.random.default_rng(0).permutation(300)) == first, "another order of rows must give the same bits")


def check_known_information(
    estimator: Estimator, d: int, noise: float, *, bias: float = 0.0, slack: float = 0.08
) -> None:
    """Normal rows of known information: ½ ln(1 + d / noise²) nats between d numbers and one, or of a label of it."""
    truth, parts = rows_for(estimator, d, noise)
    _near(estimator, _estimate(estimator, parts), truth + bias, slack)


def check_null(estimator: Estimator, *, expected: float = 0.0, slack: float = 0.08) -> None:
    """Deranged pairs have no information; what is expected of them may be negative."""
    train, validation, test = (pairs.deranged(seed) for seed, pairs in enumerate(rows_for(estimator, 4, 1.4)[1]))
    _near(estimator, _estimate(estimator, (train, validation, test)), expected, slack)


def check_refusals(estimator: Estimator) -> None:
    """Bad rows are refused in one line; so are estimates before a fit and of other blocks."""
    train, validation, test = rows_for(estimator, 4, 1.4)[1]
    few, hundred = np.arange(3), np.arange(100)
    fresh = copy.deepcopy(estimator)
    _refused("an estimate before fit", "fit", lambda: fresh.estimate(test))
    _refused("3 rows of training", "train has 3 rows", lambda: fresh.fit(train.take(few), validation))
    other = Pairs(validation.b, validation.b, validation.exact)
    _refused("other blocks for validation", "the same blocks", lambda: fresh.fit(train, other))
    if estimator.of_labels:
        numbers = gaussian(4, 1.4)[1][0]
        _refused("rows without labels", "no block of labels", lambda: fresh.fit(numbers, numbers))
    if estimator.uses_exact:
        _refused("an oracle without `exact`", "oracle", lambda: fresh.fit(Pairs(train.a, train.b), validation))
    fitted = fresh.fit(train.take(hundred), validation.take(hundred))
    _refused("other blocks for test", "fitted", lambda: fitted.estimate(Pairs(test.b, test.b)))
    _refused("confidence 1", "confidence", lambda: fitted.estimate(test, confidence=1.0))
    _refused("3 rows of test", "test has 3 rows", lambda: fitted.estimate(test.take(few)))


@cache
def gaussian(d: int, noise: float) -> tuple[float, Parts]:
    """d numbers and one, jointly normal: their information, and rows of training, validation and test."""
    return _drawn(CausalModel([1.0], [[1.0]], [[noise]], shape=(d,)), d)


@cache
def labelled(d: int, noise: float) -> tuple[float, Parts]:
    """The same with the number's third in its place: the label of one of three equally likely classes."""
    plain = CausalModel([1.0], [[1.0]], [[noise]], shape=(d,))
    return _drawn(plain.with_target({"classes": {"quantiles": 3}}), d)


def rows_for(estimator: Estimator, d: int, noise: float) -> tuple[float, Parts]:
    """What an estimator is tried on: labels where it needs them."""
    return labelled(d, noise) if estimator.of_labels else gaussian(d, noise)


def _drawn(model: CausalModel, d: int) -> tuple[float, Parts]:
    latents = model.sample(sum(ROWS), seed=d)
    pairs = Pairs(latents.z["x1"], latents.y.astype(np.float64), ExactPairs.of(model, latents, "x1", "y"))
    begin, middle, last, end = np.cumsum((0, *ROWS))
    train, validation, test = (pairs.take(np.arange(a, b)) for a, b in ((begin, middle), (middle, last), (last, end)))
    return model.mutual_information("x1", "y"), (train, validation, test)


def _estimate(estimator: Estimator, parts: Parts) -> Estimate:
    train, validation, test = parts
    found = copy.deepcopy(estimator).fit(train, validation, seed=3).estimate(test)
    if found.standard_error is not None:
        assert found.low is not None
        assert found.high is not None
        reach = (found.high - found.low) / 2
        _holds(found.low <= found.value <= found.high, f"the interval {found.low} … {found.high} misses the value")
        _holds(
            abs(reach - 1.959964 * found.standard_error) <= 1e-5 * reach,
            f"the interval of 95 % reaches {reach}, the standard error is {found.standard_error}",
        )
    return found


def _near(estimator: Estimator, found: Estimate, expected: float, slack: float) -> None:
    error = found.standard_error or 0.0
    print(f"{estimator.name}: {found.value:.3f} ± {error:.3f}, expected {expected:.3f}, z", end=" ")
    print(f"{(found.value - expected) / max(error, 1e-12):.2f}")
    allowed = 3 * error + slack
    _holds(
        abs(found.value - expected) < allowed,
        f"{estimator.name} gives {found.value:.3f} nats, expected {expected:.3f} within {allowed:.3f}",
    )


def _refused(what: str, names: str, function: Callable[[], object]) -> None:
    try:
        function()
    except ValueError as error:
        _holds("\n" not in str(error) and names in str(error), f"{what}: one line must say {names!r}, got {error}")
    else:
        raise AssertionError(f"{what} must be refused by a ValueError")


def _holds(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)
