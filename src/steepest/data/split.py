"""split(): validation and test parts, seeded and stratified by label."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from steepest.data.classes import shorten
from steepest.data.samples import Dataset
from steepest.errors import DataError, TargetError
from steepest.random import Purpose, permutation

Int64Array = NDArray[np.int64]


def split(
    dataset: Dataset, *, validation: float = 0.1, test: float = 0.0, seed: int = 0
) -> Dataset:
    """The data set with the parts that it lacks taken from its training rows.

    validation, test: shares of the training rows, 0 for none; a part that is there already stays
    as it is. Each class gives its share, rounded by largest remainders, and keeps at least one
    row for training; rows stay in their order. Raises DataError if the shares leave nothing.
    """
    shares = {
        name: share
        for name, share in (("test", test), ("validation", validation))
        if share and getattr(dataset, name) is None
    }
    if not all(0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise DataError(f"shares of at least 0 that add up to less than 1 are needed, not {shares}")
    if not shares:
        return dataset
    train = dataset.train
    if train.labels is None:
        raise TargetError(f"{train.source} has no labels, and a stratified split needs them")
    values, classes = np.unique(train.labels, return_inverse=True)
    order = permutation(len(train), seed, Purpose.SPLIT, 0)
    by_class = [order[classes[order] == c] for c in range(len(values))]
    part_of = np.zeros(len(train), dtype=np.int64)  # 0 stays in training
    free = np.array([len(rows) - 1 for rows in by_class])
    taken = np.zeros(len(values), dtype=np.int64)
    for number, share in enumerate(shares.values(), start=1):
        counts = _allocate(share, np.bincount(classes, minlength=len(values)), free - taken)
        for rows, start, count in zip(by_class, taken, counts, strict=True):
            part_of[rows[start : start + count]] = number
        taken += counts
    parts = {
        name: train.take(np.flatnonzero(part_of == number))
        for number, name in enumerate(shares, start=1)
    }
    empty = [name for name, part in parts.items() if not len(part)]
    notes = _notes(np.array([len(rows) for rows in by_class]), tuple(map(str, values)), empty)
    rest = train.take(np.flatnonzero(part_of == 0))
    kept = {name: part for name, part in parts.items() if len(part)}
    return replace(dataset, train=rest, notes=(*dataset.notes, *notes), **kept)


def _allocate(share: float, sizes: Int64Array, free: Int64Array) -> Int64Array:
    """How many rows each class gives: its share, rounded so that the sum is right."""
    exact = share * sizes
    counts: Int64Array = np.minimum(np.floor(exact).astype(np.int64), free)
    missing = min(round(share * sizes.sum()), int(free.sum())) - int(counts.sum())
    # Largest remainders first; the stable sort keeps equal ones in the order of the classes.
    for c in np.argsort(-(exact - np.floor(exact)), kind="stable"):
        if missing <= 0:
            break
        if counts[c] < free[c]:
            counts[c] += 1
            missing -= 1
    return counts


def _notes(sizes: Int64Array, names: tuple[str, ...], empty: list[str]) -> list[str]:
    notes = [
        f"classes with {count} row{'s' * (count > 1)}, {outcome}: {shorten(rare)}"
        for count, outcome in ((1, "kept for training"), (2, "of which at least one is trained on"))
        if (rare := tuple(n for n, size in zip(names, sizes, strict=True) if size == count))
    ]
    return notes + [f"too few rows for a {name} part" for name in empty]
