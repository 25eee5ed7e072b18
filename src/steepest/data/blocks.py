"""Walks over the rows of an array a block at a time, so that no pass copies a whole data set."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import DataError

_BYTES = 4 * 2**20  # some are doubled to float64, and that a few times over


def blocks(inputs: NDArray[Any], rows: NDArray[np.int64] | None) -> Iterator[NDArray[Any]]:
    """The rows, in order, in blocks of about 4 MiB."""
    total = len(inputs) if rows is None else len(rows)
    size = max(1, _BYTES // max(1, inputs[:1].nbytes))
    for start in range(0, total, size):
        stop = min(start + size, total)
        yield inputs[start:stop] if rows is None else inputs[rows[start:stop]]


def require_finite(inputs: NDArray[Any], rows: NDArray[np.int64] | None, source: str) -> None:
    """Raise DataError naming the first value that is NaN or infinite, and how many there are."""
    if not np.issubdtype(inputs.dtype, np.floating):
        return
    first, count, seen = None, 0, 0
    for block in blocks(inputs, rows):
        wrong = ~np.isfinite(block)
        if wrong.any():
            count += int(wrong.sum())
            if first is None:
                place = np.argwhere(wrong)[0]
                row = seen + int(place[0])
                row = row if rows is None else int(rows[row])
                first = (row, place[1:], block[tuple(place)])
        seen += len(block)
    if first is not None:
        row, place, value = first
        where = f"column {place[0]}" if len(place) == 1 else f"position {tuple(map(int, place))}"
        raise DataError(
            f"{source}: row {row}, {where} is {value}, one of {count} values that are not finite; "
            "fill or drop them, or pass a data frame, whose missing values are encoded"
        )
