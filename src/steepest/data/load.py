"""load_data(): any source of labelled rows, as a Dataset.

What a source is, is asked in this order; the first that holds decides:

| the source is                                  | read by                                    |
|------------------------------------------------|--------------------------------------------|
| a Dataset                                      | nothing: it is one already                 |
| Samples                                        | `_checked`: arrays as every source's       |
| a string or Path                               | `_read_path`, see below                    |
| a data frame (polars, pandas, any of narwhals) | `_read_table`: `sources/frames.py`         |
| (X, y): a tuple of two; a list where labels    | `_read_pair`; each of X and y may be an    |
| are needed, for two lists alone are two rows   | array, a tensor, a frame or an NPY file    |
| anything else with a shape, a tuple or a list  | rows alone: refused where labels are needed|
| anything else                                  | a torch dataset: `sources/torch_datasets.py`|

| the string or Path is                          | read by                                    |
|------------------------------------------------|--------------------------------------------|
| a name, and no file or folder is called so     | `sources/named.py`                         |
| nothing that exists                            | refused, with what is near                 |
| a folder with Parquet files in it              | `sources/parquet.py`, as one table         |
| a folder with IDX files, or its raw/, */raw/  | `sources/idx.py`                           |
| any other folder                               | `sources/images.py`: a folder a class      |
| a file with one of the endings of `_READERS`   | that reader                                |
| a file that begins as IDX does                 | `sources/idx.py`                           |
| any other file                                 | refused                                    |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steepest.data.labels import as_labels, spelled_or_read
from steepest.data.parts import require_fit, with_rows_of_labels
from steepest.data.samples import Dataset, Float32Array, Samples
from steepest.data.sources.arrays import as_array, as_plain, make_samples
from steepest.data.sources.csv import read_csv, require_clear
from steepest.data.sources.frames import (
    as_label_array,
    as_polars,
    drop_ignored,
    index_notes,
    is_frame,
    row_names,
    table_samples,
    target_column,
)
from steepest.data.sources.idx import find_idx_folder, is_idx, read_idx_folder, read_idx_images
from steepest.data.sources.images import read_image_folder
from steepest.data.sources.named import NAMED, canonical
from steepest.data.sources.npz import read_npy, read_npz
from steepest.data.sources.parquet import parquet_files, read_parquet, read_parquet_folder
from steepest.data.sources.torch_datasets import read_torch_dataset
from steepest.errors import DataError, TargetError, did_you_mean


@dataclass(frozen=True)
class _Options:
    """How a source is to be read.

    Attributes:
        target: The column that holds the classes; None guesses.
        ignore: Columns to leave out.
        image_size: What the images of a folder are resized to.
        root: Where data sets by name lie.
        labels_needed: Whether a table must have its target.
        training: Whether the rows are to be learned from, so that a word among numbers is a
            mistake of the file.
        read_labels: Whether labels in a file of text may become numbers; else they are what is
            written.
        as_table: Whether the rows that were learned from, where these come later, were a table.
        columns: What the columns of their array were called.
    """

    target: str | None
    ignore: Sequence[str] = ()
    image_size: int | tuple[int, int] | None = None
    root: Path | None = None
    labels_needed: bool = True
    training: bool = False
    read_labels: bool = False
    as_table: bool = False
    columns: tuple[str, ...] | None = None


def load_data(
    source: Any,
    y: None = None,
    *,
    target: str | None = None,
    validation: Any = None,
    test: Any = None,
    ignore: Sequence[str] = (),
    image_size: int | tuple[int, int] | None = None,
    root: str | Path | None = None,
) -> Dataset:
    """The labelled rows of any source; nothing is encoded, scaled or copied yet.

    Args:
        source: A file (.csv, .tsv, .parquet, .npz, .npy, IDX plain or gzip), a folder of IDX files,
            of Parquet files or of images (a folder a class), a name (digits, iris, wine,
            breast_cancer, fashion_mnist, mnist), (X, y) of arrays, tensors or frames, a data frame,
            a torch map-style dataset, or Samples. X is (N, n) or (N, ...); y is (N,) labels, or
            (N, K) of 0 and 1.
        y: Refused: X and y go together, as one source.
        target: The column (or the array of an NPZ file, or the NPY file) that holds the classes;
            None looks for target, label, class or y.
        validation: A further source of the same columns, for the validation part.
        test: The same for the test part.
        ignore: Columns to leave out.
        image_size: Pixels of each side, or (height, width), to which the images of a folder are
            resized; None leaves those of one size as they are, and makes squares of others.
        root: Where mnist and fashion_mnist lie.

    Returns:
        The parts that the source has, and what loading decided in plain sentences.

    Raises:
        DataError: The source cannot be read; the message names file, row and column.
        TargetError: Labels are missing, or no column can be told to hold them.
    """
    if y is not None:
        raise DataError(
            f"the second argument is a {type(y).__name__}, but load_data has one source: X and y "
            "go together, load_data((X, y)), and options by name, "
            "load_data('file.csv', target='species')"
        )
    folder = None if root is None else Path(root)
    ignore = (ignore,) if isinstance(ignore, str) else tuple(map(str, ignore))
    options = _Options(_name(target), ignore, image_size, folder, training=True, read_labels=True)
    dataset = _read(source, options)
    named = isinstance(dataset.train.inputs, pl.DataFrame) or _is_parquet_folder(source)
    if ignore and not named:
        raise DataError(f"{dataset.train.source} has no named columns, so ignore cannot be used")
    for name, other in (("validation", validation), ("test", test)):
        if other is not None:
            # What is ignored may be missing here; words among numbers are found when it is encoded.
            words = getattr(dataset.train.labels, "dtype", np.dtype(int)).kind == "U"
            later = replace(
                options,
                image_size=dataset.train.image_size or image_size,
                ignore=(),
                training=False,
                read_labels=not words,
                as_table=isinstance(dataset.train.inputs, pl.DataFrame),
                columns=dataset.train.columns,
            )
            part = _read(other, later)
            more = require_fit(dataset.train, part, name, ignore)
            notes = (*dataset.notes, *part.notes, *more)
            dataset = replace(dataset, notes=notes, **{name: part.train})
    labels = dataset.train.labels
    if labels is not None and labels.ndim == 2:
        dataset = with_rows_of_labels(dataset, labels.shape[1])
    for _, samples in dataset.parts():
        if samples.labels is None:
            raise TargetError(f"{samples.source} has no labels, and training needs them")
    return dataset


def load_rows(
    source: Any,
    *,
    image_size: tuple[int, int] | None = None,
    target: str | None = None,
    labelled: bool = False,
    as_table: bool = False,
    columns: tuple[str, ...] | None = None,
) -> Samples:
    """The rows of any source that `load_data` reads, to evaluate or to predict.

    Args:
        source: As for `load_data`; of one with several parts, the test part is taken.
        image_size: (H, W) of the images of training, to which those of a folder are resized.
        target: The column that holds the classes.
        labelled: Whether labels are needed.
        as_table: Whether training had a table.
        columns: What the columns of training's array were called, if they had names.
    """
    form = {"image_size": image_size, "as_table": as_table, "columns": columns}
    options = _Options(_name(target), labels_needed=labelled, **form)  # type: ignore[arg-type]
    dataset = _read(source, options)
    return dataset.test or dataset.train


def is_named(source: str) -> bool:
    """Whether this is the name of a data set, and not a file or a folder that is called so."""
    return canonical(source) in NAMED and not Path(source).exists()


def _is_parquet_folder(source: Any) -> bool:
    return isinstance(source, (str, Path)) and bool(parquet_files(Path(source)))


def _name(target: Any) -> str | None:
    """A column of a pandas frame may be called 3, which is "3" here as in polars."""
    return None if target is None else str(target)


def _read(source: Any, options: _Options) -> Dataset:
    if isinstance(source, Dataset):
        return source
    if isinstance(source, Samples):
        return Dataset(_checked(source))
    if isinstance(source, (str, Path)):
        return _read_path(source, options)
    if is_frame(source):
        frame, index = as_polars(source, "the frame")
        return _read_table(frame, "the frame", options, index)
    # Two lists to predict are two rows; a pair is a tuple there.
    pair = (tuple, list) if options.labels_needed else tuple
    if isinstance(source, pair) and len(source) == 2:
        return _read_pair(source[0], source[1], options)
    if hasattr(source, "shape") or isinstance(source, (tuple, list)):
        if options.labels_needed:
            raise DataError(f"a {type(source).__name__} alone has no labels; pass (X, y)")
        return Dataset(make_samples(source, None, "the array"))
    return read_torch_dataset(source, labels_needed=options.labels_needed)


def _checked(samples: Samples) -> Samples:
    """Samples that a user made, with arrays as every source gives them."""
    inputs, source = samples.inputs, samples.source
    inputs = as_polars(inputs, source)[0] if is_frame(inputs) else as_array(inputs, source)
    rows = samples.rows
    if rows is not None:
        rows = np.asarray(rows)
        inside = rows.ndim == 1 and rows.dtype.kind in "iu" and ((rows >= 0) & (rows < len(inputs)))
        if not np.all(inside):
            raise DataError(f"{source}: rows must be numbers of rows, from 0 to {len(inputs) - 1}")
        rows = rows.astype(np.int64, copy=False)
    found = replace(samples, inputs=inputs, rows=rows)
    if samples.weights is not None:
        found = replace(found, weights=_checked_weights(samples.weights, len(found), source))
    if samples.labels is None:
        return found
    labels, columns = as_labels(as_plain(samples.labels), source)
    if len(labels) != len(found):
        raise DataError(f"{source}: {len(found)} rows of inputs, but {len(labels)} labels")
    return replace(found, labels=labels, label_columns=columns or samples.label_columns)


def _checked_weights(weights: Any, rows: int, source: str) -> Float32Array:
    found = np.asarray(weights).astype(np.float32)
    if found.shape != (rows,):
        raise DataError(f"{source}: {rows} rows, but weights of shape {found.shape}")
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        raise DataError(
            f"{source}: weights must be at least 0 and finite, but that of row {wrong[0]} is "
            f"{found[wrong[0]]}"
        )
    if rows and not found.any():
        raise DataError(f"{source}: all weights are 0, and nothing would be learned")
    return found


def _read_pair(inputs: Any, labels: Any, options: _Options) -> Dataset:
    notes: list[str] = []
    if isinstance(inputs, (str, Path)):
        path = _existing(inputs)
        if path.suffix.lower() != ".npy":
            raise DataError(
                f"the X of (X, y) may be an NPY file, but is {str(path)!r}; name the column of the "
                "class as target=..."
            )
        inputs = read_npy(path)
    if isinstance(labels, (str, Path)):
        labels = read_npy(_existing(labels))
    if is_frame(inputs):
        frame, index = as_polars(inputs, "X")
        index += row_names(frame.columns) if options.training else []
        notes = index_notes(index, "X", None)
        inputs = drop_ignored(frame.drop(index), "X", options.ignore)
    if is_frame(labels):
        frame, index = as_polars(labels, "y")
        frame = frame.drop(index)
        one = frame.width == 1
        labels = as_label_array(frame.to_series(), "y") if one else frame.to_numpy()
    elif isinstance(labels, pl.Series):
        labels = as_label_array(labels, "y")
    return Dataset(make_samples(inputs, labels, "(X, y)"), notes=tuple(notes))


def _read_path(source: str | Path, options: _Options) -> Dataset:
    if isinstance(source, str) and is_named(source):
        return NAMED[canonical(source)](options.root)
    path = _existing(source)
    if path.is_dir() and parquet_files(path):
        samples, notes = read_parquet_folder(
            path,
            target=options.target,
            ignore=options.ignore if options.labels_needed else (),
            labels_needed=options.labels_needed,
            training=options.training,
            as_table=options.as_table,
            columns=options.columns,
        )
        return Dataset(samples, notes=tuple(notes))
    if path.is_dir():
        folder = find_idx_folder(path)
        return read_idx_folder(folder) if folder else read_image_folder(path, options.image_size)
    ending = path.suffix.lower()
    if ending not in _READERS and is_idx(path):
        return read_idx_images(path)
    if ending not in _READERS:
        raise DataError(
            f"{path}: steepest does not read files that end in {ending or 'nothing'}; it reads "
            f"{', '.join(_READERS)}, IDX files, and folders of images"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    if _READERS[ending] in (_read_delimited, _read_parquet):
        _require_utf8(path)
    return _READERS[ending](path, options)


def _existing(source: str | Path) -> Path:
    try:
        path = Path(source).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError) as error:  # a name that is too long, no such home
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {str(source)!r}: {reason}") from None
    near = path.parent.iterdir() if path.parent.is_dir() else ()
    hint = did_you_mean(str(source), [*NAMED, *(str(path.parent / p.name) for p in near)])
    names = f"; data sets by name are {', '.join(NAMED)}" if path.suffix == "" else ""
    raise DataError(f"there is no file or data set {str(source)!r}{hint or names}")


def _require_utf8(path: Path) -> None:
    """Raise DataError for a name that polars does not take."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError(f"{str(path)!r}: the name is not UTF-8, and a table's must be") from None


def _read_table(
    frame: pl.DataFrame, source: str, options: _Options, index: Sequence[str] = ()
) -> Dataset:
    if options.training:  # later, a run that was trained on them still finds them
        index = [*index, *row_names(frame.columns, options.target)]
    samples, notes = table_samples(
        frame,
        source,
        target=options.target,
        ignore=options.ignore if options.labels_needed else (),
        labels_needed=options.labels_needed,
        index=index,
    )
    return Dataset(samples, notes=tuple(notes))


def _read_delimited(path: Path, options: _Options) -> Dataset:
    table = read_csv(path)
    frame, source = table.frame, str(path)
    target = target_column(frame.columns, source, options.target, options.labels_needed)
    if target is not None:
        text = table.written(target)
        labels = spelled_or_read(text, frame[target]) if options.read_labels else text
        frame = frame.with_columns(labels)
    first = table.row_names if options.training and target not in table.row_names else ()
    dataset = _read_table(frame, source, options, first)
    features = dataset.train.inputs
    assert isinstance(features, pl.DataFrame)
    if options.training:
        require_clear(table, features, path)
    there = set(features.columns)
    changed = [name for name in table.text.columns if name in there]
    # A frame without columns has no rows either, and none can be taken of it.
    written = table.text.select(changed) if changed else None
    samples = replace(dataset.train, text=written, commas=table.commas)
    return Dataset(samples, notes=(*table.notes, *dataset.notes))


def _read_parquet(path: Path, options: _Options) -> Dataset:
    frame, index = read_parquet(path)
    return _read_table(frame, str(path), options, index)


def _read_npy(path: Path, options: _Options) -> Dataset:
    labels = None if options.target is None else read_npy(_existing(options.target))
    if labels is None and options.labels_needed:
        raise DataError(f"{path} has no labels; name the NPY file that holds them as target")
    return Dataset(make_samples(read_npy(path), labels, str(path)))


_READERS: dict[str, Callable[[Path, _Options], Dataset]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".parquet": _read_parquet,
    ".npz": lambda path, options: read_npz(path, options.target),
    ".npy": _read_npy,
}
