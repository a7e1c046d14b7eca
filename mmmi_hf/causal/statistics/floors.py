"""Floors: information that remains whatever was done to at most a share s of the rows.

Owns the two bounds, their proofs, and what small errors of the good rows cost. NumPy and SciPy only; where the share
comes from is the business of `shares`. All information is in nats.

Setting. A row is drawn: latents z of the declared law and the target y; what is stored is X̃. A row is *good* if fixed
functions of the stored values give its latents back up to a small deviation, and *bad* otherwise. Which rows are bad
may depend on anything: on y, on z, on the other modalities, on all of them. At most a share s of the rows is bad. What
bad rows hold is arbitrary. Assumed are: latents drawn by the declared law, and for the first bound the declared y in
every row (all of which can be compared). No row that was not seen is assumed to resemble one that was.

Target. Let ẑ be any function of X̃, i(y; ẑ) the declared pointwise information, ε in (0, 1) and
f = ln((1 - ε) eⁱ + ε). The decoded ẑ is the condition of a normal density: for each ẑ the mean of e^{i(y;ẑ)} over the
declared law of y is 1, hence that of e^f. By Donsker and Varadhan I(y; X̃) ≥ E f(y, ẑ) - E ln E_y e^f = E f(y, ẑ),
for any channel. Good rows have E f(y, ẑ) ≥ E f(y, z) - δ between them, a bad row has f ≥ ln ε, and what it should have
had is at most the mean of the largest values:

    I(y; X̃) ≥ E f - δ - s (CVaR_s(f) - ln ε) = F,   CVaR_s(f): mean of the largest share s of f(y, z).

For a y of another kind, a class or numbers made of the causes, nothing changes: i(y; ẑ) = ln p(y | ẑ) - ln p(y) has the
same property, as p(· | ẑ) is a probability, and only the law of i is another (`Listed`). Mixing the posterior with the
prior, (1 - ε) p(y | ẑ) + ε p(y), is what f stands for; that E f is no more than the information is Gibbs' inequality.

E f and CVaR_s are those of the declared law: no mean is estimated. F falls in s, because f ≥ ln ε. It holds for every
ε at once, so that ε may be chosen when s is known. The floor of ε grows with the share of bad rows that it insures.

Pair. With B the event that the row is bad and h the binary entropy, I(X̃_i; X̃_j) ≥ I(X̃_i; X̃_j | B) - H(B) ≥ (1 - p)
I₀ - h(p), I₀ the information in the good rows. For I₀ take the declared i as critic. The marginals of the good rows
have densities at most 1/(1 - p) times the declared ones, and E eⁱ = 1 under the product of those: ln E e^i ≤ -2 ln(1 -
p). So, for s ≤ ½, where the right side falls in s,

    I(X̃_i; X̃_j) ≥ I - s CVaR_s(i) + 2 (1 - s) ln(1 - s) - h(s) - δ.

It needs no Markov chain X̃_i - Z_i - Z_j - X̃_j: one rule may have looked at both modalities.

Rows that lack modalities, with flags F that are known of every row. For a target ẑ is what is there, and nothing
changes: i is 0 where nothing is. For a pair I(X̃_i; X̃_j) ≥ I(X̃_i; X̃_j | F) by the chain rule, because each flag is part
of its modality, and that is at least P(both there) times the information of those rows, of which a share of at most
s / P(both there) is bad.

Deviations. Let a be the canonical variates of one side, u = â - a the error of a good row and η ≥ ‖u‖. With e = (b - ρ
a)/√(1 - ρ²), a standard normal independent of a, and κ = ρ/√(1 - ρ²) one has i(â; b) = i(a; b) + Σ κ_c u_c e_c - ½ Σ
κ_c² u_c². f has slope at most 1 in i, so that δ = κ η √(2/π) + ½ κ² η² serves the target. So it does for any y that is
made, by chance or not, of b: d/dâ i(y; â) = E[κ e | y, a], whose mean length is at most κ E|e| (Jensen), and the second
derivative, Var(κ e | y, a) - κ², is at least -κ². For a y of several causes ũ | z ~ N(m, Σ) the same holds with the
length of Σ^{-½} (m̂ - m) in the place of κ η. For a pair both sides err, and the product law of the good rows has to be
bounded with the errors in it: the change of i is at most η (‖κ∘e‖ + ‖κ∘e'‖) + η² ρ/(1 + ρ) and at least minus the first
part and η² ρ/(1 - ρ), ρ the largest; under the product law weighted by eⁱ, which is the joint one, ‖κ∘e‖ is a Lipschitz
function of normals, and ln E exp(η (‖κ∘e‖ + ‖κ∘e'‖)) ≤ 2 η E‖κ∘e‖ + 2 η² max κ² by Cauchy-Schwarz and Gaussian
concentration. Together δ = 4 η E‖κ∘e‖ + 2 η² (max κ² + ρ/(1 - ρ²)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.statistics.tails import QUADRATURE_ERROR, Listed, excess_of_largest, expectation, largest_values

_CLOSEST = 1e-8
"""1 - ρ below which the deviations of a pair are not bounded: its rounding would count."""


@dataclass(frozen=True)
class Floor:
    """A floor and what it rests on.

    Attributes:
        value: nats; 0 where the bound is empty.
        share: s, the largest share of bad rows that it allows for.
        slack: δ, nats, what the deviations of good rows may cost.
        mixture: ε of a target; None for a pair, and where the floor is empty or s is 0.
    """

    value: float
    share: float
    slack: float
    mixture: float | None


def target_floor(information: float, share: float, slack: float = 0.0, law: Listed | None = None) -> Floor:
    """The floor of I(y; X̃); of one modality or of several together.

    Args:
        information: I(y; z), analytic.
        share: s in [0, 1]; above one half the floor is empty.
        slack: δ ≥ 0.
        law: of the pointwise information; None for that of one canonical pair.

    Raises:
        InvalidQueryError: a number outside its range.
    """
    _check(information, share, slack)
    if share == 0.0 or share > 0.5 or information == 0.0:
        return Floor(max(0.0, information - slack) if share == 0.0 else 0.0, share, slack, None)

    if law is None:
        lost = partial(_largest_less_all, information=information, share=share)
    else:
        lost = partial(law.summed, weights=law.largest(share) - law.weights)

    def cost(logit: float) -> float:
        kept, mixed = float(scipy.special.log_expit(-logit)), float(scipy.special.log_expit(logit))

        def critic(i: Array) -> Array:
            return np.asarray(np.logaddexp(kept + i, mixed))

        return lost(critic) - share * mixed

    grid = np.linspace(-30.0, 10.0, 41)
    best = float(grid[np.argmin([cost(logit) for logit in grid])])
    found = scipy.optimize.minimize_scalar(cost, bounds=(best - 1.0, best + 1.0), method="bounded")
    value = -float(found.fun) - slack - QUADRATURE_ERROR * max(1.0, information)
    if value <= 0.0:
        return Floor(0.0, share, slack, None)
    return Floor(value, share, slack, float(scipy.special.expit(found.x)))


def _largest_less_all(critic: Callable[[Array], Array], information: float, share: float) -> float:
    """s CVaR_s of a critic of one canonical pair, less its expectation."""
    return largest_values(critic, information, share) - expectation(critic, information)


def pair_floor(information: float, correlations: Any, share: float, slack: float = 0.0) -> Floor:
    """The floor of I(X̃_i; X̃_j), whatever rule made rows bad.

    Args:
        information: I(z_i; z_j), analytic.
        correlations: (m,), the canonical correlations.
        share: s in [0, 1]; above one half the floor is empty.
        slack: δ ≥ 0.

    Raises:
        InvalidQueryError: a number outside its range.
    """
    _check(information, share, slack)
    if share > 0.5 or slack >= information:
        return Floor(0.0, share, slack, None)
    value = information - slack
    if share > 0.0:
        kept = np.log1p(-share)
        entropy = -share * np.log(share) - (1.0 - share) * kept
        largest = share * information + excess_of_largest(correlations, share)
        value += float(2.0 * (1.0 - share) * kept - entropy - largest)
    return Floor(max(0.0, value), share, slack, None)


def target_slack(information: float, deviation: float) -> float:
    """δ of a target: |t̂ - t| ≤ η in every good row, t = E[y | z] in units of its standard deviation.

    Args:
        information: I(y; z), analytic.
        deviation: η ≥ 0.
    """
    _check(information, 0.0, deviation)
    return slack_of_ratio(deviation * float(np.sqrt(np.expm1(2.0 * information))))


def slack_of_ratio(ratio: float) -> float:
    """δ of a target where κ η is at most `ratio`."""
    _check(0.0, 0.0, ratio)
    return ratio * float(np.sqrt(2.0 / np.pi)) + 0.5 * ratio * ratio


def pair_slack(correlations: Any, deviation: float) -> float:
    """δ of a pair: the errors of the canonical variates of either side have a length of at most η in every good row.

    Infinite where a correlation is within 1e-8 of 1.

    Args:
        correlations: (m,), in [0, 1).
        deviation: η ≥ 0.
    """
    _check(0.0, 0.0, deviation)
    rho = np.asarray(correlations, dtype=np.float64).ravel()
    rho = rho[rho > 0.0]
    if not rho.size or deviation == 0.0:
        return 0.0
    if rho.max() > 1.0 - _CLOSEST:
        return float("inf")
    remainder = (1.0 - rho) * (1.0 + rho)
    squares = rho * rho / remainder
    length = np.sqrt(squares.sum() * (2.0 / np.pi if rho.size == 1 else 1.0))
    return float(4.0 * deviation * length + 2.0 * deviation**2 * (squares.max() + (rho / remainder).max()))


def _check(information: float, share: float, slack: float) -> None:
    if not 0.0 <= information < np.inf:
        raise InvalidQueryError(f"information is {information!r}, expected a finite number of nats, at least 0")
    if not 0.0 <= share <= 1.0:
        raise InvalidQueryError(f"share is {share!r}, expected a number between 0 and 1")
    if not slack >= 0.0:
        raise InvalidQueryError(f"slack and deviation must be at least 0, got {slack!r}")
