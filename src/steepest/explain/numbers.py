"""How numbers are shown: shortened where there are many, with as many digits as say something."""

import math

import numpy as np
from numpy.typing import NDArray

_FIXED_FROM, _FIXED_TO = 1e-3, 1e5
GAP = "…"


def number(value: float, digits: int = 4) -> str:
    """One number: 40, 1.1394, 3.2e-07, nan.

    >>> [number(v) for v in (40.0, -0.0, 1.13944, 3.2e-7, float("inf"))]
    ['40', '0', '1.139', '3.2e-07', 'inf']
    """
    return f"{value + 0.0:.{digits}g}"


def cells(array: NDArray[np.float64], rows: int = 8, columns: int = 8) -> list[list[str]]:
    """The entries of an array as text, row by row, all with the same number of decimals.

    A scalar is one cell, a vector one row; of more than two dimensions, the last ones are
    flattened. More rows or columns than asked for are left out in the middle, where GAP stands.
    """
    flat = array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), -1)
    decimals = _decimals(flat)
    kept_rows, kept_columns = _kept(flat.shape[0], rows), _kept(flat.shape[1], columns)
    return [
        [
            GAP if r is None or c is None else _entry(float(flat[r, c]), decimals)
            for c in kept_columns
        ]
        for r in kept_rows
    ]


def lines(array: NDArray[np.float64], rows: int = 8, columns: int = 8) -> list[str]:
    """The same as lines of text with columns that stand under each other."""
    table = cells(array, rows, columns)
    width = max((len(cell) for row in table for cell in row), default=0)
    return ["  ".join(cell.rjust(width) for cell in row) for row in table]


def _kept(count: int, most: int) -> list[int | None]:
    if count <= most:
        return list(range(count))
    head = -(-(most - 1) // 2)
    return [*range(head), None, *range(count - (most - 1 - head), count)]


def _decimals(array: NDArray[np.float64]) -> int | None:
    """How many decimals, or None for scientific notation."""
    finite = np.abs(array[np.isfinite(array)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest == 0 or (largest >= 1 and not np.any(finite % 1) and largest < _FIXED_TO):
        return 0
    if not _FIXED_FROM <= largest < _FIXED_TO:
        return None
    return max(1, 4 - max(0, math.floor(math.log10(largest))))


def _entry(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0" if not decimals else f"{0:.{decimals}f}"
    if not math.isfinite(value):
        return str(value)
    if decimals is None:
        return f"{value:.3e}"
    return f"{value:.{decimals}f}".replace("-0." + "0" * decimals, "0." + "0" * decimals)
