"""Labels as sources give them, made an array of integers, strings, booleans or floats."""

import re
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.text import read_numbers, read_truth
from steepest.errors import TargetError

# A target with more distinct fractional values than this, or than half its rows, is a quantity.
_MOST_FRACTIONAL_CLASSES = 20
# Longer than any name of a class; text of this length comes from a column of another kind.
_LONGEST_NAME = 1000
_EXACT_FLOAT = 2.0**53
_WHOLE, _CODE = re.compile(r"[+-]?[0-9]{1,30}"), re.compile(r"^[+-]?0[0-9]")

Label = bool | int | float | str


def as_labels(labels: Any, source: str) -> tuple[NDArray[Any], int | None]:
    """Labels as an (N,) array, int64, strings, booleans, or a few distinct floats; their columns.

    The second is K where the labels were rows (N, K), of which one-hot ones do not tell how many.

    labels: class indices, strings, booleans, floats (whole ones become int64), or one-hot rows
    (N, C), which become indices. Rows (N, K) of 0 and 1 that are not all one-hot stay rows, uint8:
    several classes, or none, for task "multilabel". Raises TargetError for missing labels, with
    the first row, for a quantity (regression), and for other shapes.
    """
    if is_masked(labels) or (isinstance(labels, (list, tuple)) and any(map(is_masked, labels))):
        require_labels(np.array([np.ma.getmaskarray(y).any() for y in labels]), source)
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise TargetError(f"{source}: labels of one length are needed: {error}") from None
    # numpy turns 1 or NaN beside "a" into strings; text of StringDType is made plain.
    if array.dtype.kind == "T" or (array.dtype.kind == "U" and isinstance(labels, (list, tuple))):
        array = np.array(labels, dtype=object)
    columns = array.shape[1] if array.ndim == 2 else None
    if columns == 1:
        array = array[:, 0]
    if array.ndim == 2:
        return _from_rows(array, source), columns
    if array.ndim != 1:
        raise TargetError(f"{source}: the labels must be (N,) or one-hot (N, C), not {array.shape}")
    if array.dtype == object:
        require_labels(np.array([_is_missing(label) for label in array], dtype=bool), source)
        array = _from_objects(array, source)
    if array.dtype.kind == "f":
        require_labels(np.isnan(array), source)
        array = _from_floats(array, source)
    if array.dtype.kind in "iu":
        if array.dtype == np.uint64 and (array > np.iinfo(np.int64).max).any():
            raise TargetError(f"{source}: a label is above 2**63; pass such labels as strings")
        return array.astype(np.int64, copy=False), columns
    if array.dtype.kind not in "bUf":
        raise TargetError(
            f"{source}: labels must be integers, strings or booleans, not {array.dtype}"
        )
    return array, columns


def is_quantity(numbers: NDArray[Any]) -> bool:
    """Whether a target of numbers, (N,), is a quantity (regression) and no set of classes."""
    if _is_whole(numbers).all():
        return False
    return len(np.unique(numbers)) > min(_MOST_FRACTIONAL_CLASSES, max(5, len(numbers) // 2))


def spelled_or_read(text: pl.Series, values: pl.Series) -> pl.Series:
    """The labels of a file of text: as read, or as written where reading them would lose a class.

    Codes such as 01, two spellings of one number, dates, and decimal commas stay text.
    """
    if values.dtype == pl.Boolean:
        return values
    if not values.dtype.is_numeric():
        return text
    numbers = values.drop_nulls().to_numpy()
    if values.dtype.is_float() and is_quantity(numbers):
        return values  # to be refused as such
    code = text.str.contains(_CODE.pattern) | (read_numbers(text).is_null() & text.is_not_null())
    one_to_one = text.n_unique() == values.n_unique()
    return values if one_to_one and not code.any() else text


def is_code(text: str) -> bool:
    """Whether digits are a name and no number, as 01 is."""
    return _CODE.match(text.strip()) is not None


def read_label(text: str) -> bool | int | float | None:
    """The number or truth value that a label spells; None if it is neither."""
    text = text.strip()
    if _WHOLE.fullmatch(text):
        return int(text)
    truth: bool | None = read_truth(pl.Series([text]))[0]
    number: float | None = read_numbers(pl.Series([text]))[0]
    return number if truth is None else truth


def require_labels(missing: NDArray[np.bool_], source: str, where: str = "") -> None:
    """Raise TargetError naming the first row that has no label. missing: (N,)."""
    if not missing.any():
        return
    remedy = "is it the right target?" if missing.all() else "leave these rows out"
    raise TargetError(
        f"{source}: {int(missing.sum())} of {len(missing)} rows have no label{where}, the first is "
        f"row {int(missing.argmax())}; {remedy}"
    )


def is_masked(values: Any) -> bool:
    """Whether this is a masked array of numpy, some values of which may not count."""
    return isinstance(values, np.ma.MaskedArray)


def require_short(longest: int, source: str) -> None:
    """Raise TargetError for labels of so many characters that they cannot be names of classes."""
    if longest > _LONGEST_NAME:
        raise TargetError(
            f"{source}: a label has {longest} characters, which is no name of a class; is it the "
            "right target?"
        )


def _is_missing(label: Any) -> bool:
    # pandas' NA and NaT are told by name: pandas itself is not needed to read labels.
    nothing = label is None or type(label).__name__ in ("NAType", "NaTType")
    return nothing or (isinstance(label, (float, np.floating)) and bool(np.isnan(label)))


def not_one_hot(rows: NDArray[Any]) -> int | None:
    """The first row of (N, C) that has not one 1 and else 0, if there is any."""
    wrong = ~(((rows == 1) | (rows == 0)).all(axis=1) & ((rows == 1).sum(axis=1) == 1))
    return int(wrong.argmax()) if wrong.any() else None


def _from_rows(rows: NDArray[Any], source: str) -> NDArray[Any]:
    if not_one_hot(rows) is None:
        indices: NDArray[np.int64] = (rows == 1).argmax(axis=1).astype(np.int64)
        return indices
    wrong = ~((rows == 1) | (rows == 0)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise TargetError(
            f"{source}: labels of shape {rows.shape} must be rows of 0 and 1, but row {row} is "
            f"{rows[row].tolist()}"
        )
    several: NDArray[np.uint8] = (rows == 1).astype(np.uint8)
    return several


def _from_objects(array: NDArray[Any], source: str) -> NDArray[Any]:
    kinds = {type(label) for label in array}
    if kinds <= {bool, np.bool_}:
        return array.astype(bool)
    if all(issubclass(kind, (int, np.integer)) for kind in kinds):
        return array.astype(np.int64)
    if all(issubclass(kind, (int, float, np.number)) for kind in kinds):
        return array.astype(np.float64)
    if all(issubclass(kind, str) for kind in kinds):
        require_short(max(map(len, array)), source)
        return array.astype(str)
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    if len(kinds) == 1:
        raise TargetError(f"{source}: labels must be integers, strings or booleans, not {names}")
    raise TargetError(f"{source}: labels must be of one kind, but are of the kinds {names}")


def _from_floats(array: NDArray[Any], source: str) -> NDArray[Any]:
    if np.isinf(array).any():
        row = int(np.isinf(array).argmax())
        raise TargetError(f"{source}: the label of row {row} is {array[row]}, which is no class")
    fractional = ~_is_whole(array)
    if not fractional.any():
        return array.astype(np.int64)
    if is_quantity(array):
        raise TargetError(
            f"{source}: the target has {len(np.unique(array))} distinct values such as "
            f"{array[fractional][0]:g}, which is a quantity (regression); steepest learns classes, "
            "so cut it into ranges first"
        )
    return array.astype(np.float64)


def _is_whole(array: NDArray[Any]) -> NDArray[np.bool_]:
    whole: NDArray[np.bool_] = (np.abs(array) < _EXACT_FLOAT) & (array == np.floor(array))
    return whole
