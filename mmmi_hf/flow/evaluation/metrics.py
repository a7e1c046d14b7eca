"""Measures of image quality as functions of feature arrays.

Owns formulae only: Fréchet distance, precision and recall, binomial intervals, nearest neighbours. Imports torch and
nothing else; knows nothing of classifiers, pipelines or files. All results are computed in float64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_CHUNK = 1000  # rows of a distance matrix held at once


def frechet_distance(a: Float[torch.Tensor, "n d"], b: Float[torch.Tensor, "m d"]) -> float:
    """Squared Fréchet distance between the normal laws with the moments of two samples.

    ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½), with covariances divided by n − 1 (Dowson and Landau, 1982).
    With Σ = RᵀR from a QR factorisation of the centred rows, the trace of the last root is the nuclear norm of
    R_a R_bᵀ: no matrix root is taken and no eigenvalue has to be rounded up to zero.

    Args:
        a, b: (n, d) and (m, d) features, at least two rows each.

    Returns:
        The distance, in squared units of the features. It is *not* the FID, whose features are those of Inception.

    Raises:
        ValueError: the shapes do not go together.
    """
    _check_features("a", a, "b", b, rows=2)
    a, b = a.double(), b.double()
    factors = [torch.linalg.qr(x - x.mean(0), mode="r").R / math.sqrt(len(x) - 1) for x in (a, b)]
    root = torch.linalg.svdvals(factors[0] @ factors[1].mT).sum()
    spread = sum(factor.square().sum() for factor in factors) - 2 * root
    return float((a.mean(0) - b.mean(0)).square().sum() + spread)


def precision_recall(
    real: Float[torch.Tensor, "n d"], samples: Float[torch.Tensor, "n d"], *, k: int = 3
) -> tuple[float, float]:
    """Improved precision and recall of samples (Kynkäänniemi et al., 2019, arXiv 1904.06991, eq. 1–3).

    The manifold of a set is the union of balls around its members that reach to their k-th nearest other member.
    Precision is the share of samples that lie in the manifold of the real features, recall the share of real features
    that lie in the manifold of the samples. Both depend on the number of rows: compare only at equal numbers.

    Args:
        real: (n, d) features of real images.
        samples: (n, d) features of as many samples.
        k: which neighbour sets the radius; 3 in the paper.

    Raises:
        ValueError: the shapes differ, or there are not more than k rows.
    """
    _check_features("real", real, "samples", samples, rows=k + 1)
    if len(real) != len(samples):
        raise ValueError(f"real and samples must have equally many rows, got {len(real)} and {len(samples)}")
    return _coverage(real.double(), samples.double(), k), _coverage(samples.double(), real.double(), k)


def _coverage(manifold: torch.Tensor, points: torch.Tensor, k: int) -> float:
    """Share of points that lie in a ball around some row of `manifold`."""
    radii = torch.cat(
        [torch.cdist(part, manifold).kthvalue(k + 1, dim=1).values for part in manifold.split(_CHUNK)]
    )  # the nearest of all is the row itself
    inside = [(torch.cdist(part, manifold) <= radii).any(dim=1) for part in points.split(_CHUNK)]
    return float(torch.cat(inside).double().mean())


def nearest(
    queries: Float[torch.Tensor, "n d"], references: Float[torch.Tensor, "m d"], k: int
) -> Int[torch.Tensor, "n {k}"]:
    """Rows of the k references nearest to each query in Euclidean distance, (n, k), the nearest first."""
    _check_features("queries", queries, "references", references, rows=1)
    if not 1 <= k <= len(references):
        raise ValueError(f"k must lie in 1 … {len(references)}, the number of references, got {k}")
    found = []
    for part in queries.split(_CHUNK):
        x = part.double()
        distances = torch.cat([torch.cdist(x, near.double()) for near in references.split(_CHUNK)], dim=1)
        found.append(distances.topk(k, dim=1, largest=False).indices)
    return torch.cat(found)


def binomial_interval(successes: int, trials: int, *, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval for a proportion; z = 1.96 gives 95 %.

    The two solutions p of |p̂ − p| = z √(p (1 − p)/n), p̂ = successes/n (Wilson, 1927).

    Raises:
        ValueError: not 0 ≤ successes ≤ trials with at least one trial.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes must lie in 0 … trials with trials at least 1, got {successes} of {trials}")
    share, shrink = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


def _check_features(name_a: str, a: torch.Tensor, name_b: str, b: torch.Tensor, *, rows: int) -> None:
    for name, x in ((name_a, a), (name_b, b)):
        if x.ndim != 2 or len(x) < rows:
            raise ValueError(f"{name} must be a matrix of at least {rows} rows, got shape {tuple(x.shape)}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{name_a} and {name_b} must have equally many columns, got {a.shape[1]} and {b.shape[1]}")
