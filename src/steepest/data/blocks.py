"""Walks over the rows of an array a block at a time, so that no pass copies a whole data set."""

from collections.abc import Callable, Iterator
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
    first, count = _first_wrong(inputs, rows, lambda block: ~np.isfinite(block))
    if count:
        raise DataError(
            f"{source}: {first}, one of {count} values that are not finite; "
            "fill or drop them, or pass a data frame, whose missing values are encoded"
        )


def require_whole(inputs: NDArray[Any], rows: NDArray[np.int64] | None, source: str) -> None:
    """Raise DataError naming the first value that is not a whole number that int64 can hold."""
    first, count = _first_wrong(
        inputs, rows, lambda block: (block != np.trunc(block)) | (np.abs(block) >= 2.0**63)
    )
    if count:
        raise DataError(
            f"{source}: {first}, one of {count} values that are not whole numbers, but training "
            "had integers, which the model looks up"
        )


def require_room(
    inputs: NDArray[Any],
    rows: NDArray[np.int64] | None,
    source: str,
    fits: Callable[[NDArray[Any]], NDArray[np.bool_]],
) -> None:
    """Raise DataError naming the first value that does not fit, as it becomes infinite."""
    first, count = _first_wrong(inputs, rows, lambda block: ~fits(block))
    if count:
        raise DataError(
            f"{source}: {first}, one of {count} values that are too large for the model's numbers "
            "when scaled as in training"
        )


def _first_wrong(
    inputs: NDArray[Any],
    rows: NDArray[np.int64] | None,
    are_wrong: Callable[[NDArray[Any]], NDArray[np.bool_]],
) -> tuple[str, int]:
    """The first wrong floating-point value with its place, in words, and how many there are."""
    if not np.issubdtype(inputs.dtype, np.floating):
        return "", 0
    first, count, seen = "", 0, 0
    for block in blocks(inputs, rows):
        wrong = are_wrong(block)
        if wrong.any():
            count += int(wrong.sum())
            if not first:
                place = np.argwhere(wrong)[0]
                row = seen + int(place[0])
                row = row if rows is None else int(rows[row])
                where = tuple(map(int, place[1:]))
                said = f"column {where[0]}" if len(where) == 1 else f"position {where}"
                first = f"row {row}, {said} is {block[tuple(place)]}"
        seen += len(block)
    return first, count
