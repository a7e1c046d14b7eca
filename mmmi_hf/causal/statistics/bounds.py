"""Lower confidence bounds on the information that stored data still carry.

Owns the statistics of the certificate: from pointwise mutual information of true and of recovered latents, in nats, to
bounds that hold with a stated probability. NumPy and SciPy only; knows nothing of images or files.

Notation: Z_i is the true latent of modality i, X̃_i what is stored of it, ẑ_i a latent recovered from X̃_i by a fixed
map, i(·;·) the *analytic* pointwise mutual information of the causal model, I the analytic information and m the number
of canonical pairs with correlation ρ_c > 0. Every bound below is a theorem about the law of the stored data; sampling
enters through the confidence limits of `confidence` alone. All arrays may have leading axes: samples side by side.

Paired bound for a jointly Gaussian pair. For a Gaussian A with E A² = 1 and any decoder g,
I(A; X̃) ≥ -½ ln E(A - g(X̃))². With the canonical variates A_c of the true side and B̂_c of the recovered one,
Σ_c (A_c - ρ_c B̂_c)² / (1 - ρ_c²) = Σ_c A_c² - 2 (i(A; ẑ) - I), so that the error that storage adds, as a share of the
analytic one, is U = (2/m) (i(A; z) - i(A; ẑ)) per row and pair: no canonical variate is needed. As ln is concave,

    I(A; X̃) ≥ Σ_c -½ ln(1 - ρ_c²) - ½ Σ_c ln(1 + U_c) ≥ I - (m/2) ln(1 + E U).

It serves I(x_i; y) with m = 1 and, with the true latent on one side, the submodular bound for I(x_i; x_j):
I(X̃_i; X̃_j) ≥ I(Z_i; X̃_j) + I(Z_j; X̃_i) - I(Z_i; Z_j), which follows from the chain rule and data processing.

Pointwise bound for any y, a class or numbers of any law. For any conditional probability q(y | ẑ), Gibbs' inequality
says I(y; X̃) ≥ E ln q(y | ẑ)/p(y). For q the declared posterior is mixed with the prior, (1 - ε) p(y | ẑ) + ε p(y), so
that the logarithm, ln((1 - ε) e^{i(y; ẑ)} + ε), is at least ln ε however wrong ẑ is. It costs at most -ln(1 - ε).
"""

from __future__ import annotations

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.statistics.confidence import pseudo_values, unseen_share, upper_limit

MIXED = 1e-2
"""Share of 1 in the critic of `product_bound` without true latents: ln((1 - s) eⁱ + s) is at least ln s."""

KNOWN_MIXED = 1e-4
"""The same of `pointwise_bound` with true latents."""


def paired_bound(information: float, loss: Array, pairs: int, error: float) -> Array:
    """Lower bound on I(A; X̃) where the latents of the rows are known.

    Args:
        information: I, analytic, in nats.
        loss: (…, n), i(A; z) - i(A; ẑ) of every row.
        pairs: m ≥ 1.
        error: one-sided error probability.

    Returns:
        (…,) I - (m/2) ln(1 + U), U the upper limit of 2 loss / m, at least 0: that E U ≥ 0 is a theorem.
    """
    share = np.maximum(upper_limit(2.0 * loss / pairs, error), 0.0)
    return np.asarray(information - 0.5 * pairs * np.log1p(share))


def submodular_bound(information: float, loss_first: Array, loss_second: Array, pairs: int, error: float) -> Array:
    """Lower bound on I(X̃_i; X̃_j): L(Z_i; X̃_j) + L(Z_j; X̃_i) - I(Z_i; Z_j), both errors under one limit.

    ½ ln(1 + u) + ½ ln(1 + v) ≤ ln(1 + (u + v)/2), so that I - m ln(1 + E (U + V)/2) is a bound, with one mean to limit.

    Args:
        information: I(Z_i; Z_j), analytic.
        loss_first: (…, n), i(z_i; z_j) - i(z_i; ẑ_j).
        loss_second: (…, n), i(z_i; z_j) - i(ẑ_i; z_j).
        pairs: m ≥ 1.
        error: one-sided error probability.
    """
    share = np.maximum(upper_limit((loss_first + loss_second) / pairs, error), 0.0)
    return np.asarray(information - pairs * np.log1p(share))


def residual_bound(information: float, recovered: Array, target: Array, error: float) -> Array:
    """Lower bound on I(y; X̃) from recovered latents alone: I - ½ ln E q, q = (y - ŷ)² / Var(y | z).

    Args:
        information: I(y; z), analytic.
        recovered: (…, n), i(y; ẑ) of every row.
        target: (…, n), y / √Var y.
        error: one-sided error probability.
    """
    residual = np.square(target) - 2.0 * (recovered - information)
    return np.asarray(information - 0.5 * np.log(upper_limit(residual, error)))


def pointwise_bound(information: float, recovered: Array, error: float, true: Array | None = None) -> Array:
    """Lower bound on I(y; X̃) for any y: E ln((1 - ε) e^{i(y; ẑ)} + ε).

    Args:
        information: I(y; z), analytic.
        recovered: (…, n), i(y; ẑ) of every row.
        error: one-sided error probability.
        true: (…, n), i(y; z), whose mean is I, where the latents of the rows are known: then ε = 1e-4 and only the
            loss is estimated. Without, ε = 0.01, and the bound is lowered by what an unseen share could cost.
    """
    if true is not None:
        return np.asarray(information - upper_limit(true - _mixed(recovered, KNOWN_MIXED), error))
    critic = _mixed(recovered)
    bound = -upper_limit(-critic, error)
    return np.asarray(
        bound - unseen_share(critic.shape[-1], error) * np.maximum(critic.mean(axis=-1) - np.log(MIXED), 0.0)
    )


def pointwise_pair_bound(information: float, true: Array, first: Array, second: Array, error: float) -> Array:
    """Lower bound on I(X̃_i; X̃_j) of any law: the submodular one, each term by the pointwise bound.

    Args:
        information: I(Z_i; Z_j), analytic.
        true, first, second: (…, n), i(z_i; z_j), i(z_i; ẑ_j) and i(ẑ_i; z_j) of every row.
        error: one-sided error probability.
    """
    loss = 2.0 * true - _mixed(first, KNOWN_MIXED) - _mixed(second, KNOWN_MIXED)
    return np.asarray(information - upper_limit(loss, error))


def correlation_bound(target: Array, decoded: Array, error: float) -> Array:
    """Lower bound on I(y; X̃) for a Gaussian y: -½ ln(1 - ρ²), whatever offset and scale the decoder has.

    Args:
        target: (…, n), y.
        decoded: (…, n), a function of the stored row.
        error: one-sided error probability.

    Returns:
        (…,), by the jackknife; 0 where the decoder is constant.
    """
    n = target.shape[-1]
    columns = np.stack([target, decoded, target * target, decoded * decoded, target * decoded])
    totals = columns.sum(axis=-1)
    whole = _squared_correlation_information(totals, n)
    without = _squared_correlation_information(totals[..., None] - columns, n - 1)
    return np.asarray(-upper_limit(-pseudo_values(whole, without), error))


def _squared_correlation_information(totals: Array, n: int) -> Array:
    first, second, squares, other_squares, products = totals / n
    variance, other = squares - first * first, other_squares - second * second
    covariance = products - first * second
    known = (variance > 1e-14 * squares) & (other > 1e-14 * other_squares)
    share = np.where(known, covariance * covariance, 0.0) / np.where(known, variance * other, 1.0)
    if np.any(share >= 1.0):
        raise ArithmeticError(f"squared correlation {float(np.max(share))!r}: the decoder equals y to rounding")
    return np.asarray(-0.5 * np.log1p(-share))


def product_bound(
    information: float,
    joint: Array,
    product: Array,
    error: float,
    *,
    true_joint: Array | None = None,
    true_product: Array | None = None,
) -> Array:
    """Donsker-Varadhan lower bound on I(X̃_i; X̃_j): E_P f - ln E_Q e^f with f the analytic i(ẑ_i; ẑ_j).

    E_Q runs over all pairs of different rows. Where the true latents are known, E_P i(z_i; z_j) = I and
    E_Q e^i = 1 hold exactly, and the estimates of both are used as control variates: E_P f by difference, E_Q e^f by
    ratio. Where they are not, the critic is ln((1 - s) eⁱ + s), s = 0.01, at least ln s, and the bound is
    lowered by what the largest share of rows that a sample may miss could cost at that floor.

    Args:
        information: I, analytic.
        joint: (…, n), i(ẑ_i; ẑ_j) of every row.
        product: (…, n, n), i of ẑ_i of row r and ẑ_j of row s; the diagonal is not used.
        error: one-sided error probability.
        true_joint, true_product: the same of the true latents; give both or neither.

    Returns:
        (…,), by the jackknife over rows. Meant for I up to about six nats: e^f has variance e^{2I} under Q.
    """
    n = joint.shape[-1]
    if true_joint is None or true_product is None:
        joint, product = _mixed(joint), _mixed(product)
        (normaliser, normaliser_without), offset = _log_mean_exp(product), 0.0
    else:
        recovered, known = _log_mean_exp(product), _log_mean_exp(true_product)
        normaliser, normaliser_without = recovered[0] - known[0], recovered[1] - known[1]
        joint, offset = joint - true_joint, information
    total = joint.sum(axis=-1)
    whole = total / n - normaliser
    without = (total[..., None] - joint) / (n - 1) - normaliser_without
    bound = offset - upper_limit(-pseudo_values(whole, without), error)
    if true_joint is None:
        bound -= unseen_share(n, error) * np.maximum(total / n - np.log(MIXED), 0.0)
    return np.asarray(bound)


def _mixed(critic: Array, share: float = MIXED) -> Array:
    return np.asarray(np.logaddexp(critic + np.log1p(-share), np.log(share)))


def _log_mean_exp(product: Array) -> tuple[Array, Array]:
    """ln of the mean of e^f over pairs of different rows: of all rows (…,) and without each row (…, n)."""
    n = product.shape[-1]
    largest = product.max(axis=(-2, -1))
    terms = np.exp(product - largest[..., None, None])
    diagonal = np.arange(n)
    terms[..., diagonal, diagonal] = 0.0
    total = terms.sum(axis=(-2, -1))
    rest = total[..., None] - terms.sum(axis=-1) - terms.sum(axis=-2)
    tiny = np.finfo(np.float64).tiny
    whole = np.log(np.maximum(total, tiny) / (n * (n - 1))) + largest
    without = np.log(np.maximum(rest, tiny) / ((n - 1) * (n - 2))) + largest[..., None]
    return whole, without
