"""Folds: which rows each net of an ensemble is measured on and does not see."""

import numpy as np
from numpy.typing import NDArray

from steepest.random import Purpose, permutation

Int64Array = NDArray[np.int64]


def fold_of_rows(targets: NDArray[np.int64], folds: int, seed: int) -> Int64Array:
    """The fold of each row, (N,), 0 .. folds-1.

    Each class is spread evenly over the folds, and so are the rows. A class of fewer rows than
    there are folds is missing from the held-out rows of some of them.

    Args:
        targets: (N,) class indices, or (N, C) of 0 and 1.
        folds: At most N are made.
        seed: Decides.
    """
    if targets.ndim == 2:
        targets = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    order = permutation(len(targets), seed, Purpose.FOLDS, 0)
    grouped = order[np.argsort(targets[order], kind="stable")]
    result = np.empty(len(targets), dtype=np.int64)
    # Dealt out like cards, one class after the other: both kinds of evenness at once.
    result[grouped] = np.arange(len(targets)) % min(folds, len(targets))
    return result
