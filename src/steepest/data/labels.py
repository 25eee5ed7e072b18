"""Labels as sources give them, made an array of integers, strings or booleans."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import TargetError

# A target with more distinct fractional values than this is a quantity, not a class.
_MOST_FRACTIONAL_CLASSES = 20


def as_labels(labels: Any, source: str) -> NDArray[Any]:
    """Labels as an (N,) array of integers, strings or booleans.

    labels: class indices, strings, booleans, whole floats, or one-hot rows (N, C), which become
    indices. Raises TargetError for missing labels, with the first row, and for other shapes.
    """
    array = np.asarray(labels)
    if array.ndim == 1 and isinstance(labels, (list, tuple)):
        array = np.array(labels, dtype=object)  # numpy would turn 1 beside "a" into "1"
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        return _from_one_hot(array, source)
    if array.ndim != 1:
        raise TargetError(f"{source}: the labels must be (N,) or one-hot (N, C), not {array.shape}")
    _require_present(array, source)
    if array.dtype == object:
        array = _from_objects(array, source)
    if np.issubdtype(array.dtype, np.floating):
        array = _from_floats(array, source)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind not in "bUT":
        raise TargetError(
            f"{source}: labels must be integers, strings or booleans, not {array.dtype}"
        )
    return array


def _from_one_hot(rows: NDArray[Any], source: str) -> NDArray[np.int64]:
    ones, zeros = rows == 1, rows == 0
    wrong = ~((ones | zeros).all(axis=1) & (ones.sum(axis=1) == 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise TargetError(
            f"{source}: labels of shape {rows.shape} must be one-hot rows, with one 1 and else 0, "
            f"but row {row} is {rows[row].tolist()}"
        )
    indices: NDArray[np.int64] = ones.argmax(axis=1).astype(np.int64)
    return indices


def _require_present(array: NDArray[Any], source: str) -> None:
    if array.dtype == object:
        missing = np.array([value is None or value != value for value in array], dtype=bool)
    elif np.issubdtype(array.dtype, np.floating):
        missing = np.isnan(array)
    else:
        return
    if missing.any():
        count, row = int(missing.sum()), int(np.flatnonzero(missing)[0])
        raise TargetError(
            f"{source}: {count} of {len(array)} rows have no label, the first is row {row}; "
            "leave these rows out"
        )


def _from_objects(array: NDArray[Any], source: str) -> NDArray[Any]:
    kinds = {type(value) for value in array.tolist()}
    if kinds <= {bool, np.bool_}:
        return array.astype(bool)
    if all(issubclass(kind, (int, np.integer)) for kind in kinds):
        return array.astype(np.int64)
    if all(issubclass(kind, (int, float, np.number)) for kind in kinds):
        return array.astype(np.float64)
    if all(issubclass(kind, str) for kind in kinds):
        return array.astype(str)
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise TargetError(f"{source}: labels must be of one kind, but are of the kinds {names}")


def _from_floats(array: NDArray[Any], source: str) -> NDArray[Any]:
    if np.isfinite(array).all() and (array == np.floor(array)).all():
        return array.astype(np.int64)
    distinct = len(np.unique(array))
    if distinct > _MOST_FRACTIONAL_CLASSES:
        raise TargetError(
            f"{source}: the target has {distinct} distinct values such as {array[0]:g}, which is a "
            "quantity (regression); steepest learns classes, so cut it into ranges first"
        )
    return array.astype(str)
