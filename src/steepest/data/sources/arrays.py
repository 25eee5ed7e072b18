"""Arrays, tensors, lists and series, as samples."""

import sys
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.labels import as_labels, is_masked
from steepest.data.samples import Samples
from steepest.errors import DataError


def make_samples(inputs: Any, labels: Any, source: str, class_names: Any = None) -> Samples:
    """Samples of inputs and labels that have one length. labels: None if there are none.

    Raises DataError for inputs without rows or features or that are no numbers; TargetError for
    labels that are missing or no classes.
    """
    rows = inputs if isinstance(inputs, pl.DataFrame) else as_array(inputs, source)
    shape = rows.shape
    if len(shape) < 2:
        raise DataError(
            f"{source}: the inputs have the shape {shape}, but (N, n) or (N, ...) is needed; "
            "one feature is x.reshape(-1, 1), one row x.reshape(1, -1)"
        )
    if 0 in shape:
        lacking = "rows" if shape[0] == 0 else "features"
        raise DataError(f"{source} has no {lacking}: the inputs have the shape {shape}")
    names = None if class_names is None else tuple(map(str, class_names))
    if labels is None:
        return Samples(rows, None, source, class_names=names)
    known, columns = as_labels(as_plain(labels), source)
    if len(known) != len(rows):
        raise DataError(f"{source}: {len(rows)} rows of inputs, but {len(known)} labels")
    return Samples(rows, known, source, class_names=names, label_columns=columns)


def as_array(values: Any, source: str) -> NDArray[Any]:
    """Numbers as an array that torch can hold; no copy where none is needed."""
    values = as_plain(values)
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise DataError(f"{source} is a sparse matrix; pass X.toarray() if it fits in memory")
    require_unmasked(values, source)
    try:
        array: NDArray[Any] = np.asanyarray(values)
    except ValueError as error:
        raise DataError(f"{source}: rows of one length are needed: {error}") from None
    if not isinstance(array, np.memmap):  # other subclasses compute in ways of their own
        array = np.asarray(array)
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{source}: an array of numbers is needed ({error}); pass a data frame for columns "
                "of words"
            ) from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{source}: an array of numbers is needed, not of {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def require_unmasked(values: Any, source: str) -> None:
    """Raise DataError naming the first masked value of a masked array, or of a list of them."""
    listed = isinstance(values, (list, tuple)) and any(map(is_masked, values))
    if not (listed or is_masked(values)):
        return
    mask = np.stack([np.ma.getmaskarray(row) for row in values])
    if not mask.any():
        return
    row, *place = map(int, np.argwhere(mask)[0])
    where = (
        f", column {place[0]}" if len(place) == 1 else f", position {tuple(place)}" * bool(place)
    )
    raise DataError(
        f"{source}: row {row}{where} is masked, one of {int(mask.sum())} masked values; fill "
        "them, X.filled(0), or pass a data frame, whose missing values are encoded"
    )


def as_plain(values: Any) -> Any:
    """A tensor as an array that shares its memory, a series as an array; others as they are."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return _from_tensor(values)
    if hasattr(values, "to_numpy") and not hasattr(values, "columns"):
        return values.to_numpy()
    return values


def _from_tensor(tensor: Any) -> NDArray[Any]:
    import torch

    if tensor.layout != torch.strided:
        raise DataError("a sparse tensor cannot be read; pass X.to_dense() if it fits in memory")
    known = (torch.float16, torch.float32, torch.float64)
    try:
        tensor = tensor.detach().cpu().resolve_neg()
        narrow = tensor.is_floating_point() and tensor.dtype not in known
        array: NDArray[Any] = (tensor.float() if narrow else tensor).numpy()
    except (TypeError, RuntimeError) as error:  # quantised, nested, on the meta device
        reason = str(error).splitlines()[0]
        raise DataError(f"a tensor of {tensor.dtype} cannot be read: {reason}") from None
    return array
