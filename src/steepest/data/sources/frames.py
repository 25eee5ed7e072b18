"""Data frames of any library that narwhals knows, as polars frames; tables with a target."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from steepest.data.samples import Samples
from steepest.data.sources.arrays import make_samples
from steepest.errors import DataError, TargetError, did_you_mean

_USUAL_TARGETS = ("target", "label", "class", "y")


def is_frame(value: Any) -> bool:
    """Whether this is a data frame of some library: it has named columns and is no estimator."""
    import narwhals as nw

    native = nw.from_native(value, pass_through=True)
    return isinstance(native, (nw.DataFrame, nw.LazyFrame))


def as_polars(frame: Any, source: str) -> pl.DataFrame:
    """The frame as polars holds it."""
    import narwhals as nw

    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    native = nw.from_native(frame, eager_only=True)
    if not all(isinstance(name, str) for name in native.columns):
        frame = frame.rename(columns=str)
        native = nw.from_native(frame, eager_only=True)
    try:
        converted: pl.DataFrame = native.to_polars()
    except Exception as error:
        raise DataError(f"{source}: this frame cannot be read: {error}") from error
    return converted


def table_samples(
    frame: pl.DataFrame,
    source: str,
    *,
    target: str | None,
    ignore: Sequence[str] = (),
    labels_needed: bool = True,
) -> tuple[Samples, list[str]]:
    """The samples in a table, and notes. target: the column with the classes; guessed if None.

    Raises DataError for a column that is not there.
    """
    for name in ignore:
        if name not in frame.columns:
            raise DataError(_no_column(source, name, frame.columns, "ignore"))
    notes = []
    if target is None and labels_needed:
        target, note = _guess_target(frame, source)
        notes.append(note)
    features = frame.drop(*ignore)
    if target is None or (target not in frame.columns and not labels_needed):
        return make_samples(features, None, source), notes
    if target not in frame.columns:
        raise DataError(_no_column(source, target, frame.columns, "target"))
    labels = frame[target]
    if labels.null_count():
        row = int(labels.is_null().arg_true()[0])
        raise TargetError(
            f"{source}: {labels.null_count()} of {len(labels)} rows have no label in column "
            f"{target!r}, the first is row {row}; leave these rows out"
        )
    if labels.dtype in (pl.Categorical, pl.Enum):
        labels = labels.cast(pl.String)
    values = np.array(labels.to_list()) if labels.dtype == pl.String else labels.to_numpy()
    return make_samples(features.drop(target, strict=False), values, source), notes


def _guess_target(frame: pl.DataFrame, source: str) -> tuple[str, str]:
    usual = [name for name in frame.columns if name.casefold() in _USUAL_TARGETS]
    if len(usual) != 1:
        raise DataError(
            f"{source}: which column holds the class? Name it as target; the columns are "
            f"{', '.join(frame.columns)}"
        )
    return usual[0], f"the column {usual[0]!r} is taken as the target"


def _no_column(source: str, name: str, columns: Sequence[str], what: str) -> str:
    hint = did_you_mean(name, columns) or f"; its columns are {', '.join(columns)}"
    return f"{source} has no column {name!r} ({what}){hint}"
