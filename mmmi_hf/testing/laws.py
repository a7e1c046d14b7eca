"""The contract of a law, for authors of laws: `check_law(law)` raises AssertionError with the number that is wrong.

Owns what `mmmi_hf.causal.laws.law.Law` promises and a test can see. Statistical checks allow 5 standard errors of what
is compared, and say how many were found. Imports NumPy and causal/ only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from mmmi_hf.causal import CausalModel, InvalidQueryError
from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws.law import Law

ROWS = 4000
_MOST_ERRORS = 5.0


def check_law(law: Law, *, seed: int = 0, rows: int = ROWS, without: Sequence[str] = ()) -> None:
    """Every check of this module.

    Args:
        law: of at least one modality, small enough to draw `rows` rows at once; all its information must be finite.
        seed: of the rows that are drawn. rows: how many.
        without: which of "pointwise" (with its variance), "posterior" (of y as a number), "maps" and "moments" the law
            has not, and refuses in one line.

    Raises:
        AssertionError: a promise is not kept.
    """
    check_content(law)
    check_rows_are_addressed(law, seed)
    check_standardizers(law, seed)
    if law.is_standard:
        check_whitened_rows(law, seed, rows)
    check_algebra(law)
    optional: dict[str, Callable[[], None]] = {
        "pointwise": lambda: check_pointwise(law, seed, rows),
        "posterior": lambda: check_posterior(law, seed, rows),
        "maps": lambda: check_maps(law),
        "moments": lambda: check_moments(law, seed, rows),
    }
    for name, check in optional.items():
        if name in without:
            _refused(name, check)
        else:
            check()


def check_content(law: Law) -> None:
    """JSON gives the same law back, with the same text and digest."""
    model = CausalModel.of_law(law)
    again = CausalModel.from_json(model.to_json())
    assert type(again.law) is type(law), f"JSON gave back {type(again.law).__name__}, not {type(law).__name__}"
    assert again.digest == model.digest, "the law that JSON gave back has another digest"
    assert again.to_json() == model.to_json(), "the law that JSON gave back is written otherwise"
    assert "\n" not in law.summary, "summary has more than one line"


def check_rows_are_addressed(law: Law, seed: int) -> None:
    """A row has the same bits whatever is drawn with it."""
    model = CausalModel.of_law(law)
    together = model.sample(7, seed=seed, start=3)
    apart = model.sample_rows([9, 4], seed=seed)
    for place, row in enumerate((9, 4)):
        assert together.y[row - 3] == apart.y[place], f"y of row {row} depends on the other rows"
        for name in model.modalities:
            same = np.array_equal(together.z[name][row - 3], apart.z[name][place])
            assert same, f"{name} of row {row} depends on the other rows"


def check_standardizers(law: Law, seed: int) -> None:
    """Every standardiser is undone, and `sample` gives what it makes of the latents in the units of the law."""
    model = CausalModel.of_law(law)
    plain = model.sample(5, seed=seed, standardize="none")
    for kind in ("whiten", "rms", "none"):
        drawn = model.sample(5, seed=seed, standardize=kind)
        for name in model.modalities:
            mapped = model.standardize_latents(plain.z[name], name, kind)
            size = float(np.abs(mapped).max())
            worst = float(np.abs(mapped - drawn.z[name]).max())
            assert worst <= 1e-9 * size, f"{name} drawn as {kind} is {worst} from its standardised latent"
            worst = float(np.abs(model.unstandardize_latents(mapped, name, kind) - plain.z[name]).max())
            size = float(np.abs(plain.z[name]).max())
            assert worst <= 1e-9 * size, f"{kind} of {name} is undone to {worst} of {size}"


def check_whitened_rows(law: Law, seed: int, rows: int) -> None:
    """Each modality, whitened, is N(0, I): bijections are trained on this law."""
    drawn = CausalModel.of_law(law).sample(rows, seed=seed)
    for name, latents in drawn.z.items():
        values = latents.reshape(rows, -1)
        _within(values.mean(axis=0) * math.sqrt(rows), f"means of whitened {name}")
        covariance = values.T @ values / rows - np.eye(values.shape[1])
        _within(covariance * math.sqrt(rows / 2.0), f"covariance of whitened {name}")
        fourth = (values**4).mean(axis=0) - 3.0
        _within(fourth * math.sqrt(rows / 96.0), f"fourth moments of whitened {name}")


def check_algebra(law: Law) -> None:
    """Information is finite, not negative, symmetric, and keeps the chain rule."""
    model = CausalModel.of_law(law)
    for a, b in combinations(model.names, 2):
        one, other = model.mutual_information(a, b), model.mutual_information(b, a)
        assert 0.0 <= one < math.inf, f"I({a};{b}) is {one}"
        assert abs(one - other) <= 1e-9 * max(1.0, one), f"I({a};{b}) is {one}, but I({b};{a}) is {other}"
    for a, b, c in combinations(model.names, 3):
        whole = model.mutual_information((a, b), c)
        parts = model.mutual_information(a, c) + model.mutual_information(b, c, given=a)
        assert abs(whole - parts) <= 1e-8 * max(1.0, whole), f"I({a},{b};{c}) is {whole}, its parts are {parts}"


def check_pointwise(law: Law, seed: int, rows: int) -> None:
    """The mean of pointwise information is the information, its variance the stated one, in any standardisation."""
    model = CausalModel.of_law(law)
    drawn, loud = (model.sample(rows, seed=seed, standardize=kind) for kind in ("whiten", "rms"))
    for a, b in combinations(model.names, 2):
        pointwise = model.pointwise_mutual_information(drawn, a, b)
        variance = model.pointwise_variance(a, b)
        excess = float(pointwise.mean()) - model.mutual_information(a, b)
        if variance <= 0.0:
            assert abs(excess) <= 1e-9, f"pointwise information of {a} and {b} has mean {excess}, expected 0"
            continue
        _within(np.array([excess / math.sqrt(variance / rows)]), f"mean pointwise information of {a} and {b}")
        other = model.pointwise_mutual_information(loud, a, b)
        assert np.allclose(pointwise, other, rtol=1e-6, atol=1e-6), f"{a} and {b}: rms gives other values than whiten"


def check_posterior(law: Law, seed: int, rows: int) -> None:
    """E[y | z] misses y by the stated variance, which is at most Var(y)."""
    model = CausalModel.of_law(law)
    drawn = model.sample(rows, seed=seed)
    for name in model.modalities:
        variance = model.residual_variance(name)
        assert 0.0 < variance <= model.variance_y * (1.0 + 1e-12), f"Var(y | {name}) is {variance}"
        squares = (drawn.y - model.decode(drawn, name)) ** 2
        error = float(squares.std()) / math.sqrt(rows)
        _within(np.array([(float(squares.mean()) - variance) / error]), f"squared errors of y decoded from {name}")


def check_maps(law: Law) -> None:
    """No coordinate knows more than the whole latent."""
    model = CausalModel.of_law(law)
    for name, shape in model.shapes.items():
        found = model.information_map(name)
        assert found.shape == shape, f"the map of {name} has shape {found.shape}, expected {shape}"
        most = model.mutual_information(name, "y")
        low, high = float(found.min()), float(found.max())
        assert low >= 0.0, f"the map of {name} holds {low}"
        assert high <= most + 1e-9 * max(1.0, most), f"a coordinate of {name} has {high}, all of them {most}"


def check_moments(law: Law, seed: int, rows: int) -> None:
    """The declared covariance of features is that of the rows."""
    model = CausalModel.of_law(law)
    drawn = model.sample(rows, seed=seed, standardize="none")
    generator = np.random.Generator(np.random.Philox(key=seed))
    loadings: dict[str, Array] = {}
    for name, shape in model.shapes.items():
        declared = [row / np.linalg.norm(row) for row in law.moments.directions(name) if np.any(row)]
        loadings[name] = np.stack([*declared, generator.standard_normal(math.prod(shape))])
        gain = law.moments.gain(name)
        assert gain >= 1.0 - 1e-9, f"the gain of {name} is {gain}, expected at least 1"
    features = [drawn.y[:, None]]
    features += [drawn.z[name].reshape(rows, -1) @ directions.T for name, directions in loadings.items()]
    values = np.concatenate(features, axis=1)
    covariance = law.moments.covariance(loadings)
    variances = np.diagonal(covariance)
    error = np.sqrt((np.multiply.outer(variances, variances) + covariance**2) / rows)
    _within((values.T @ values / rows - covariance) / error, "covariance of y and features")
    assert abs(float(covariance[0, 0]) - model.variance_y) <= 1e-9 * model.variance_y, "Var(y) is declared twice"


def check_refusal(law: Law, first: str, second: str) -> None:
    """A law without a finite sufficient statistic says so in one line."""
    _refused(f"of_shared_causes({first!r}, {second!r})", lambda: law.of_shared_causes(first, second))


def _refused(what: str, ask: Callable[[], object]) -> None:
    try:
        ask()
    except InvalidQueryError as error:
        message = str(error)
    else:
        raise AssertionError(f"{what} was expected to be refused")
    assert "\n" not in message, "the refusal has more than one line"


def _within(scores: Array, what: str) -> None:
    worst = float(np.abs(scores).max(initial=0.0))
    assert worst <= _MOST_ERRORS, f"{what}: {worst:.2f} standard errors off, of {scores.size} looks"
