"""split(): validation and test parts, seeded and stratified by label."""

from dataclasses import replace
from typing import Any

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

    Each class gives its share, rounded by largest remainders, and keeps at least one row for
    training; rows stay in their order.

    Args:
        dataset: As `load_data` gives it. A part that is there already stays as it is.
        validation: Share of the training rows for the validation part, 0 for none.
        test: The same for the test part; the two must leave some.
        seed: Decides which rows.

    Returns:
        A new data set; the inputs are shared, not copied.

    Raises:
        DataError: The shares are no shares, or leave nothing to train on.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(
            "the shares must be at least 0 and add up to less than 1, but are "
            f"validation={validation}, test={test}"
        )
    wanted = {"test": test, "validation": validation}
    shares = {name: s for name, s in wanted.items() if s and getattr(dataset, name) is None}
    train = dataset.train
    if not shares:
        return dataset
    if train.labels is None:
        raise TargetError(f"{train.source} has no labels, and a stratified split needs them")
    labels = train.labels
    if labels.ndim == 2:  # by which classes a row has
        labels = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    values, classes = _by_appearance(labels)
    sizes = np.bincount(classes)
    order = permutation(len(train), seed, Purpose.SPLIT, 0)
    grouped = order[np.argsort(classes[order], kind="stable")]
    # The rank of each of these rows among the rows of its class, in random order.
    ranks = np.arange(len(grouped)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    parts, taken = {}, np.zeros_like(sizes)
    notes = _notes(sizes, values) if train.labels.ndim == 1 else []
    for name, share in shares.items():
        counts = _allocate(share, sizes, sizes - 1 - taken)
        first, last = np.repeat(taken, sizes), np.repeat(taken + counts, sizes)
        rows = np.sort(grouped[(first <= ranks) & (ranks < last)])
        if len(rows):
            parts[name] = train.take(rows)
        else:
            notes.append(f"too few rows for a {name} part")
        taken = taken + counts
    kept = train.take(np.sort(grouped[ranks >= np.repeat(taken, sizes)]))
    return replace(dataset, train=kept, notes=(*dataset.notes, *notes), **parts)


def _by_appearance(labels: NDArray[Any]) -> tuple[tuple[str, ...], Int64Array]:
    """The classes in the order in which they first occur, and the place there of each label.

    This order does not depend on what the labels are called, so neither does the split.
    """
    values, first, classes = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return tuple(map(str, values[order])), place[classes]


def _allocate(share: float, sizes: Int64Array, free: Int64Array) -> Int64Array:
    """How many rows each class gives: its share, rounded so that the sum is round(share * N)."""
    exact = share * sizes
    counts: Int64Array = np.minimum(np.floor(exact).astype(np.int64), free)
    total = min(round(share * int(sizes.sum())), int(free.sum()))
    # Largest remainders first; the stable sort keeps equal ones in the order of the classes. What
    # small classes cannot give without losing their last row, the others give in further rounds.
    by_remainder = np.argsort(np.floor(exact) - exact, kind="stable")
    while (lacking := total - int(counts.sum())) > 0:
        able = by_remainder[counts[by_remainder] < free[by_remainder]]
        step, giving = max(1, lacking // len(able)), able[:lacking]
        counts[giving] += np.minimum(step, free[giving] - counts[giving])
    return counts


def _notes(sizes: Int64Array, names: tuple[str, ...]) -> list[str]:
    return [
        f"classes with {count} row{'s' * (count > 1)}, {outcome}: {shorten(rare)}"
        for count, outcome in ((1, "kept for training"), (2, "of which at least one is trained on"))
        if (rare := tuple(n for n, size in zip(names, sizes, strict=True) if size == count))
    ]
