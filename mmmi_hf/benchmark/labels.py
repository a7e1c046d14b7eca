"""Pairs of which one block is a class label.

Owns which side that is, and what estimators of labels have in common. Imports NumPy and this room's pairs only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.benchmark.pairs import Array, Pairs

MOST_CLASSES = 100


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows and their labels.

    rows: (n, *shape). labels: (n,), whole numbers. second: whether the labels are the second block.
    """

    rows: Array
    labels: NDArray[np.int64]
    second: bool

    @classmethod
    def of(cls, pairs: Pairs, what: str) -> Labelled:
        """The sides of pairs; the second block is taken where both could be labels.

        Raises:
            ValueError: neither is: one number a row, whole, at most 100 different ones.
        """
        for second, block, other in ((True, pairs.b, pairs.a), (False, pairs.a, pairs.b)):
            flat = block.reshape(len(block), -1)
            if flat.shape[1] == 1 and np.array_equal(flat, np.rint(flat)) and len(np.unique(flat)) <= MOST_CLASSES:
                return cls(other, flat[:, 0].astype(np.int64), second)
        raise ValueError(
            f"{what} has no block of labels (one whole number a row, at most {MOST_CLASSES} different ones); take "
            "another estimator, or data whose y is a class"
        )
