"""Parquet: a file as a table; a folder of files as a table, or as an array on disk.

pyarrow reads them: it refuses damaged files where polars' reader aborts the process.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.memory import require_memory
from steepest.data.samples import Samples
from steepest.data.sources.arrays import make_samples
from steepest.data.sources.folders import is_hidden
from steepest.data.sources.frames import (
    as_label_array,
    index_columns,
    index_notes,
    require_columns,
    row_names,
    table_samples,
    target_column,
)
from steepest.errors import DataError, needs

_BYTES_OF_A_VALUE = 8
_VALUES_AT_ONCE = 2**20
_BYTES_BETWEEN_FLUSHES = 64 * 2**20


def read_parquet(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The table in a Parquet file, and which of its columns are pandas' index.

    Raises DataError if it is damaged, has no rows, or promises more than fits in memory.
    """
    with needs("parquet", f"{path}: Parquet"):
        import pyarrow.parquet as pq

    with _read_errors(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        about = file.metadata
        needed = about.num_rows * about.num_columns * _BYTES_OF_A_VALUE
        require_memory(needed, path, "put its parts into a folder of Parquet files")
        schema = file.schema_arrow
        index = index_columns(schema.names, schema.metadata)
        frame = _as_polars(file.read())
    if not frame.height:
        raise DataError(f"{path} has columns but no rows")
    return frame, index


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files in a folder, in the order of their names."""
    found = folder.glob("*.parquet")
    return sorted(path for path in found if path.is_file() and not is_hidden(path.name))


def read_parquet_folder(
    folder: Path,
    *,
    target: str | None,
    ignore: Sequence[str] = (),
    labels_needed: bool = True,
    training: bool = False,
    as_table: bool = False,
    columns: Sequence[str] | None = None,
) -> tuple[Samples, list[str]]:
    """The rows of all Parquet files in a folder, and notes.

    Where all features are numbers and none is missing, they are written one batch after another
    into a temporary array of float32 on disk, so that they need not fit in memory. Words and
    missing values need a table in memory. training: whether row names are to be left out.
    as_table, columns: what training had, a table, or an array of these columns. Raises DataError.
    """
    files = parquet_files(folder)
    found = _survey(files, {target, *ignore})
    if training:
        found = found.without(row_names(found.columns, target))
    notes = index_notes(found.index, str(folder), target if labels_needed else None)
    target = target_column(found.columns, str(folder), target, labels_needed)
    features = [name for name in found.columns if name != target and name not in ignore]
    if columns is not None and set(columns) <= set(features):
        features = list(columns)
    in_array = found.complete and found.numbers.issuperset(features)
    if target is None or as_table or not in_array:
        return _as_table(files, found, target, ignore, labels_needed)
    require_columns(
        [name for name in ignore if name not in found.index], found.columns, str(folder), "ignore"
    )
    inputs, labels = _on_disk(files, found.rows, features, target)
    note = (
        f"{len(features)} features of {found.rows} rows lie in a temporary file of float32, in the "
        f"order {', '.join(features[:5])}{', ...' if len(features) > 5 else ''}"
    )
    samples = make_samples(inputs, labels, str(folder))
    return replace(samples, columns=tuple(features)), [*notes, note]


@dataclass(frozen=True)
class _Survey:
    """What the files of a folder promise.

    columns: without pandas' index. numbers: those of them that hold numbers. complete: whether
    no feature lacks a value. index: what is pandas' index in some file, or names of the rows.
    """

    rows: int
    columns: tuple[str, ...]
    numbers: frozenset[str]
    complete: bool
    index: tuple[str, ...]

    def without(self, names: Sequence[str]) -> Self:
        """The same files, these columns being names of the rows."""
        columns = tuple(name for name in self.columns if name not in names)
        return replace(self, columns=columns, index=(*self.index, *names))


def _survey(files: list[Path], other: set[str | None]) -> _Survey:
    """other: columns that are no features. Raises DataError if a file has other columns."""
    with needs("parquet", f"{files[0].parent}: Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    rows, complete, index = 0, True, dict[str, None]()
    first: pa.Schema | None = None
    for path in files:
        with _read_errors(path), pq.ParquetFile(path) as file:
            here = index_columns(file.schema_arrow.names, file.schema_arrow.metadata)
            schema = pa.schema(f for f in file.schema_arrow if f.name not in here)
            first = schema if first is None else first
            if not schema.equals(first):
                raise DataError(f"{path} has other columns than {files[0]}")
            rows += file.metadata.num_rows
            complete = complete and not _may_miss(file.metadata, {*other, *here})
            index |= dict.fromkeys(here)
    assert first is not None
    if not rows:
        raise DataError(f"{files[0].parent}: its Parquet files have no rows")
    numbers = frozenset(f.name for f in first if _is_number(f.type))
    return _Survey(rows, tuple(first.names), numbers, complete, tuple(index))


def _as_table(
    files: list[Path],
    found: _Survey,
    target: str | None,
    ignore: Sequence[str],
    labels_needed: bool,
) -> tuple[Samples, list[str]]:
    folder = files[0].parent
    advice = "columns of words and missing values need memory: encode and fill them, or take less"
    require_memory(found.rows * len(found.columns) * _BYTES_OF_A_VALUE, folder, advice)
    frames = [read_parquet(path)[0].select(found.columns) for path in files]
    samples, notes = table_samples(
        pl.concat(frames),
        str(folder),
        target=target,
        ignore=[name for name in ignore if name not in found.index],
        labels_needed=labels_needed,
    )
    return samples, [*index_notes(found.index, str(folder), None), *notes]


def _on_disk(
    files: list[Path], rows: int, features: list[str], target: str
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Features (rows, n) float32, mapped from a temporary file, and labels (rows,) in memory."""
    needed = 4 * rows * len(features)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if needed > free:
        raise DataError(
            f"{files[0].parent} takes {needed / 2**30:.1f} GiB as float32, and "
            f"{tempfile.gettempdir()} has {free / 2**30:.1f} free; set TMPDIR to a larger disk"
        )
    with tempfile.TemporaryFile() as file:  # it is gone when the array is
        labels = _write_features(file, files, rows, features, target)
        inputs = np.memmap(file, dtype=np.float32, mode="r", shape=(rows, len(features)))
    return inputs, as_label_array(pl.concat(labels), str(files[0].parent), f" in {target!r}")


def _write_features(
    to: IO[bytes], files: list[Path], rows: int, features: list[str], target: str
) -> list[pl.Series]:
    """Write the features as float32, row by row; the labels.

    Written, not mapped: pages of a map that are not yet on disk cannot be given back when a
    control group is full.
    """
    import pyarrow.parquet as pq

    labels = []
    done = waiting = 0
    at_once = max(1, _VALUES_AT_ONCE // (len(features) + 1))
    for path in files:
        with _read_errors(path), pq.ParquetFile(path, page_checksum_verification=True) as source:
            for batch in source.iter_batches(at_once, columns=[*features, target]):
                frame = _as_polars(batch)
                if any(frame[name].null_count() for name in features):
                    raise DataError(f"{path} holds missing values that its statistics deny")
                block = frame.select(features).cast(pl.Float32).to_numpy()
                to.write(np.ascontiguousarray(block).data)
                labels.append(frame[target])
                done += frame.height
                waiting += block.nbytes
                if waiting > _BYTES_BETWEEN_FLUSHES:
                    to.flush()
                    os.fsync(to.fileno())
                    waiting = 0
    if done != rows:
        raise DataError(f"{files[0].parent} has {done} rows, but its files promise {rows}")
    to.flush()
    return labels


def _may_miss(about: Any, but: set[str | None]) -> bool:
    """Whether a feature may lack values, by the statistics in the file; yes if it has none."""
    for group in (about.row_group(i) for i in range(about.num_row_groups)):
        for column in (group.column(j) for j in range(group.num_columns)):
            statistics = column.statistics
            known = statistics is not None and statistics.has_null_count
            if column.path_in_schema not in but and (not known or statistics.null_count):
                return True
    return False


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _as_polars(table: Any) -> pl.DataFrame:
    table.validate(full=True)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (
        pa.ArrowException,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,  # of names in the schema that are not UTF-8, for one
        OSError,
        ValueError,
    ) as error:
        if isinstance(error, DataError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} cannot be read as Parquet: {reason}") from None
