"""Data frames of any library that narwhals knows, as polars frames; tables with a target."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.labels import require_labels, require_short
from steepest.data.samples import Samples
from steepest.data.sources.arrays import make_samples
from steepest.errors import DataError, TargetError, did_you_mean

_USUAL_TARGETS = ("target", "label", "class", "y")
_INDEX_LEVEL = re.compile(r"__index_level_\d+__")
_NO_HEADING = re.compile(r"(?:Unnamed: \d+(?:\.\d+)*)?")
_NAMES = (pl.String, pl.Categorical, pl.Enum)


def is_frame(value: Any) -> bool:
    """Whether this is a data frame of some library that narwhals knows."""
    import narwhals as nw

    return nw.dependencies.is_into_dataframe(value) or isinstance(value, pl.LazyFrame)


def as_polars(frame: Any, source: str) -> tuple[pl.DataFrame, list[str]]:
    """The frame as polars holds it, and which of its columns are pandas' index."""
    import narwhals as nw

    try:
        native = nw.from_native(frame)
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        if not all(isinstance(name, str) for name in eager.columns):
            eager = nw.from_native(frame.rename(columns=str), eager_only=True)
        converted: pl.DataFrame = eager.to_polars()
    except Exception as error:
        raise DataError(f"{source} cannot be read: {error}") from error
    metadata = frame.schema.metadata if nw.dependencies.is_pyarrow_table(frame) else None
    return converted, index_columns(converted.columns, metadata)


def index_columns(
    columns: Sequence[str], metadata: Mapping[bytes, bytes] | None = None
) -> list[str]:
    """Which columns of an Arrow table are the index of the pandas frame that it was.

    pandas tells by its metadata (https://pandas.pydata.org/docs/development/developer.html), and
    by the names of those that had none; these stay when other programs write the table anew.
    """
    try:
        about = json.loads((metadata or {}).get(b"pandas", b"{}"))
        named = about.get("index_columns", ())
        known = {name for name in named if isinstance(name, str)}
    except (ValueError, TypeError, AttributeError, RecursionError):
        known = set()  # it is not pandas that wrote it
    return [name for name in columns if name in known or _INDEX_LEVEL.fullmatch(name)]


def row_names(columns: Sequence[str], target: str | None = None) -> list[str]:
    """The first columns if they have no heading: names or numbers of the rows, not features.

    pandas, R and polars write them so; pandas reads them as "Unnamed: 0", and "Unnamed: 0.1" where
    it reads what was written twice. None where no other feature is beside them.
    """
    found = list(takewhile(_NO_HEADING.fullmatch, columns))
    others = [name for name in columns if name not in (*found, target)]
    return found if others and target not in found else []


def index_notes(columns: Sequence[str], source: str, target: str | None) -> list[str]:
    """What is said of the columns that are left out as pandas' index.

    Raises DataError if one of them is wanted as the target.
    """
    if target in columns:
        raise DataError(
            f"{source}: {target!r} (target) is no column, but the index of the pandas frame that "
            "was written there; write frame.reset_index() instead"
        )
    names = ", ".join(map(repr, columns))
    return [f"left out, as the index of a pandas frame: {names}"] if columns else []


def table_samples(
    frame: pl.DataFrame,
    source: str,
    *,
    target: str | None,
    ignore: Sequence[str] = (),
    labels_needed: bool = True,
    index: Sequence[str] = (),
) -> tuple[Samples, list[str]]:
    """The samples in a table, and notes.

    target: the column with the classes, guessed if None; several columns, a,b,c, where a row may
    have several classes. index: what is known to be pandas' index, beside what is called so.

    Raises DataError for a column that is not there.
    """
    index = [name for name in frame.columns if name in (*index, *index_columns([name]))]
    notes = index_notes(index, source, target if labels_needed else None)
    frame = frame.drop(index)
    features = drop_ignored(frame, source, [name for name in ignore if name not in index])
    if target is None and labels_needed:
        target = _guess_target(frame.columns, source)
        notes.append(f"the column {target!r} is taken as the target")
    if target is None or (target not in frame.columns and not labels_needed):
        return make_samples(features, None, source), notes
    if target not in frame.columns and "," in target:
        return _with_several_targets(features, source, target), notes
    if target not in frame.columns:
        raise _no_column(source, target, frame.columns, "target")
    labels = as_label_array(frame[target], source, f" in column {target!r}")
    return make_samples(features.drop(target, strict=False), labels, source), notes


def _with_several_targets(frame: pl.DataFrame, source: str, target: str) -> Samples:
    """A table whose target is several columns, a,b,c, of 0 and 1 or true and false."""
    names = [name.strip() for name in target.split(",")]
    require_columns(names, frame.columns, source, "target")
    columns = []
    for name in names:
        column = as_label_array(frame[name], source, f" in column {name!r}")
        if column.dtype.kind not in "biuf" or not np.isin(column, (0, 1)).all():
            raise TargetError(
                f"{source}: the column {name!r} must hold 0 and 1, or true and false, as one of "
                "several targets"
            )
        columns.append(column.astype(np.uint8))
    rows = np.stack(columns, axis=1)
    return make_samples(frame.drop(names), rows, source, names)


def drop_ignored(frame: pl.DataFrame, source: str, ignore: Sequence[str]) -> pl.DataFrame:
    """The frame without these columns. Raises DataError for one that is not there."""
    named = [name for name in ignore if not index_columns([name])]  # which are left out anyway
    require_columns(named, frame.columns, source, "ignore")
    return frame.drop(named)


def require_columns(names: Sequence[str], columns: Sequence[str], source: str, what: str) -> None:
    """Raise DataError for a name that is no column. what: what the name was given as."""
    for name in names:
        if name not in columns:
            raise _no_column(source, name, columns, what)


def as_label_array(labels: pl.Series, source: str, where: str = "") -> NDArray[Any]:
    """A column of labels as an array; dates and the like as text. Raises TargetError for nulls."""
    require_labels(labels.is_null().to_numpy(), source, where)
    if labels.dtype in _NAMES or labels.dtype.is_temporal() or labels.dtype == pl.Int128:
        labels = labels.cast(pl.String)
        require_short(int(labels.str.len_chars().max() or 0), source)  # type: ignore[arg-type]
        return np.array(labels.to_list(), dtype=str)
    return labels.to_numpy()


def target_column(
    columns: Sequence[str], source: str, target: str | None, labels_needed: bool
) -> str | None:
    """The one column with the classes, guessed if None; None too where several are named."""
    if target is None:
        return _guess_target(columns, source) if labels_needed else None
    return target if target in columns else None


def _guess_target(columns: Sequence[str], source: str) -> str:
    usual = [name for name in columns if name.casefold() in _USUAL_TARGETS]
    if len(usual) != 1:
        raise DataError(
            f"{source}: which column holds the class? Name it as target; the columns are "
            f"{', '.join(columns)}",
            settings=("target",),
        )
    return usual[0]


def _no_column(source: str, name: str, columns: Sequence[str], what: str) -> DataError:
    hint = did_you_mean(name, columns) or f"; its columns are {', '.join(columns)}"
    return DataError(f"{source} has no column {name!r} ({what}){hint}", settings=(what,))
