"""Rows as scikit-learn's users pass them, and the same rows in one order, each once.

Weights that are whole numbers must do what repeated rows do, and the order of the rows nothing, as
scikit-learn asks of every estimator. With minibatches that holds exactly if fit begins from a form
that both have in common: rows that weigh nothing are left out, equal rows (inputs and class) become
one whose weight is the sum, and what is left is sorted. Splits, first weights and shuffles follow.
"""

import hashlib
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data import Samples
from steepest.data.sources.frames import as_polars, is_frame

Rows = NDArray[Any] | pl.DataFrame
Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]


def as_table(X: Any) -> pl.DataFrame | None:
    """X as a polars frame, if it is a frame or an array that holds words; else None."""
    if is_frame(X):
        return as_polars(X, "X")[0]
    if isinstance(X, (list, tuple)) and X and isinstance(X[0], (list, tuple)):
        X = np.asarray(X, dtype=object)
    if not (isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUS"):
        return None
    columns = [X[:, j].tolist() for j in range(X.shape[1])]
    if not any(isinstance(value, (str, bytes)) for column in columns for value in column):
        return None  # numbers as objects: scikit-learn's own check turns them into an array
    if not all(isinstance(v, _CELLS) or v is None for column in columns for v in column):
        return None
    return pl.DataFrame({f"x{j}": _series(column) for j, column in enumerate(columns)})


_CELLS = (str, bytes, bool, int, float, np.generic)


def _series(values: list[Any]) -> pl.Series:
    """A column of numbers where all are, else of words; None and NaN are missing."""
    given = [None if isinstance(v, float) and np.isnan(v) else v for v in values]
    if all(v is None or isinstance(v, (bool, np.bool_)) for v in given):
        return pl.Series(given, dtype=pl.Boolean)
    if all(v is None or isinstance(v, (int, float, np.number)) for v in given):
        return pl.Series([None if v is None else float(v) for v in given], dtype=pl.Float64)
    words = [None if v is None else v.decode() if isinstance(v, bytes) else str(v) for v in given]
    return pl.Series(words, dtype=pl.String)


def canonical(
    rows: Rows, targets: Int64Array, weights: Float64Array | None
) -> tuple[Rows, Int64Array, Float64Array | None]:
    """The rows in one order, each once.

    Args:
        rows: N rows.
        targets: (N,) class indices.
        weights: (N,) above 0, or None for 1 each.

    Returns:
        M rows, their targets and their weights; None where all weigh the same.
    """
    keys = _keys(rows, targets)
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    total = np.bincount(which.reshape(-1), weights, minlength=len(first)).astype(np.float64)
    equal = np.allclose(total, total[0], rtol=1e-12, atol=0)
    return rows[first], targets[first], None if equal else total


def _keys(rows: Rows, targets: Int64Array) -> NDArray[Any]:
    """A sortable key of each row with its class, (N,): equal for equal rows only."""
    if isinstance(rows, pl.DataFrame):
        # Each column as the rank of its values among all: missing ones come first, as one value.
        ranks = [_ranks(series) for series in rows.get_columns()]
        table = np.column_stack([*ranks, targets]).astype(np.int64)
    else:
        flat = np.ascontiguousarray(rows.reshape(len(rows), -1))
        if flat.dtype.kind == "f":
            flat = np.where(np.isnan(flat), np.nan, flat + 0)  # one NaN; -0.0 is 0.0
        table = np.column_stack([_ordered(flat), targets.astype(np.int64)])
    # Big-endian and without a sign, so that bytes compare as the numbers do.
    unsigned = table.view(np.uint64) ^ np.uint64(1 << 63)
    bytes_of_rows = np.ascontiguousarray(unsigned.astype(">u8"))
    return bytes_of_rows.view(np.dtype((np.void, 8 * table.shape[1]))).reshape(-1)


def _ranks(series: pl.Series) -> Int64Array:
    ranks = series.cast(pl.String) if series.dtype == pl.Categorical else series
    if ranks.dtype.is_float():
        ranks = ranks.fill_nan(None) + 0.0
    return ranks.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _ordered(values: NDArray[Any]) -> Int64Array:
    """Numbers as integers in the same order."""
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    bits = values.astype(np.float64).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


def as_samples(rows: Rows, targets: Int64Array | None, weights: Float64Array | None) -> Samples:
    """The rows as the rest of steepest takes them; the weights with a mean of 1."""
    own = None if weights is None else (weights / weights.mean()).astype(np.float32)
    return Samples(rows, targets, "(X, y)", weights=own)


def fingerprint(samples: Samples) -> str:
    """A hash of the rows, their labels and weights."""
    rows, digest = samples.inputs, hashlib.blake2b(digest_size=16)
    if isinstance(rows, pl.DataFrame):
        digest.update(repr(rows.schema).encode())
        columns = [column.hash(seed=0).to_numpy() for column in rows.get_columns()]
    else:
        digest.update(f"{rows.shape} {rows.dtype}".encode())
        columns = [rows]
    for values in (*columns, samples.labels, samples.weights):
        digest.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def numbers_as_table(X: NDArray[Any]) -> pl.DataFrame:
    """A matrix as a frame, in which NaN is a missing value. X: (N, n)."""
    columns = {f"x{j}": X[:, j].astype(np.float64) for j in range(X.shape[1])}
    return pl.DataFrame(columns, nan_to_null=True)
