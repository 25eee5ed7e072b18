"""Training and test rows. Whatever a method chooses, it chooses on the training rows alone."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def split(
    y: Rows, number: int, *, test: float = 0.25, max_train: int | None, max_test: int | None
) -> tuple[Rows, Rows]:
    """Training and test rows of one split, stratified: a function of the labels and `number`.

    Args:
        y: Class indices of all rows.
        number: Which split, from 0.
        test: Share of the rows of each class that go to the test.
        max_train: The training rows are cut down to these, each class by its share.
        max_test: The same of the test rows.

    Returns:
        Indices of training and of test rows. Each class that has rows has one to train on.
    """
    rng = np.random.default_rng(number)
    by_class = [rng.permutation(np.flatnonzero(y == c)) for c in range(int(y.max()) + 1)]
    held = [min(round(test * len(rows)), max(len(rows) - 1, 0)) for rows in by_class]
    train = _cut([rows[k:] for rows, k in zip(by_class, held, strict=True)], max_train, least=1)
    tests = _cut([rows[:k] for rows, k in zip(by_class, held, strict=True)], max_test, least=0)
    return rng.permutation(train), np.sort(tests)


def _cut(by_class: list[Rows], most: int | None, least: int) -> Rows:
    """All rows, or the first of each class so that there are about `most`."""
    total = sum(map(len, by_class))
    share = 1.0 if most is None or total <= most else most / total
    kept = [rows[: max(round(share * len(rows)), min(least, len(rows)))] for rows in by_class]
    return np.concatenate(kept)
