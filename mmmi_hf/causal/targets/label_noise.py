"""Labels: their names, and those that are wrong by chance, a row-stochastic matrix over classes.

Imports this room only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array, read_number, read_numbers, shown
from mmmi_hf.causal.errors import InvalidModelError, InvalidQueryError


def read_noise(classes: int, flip: Any, noise: Any) -> Array | None:
    """The matrix p(label | class), (classes, labels), read-only; None where no label is wrong.

    Args:
        flip: the probability that a label is one of the others, all alike.
        noise: the matrix itself.

    Raises:
        InvalidModelError: both are given, or they are no probabilities.
    """
    if flip is not None and noise is not None:
        raise InvalidModelError(f"flip is {shown(flip)} although noise, which says it, is given; give one of them")
    if flip is not None:
        chance = read_number("flip", flip, "a probability from 0 to 1")
        if not 0.0 <= chance <= 1.0:
            raise InvalidModelError(f"flip is {chance}, expected a probability from 0 to 1")
        if chance == 0.0:
            return None
        matrix = np.full((classes, classes), chance / (classes - 1))
        np.fill_diagonal(matrix, 1.0 - chance)
    elif noise is not None:
        matrix = read_numbers("noise", noise, "rows of probabilities, one for each class")
        if matrix.ndim != 2 or len(matrix) != classes or matrix.shape[1] < 2:
            raise InvalidModelError(
                f"noise has shape {matrix.shape}, expected ({classes}, labels): a row a class, two labels at least"
            )
        wrong = np.flatnonzero(~((matrix >= 0.0).all(axis=1) & (np.abs(matrix.sum(axis=1) - 1.0) <= 1e-12)))
        if len(wrong):
            row = matrix[wrong[0]]
            raise InvalidModelError(
                f"noise[{wrong[0]}] is {shown(row.tolist())} with the sum {float(row.sum()):.12g}, expected the "
                "probabilities of its labels: numbers from 0 that sum to 1"
            )
        if matrix.sum(axis=0).min() <= 0.0:
            raise InvalidModelError("noise never gives one of its labels; leave its column out")
    else:
        return None
    matrix.flags.writeable = False
    return matrix


def read_names(names: Any, labels: int) -> tuple[str, ...] | None:
    """Names of the labels, None where none are given. Raises InvalidModelError for other than different words."""
    if names is None:
        return None
    words = isinstance(names, (list, tuple)) and all(isinstance(name, str) and name.strip() for name in names)
    if not words or len(names) != labels or len(set(names)) != labels or not all(name.isprintable() for name in names):
        raise InvalidModelError(f"names is {shown(names)}, expected {labels} different words, one for each label")
    return tuple(names)


def noise_in_words(noise: Array | None) -> str:
    """How often labels are wrong at most, as the end of a sentence."""
    if noise is None:
        return ""
    kept = np.diagonal(noise) if noise.shape[0] == noise.shape[1] else noise.max(axis=1)
    return f", up to {100.0 * (1.0 - float(kept.min())):.4g} % of the labels replaced"


def draw_labels(noise: Array, classes: Array, normals: Array) -> Array:
    """Labels of classes (n,), by one standard normal number of every row."""
    steps = np.cumsum(noise, axis=1)[classes, :-1]
    return np.asarray((scipy.special.ndtr(normals)[:, None] >= steps).sum(axis=1))


def labels_of(target: Array, count: int) -> Any:
    """Labels as integers. Raises InvalidQueryError where they are no classes of this target."""
    found = target.astype(np.int64)
    if np.any(found != target) or found.min(initial=0) < 0 or found.max(initial=0) >= count:
        raise InvalidQueryError(f"latents.y holds {shown(target)}, expected classes 0 … {count - 1}")
    return found
