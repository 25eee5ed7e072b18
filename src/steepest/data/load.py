"""load(): any source of labelled rows, as a Dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from steepest.data.samples import Dataset, Samples
from steepest.data.sources.arrays import make_samples
from steepest.data.sources.csv import read_csv
from steepest.data.sources.frames import as_polars, is_frame, table_samples
from steepest.data.sources.idx import find_idx_folder, is_idx, read_idx_folder, read_idx_images
from steepest.data.sources.images import read_image_folder
from steepest.data.sources.named import NAMED, canonical
from steepest.data.sources.npz import read_npy, read_npz
from steepest.data.sources.torch_datasets import read_torch_dataset
from steepest.errors import DataError, did_you_mean


@dataclass(frozen=True)
class _Options:
    """How a source is to be read. labels_needed: whether rows without labels are refused."""

    target: str | None
    ignore: Sequence[str] = ()
    image_size: int | None = None
    root: Path | None = None
    labels_needed: bool = True


def load(
    source: Any,
    *,
    target: str | None = None,
    validation: Any = None,
    test: Any = None,
    ignore: Sequence[str] = (),
    image_size: int | None = None,
    root: str | Path | None = None,
) -> Dataset:
    """The labelled rows of any source; nothing is encoded, scaled or copied yet.

    source: a file (.csv, .tsv, .parquet, .npz, .npy, IDX plain or gzip), a folder of IDX files or
    of images (a folder a class), a name (digits, iris, wine, breast_cancer, fashion_mnist, mnist),
    (X, y) of arrays, tensors or frames, a data frame, a torch map-style dataset, or Samples.
    target: the column (or the array of an NPZ file, or the NPY file) that holds the classes.
    validation, test: further sources of the same columns. ignore: columns to leave out.
    image_size: pixels of each side to which the images of a folder are resized. root: where
    mnist and fashion_mnist lie. Raises DataError or TargetError naming file, row and column.
    """
    options = _Options(target, ignore, image_size, None if root is None else Path(root))
    dataset = _read(source, options)
    for name, other in (("validation", validation), ("test", test)):
        if other is not None:
            part = _read(other, options)
            dataset = replace(dataset, notes=(*dataset.notes, *part.notes), **{name: part.train})
    return dataset


def load_rows(source: Any, *, target: str | None = None, labelled: bool = False) -> Samples:
    """The rows of any source that `load` reads, to evaluate (labelled) or to predict.

    A source with several parts gives its test part.
    """
    dataset = _read(source, _Options(target, labels_needed=labelled))
    return dataset.test or dataset.train


def _read(source: Any, options: _Options) -> Dataset:
    if isinstance(source, Dataset):
        return source
    if isinstance(source, Samples):
        return Dataset(source)
    if isinstance(source, (str, Path)):
        return _read_path(source, options)
    if is_frame(source):
        return _read_table(as_polars(source, "the frame"), "the frame", options)
    # Two lists to predict are two rows; a pair is a tuple there.
    pair = (tuple, list) if options.labels_needed else tuple
    if isinstance(source, pair) and len(source) == 2:
        return _read_pair(source[0], source[1], options)
    if hasattr(source, "shape") or isinstance(source, (tuple, list)):
        if options.labels_needed:
            raise DataError("an array alone has no labels; pass (X, y)")
        return Dataset(make_samples(source, None, "the array"))
    return read_torch_dataset(source)


def _read_pair(inputs: Any, labels: Any, options: _Options) -> Dataset:
    if is_frame(inputs):
        frame = as_polars(inputs, "X").drop(*options.ignore)
        plain = as_polars(labels, "y").to_numpy() if is_frame(labels) else labels
        return Dataset(make_samples(frame, plain, "(X, y)"))
    if isinstance(inputs, (str, Path)):
        inputs = read_npy(_existing(inputs))
    if isinstance(labels, (str, Path)):
        labels = read_npy(_existing(labels))
    return Dataset(make_samples(inputs, labels, "(X, y)"))


def _read_path(source: str | Path, options: _Options) -> Dataset:
    if isinstance(source, str) and canonical(source) in NAMED and not Path(source).exists():
        return NAMED[canonical(source)](options.root)
    path = _existing(source)
    if path.is_dir():
        folder = find_idx_folder(path)
        return read_idx_folder(folder) if folder else read_image_folder(path, options.image_size)
    if is_idx(path):
        return read_idx_images(path)
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise DataError(
            f"{path}: steepest does not read files that end in {ending or 'nothing'}; it reads "
            f"{', '.join(_READERS)}, IDX files, and folders of images"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    return _READERS[ending](path, options)


def _existing(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    near = path.parent.iterdir() if path.parent.is_dir() else ()
    hint = did_you_mean(str(source), [*NAMED, *(str(path.parent / p.name) for p in near)])
    names = f"; data sets by name are {', '.join(NAMED)}" if path.suffix == "" else ""
    raise DataError(f"there is no file or data set {str(source)!r}{hint or names}")


def _read_table(
    frame: pl.DataFrame, source: str, options: _Options, notes: Sequence[str] = ()
) -> Dataset:
    samples, more = table_samples(
        frame,
        source,
        target=options.target,
        ignore=options.ignore if options.labels_needed else (),
        labels_needed=options.labels_needed,
    )
    return Dataset(samples, notes=(*notes, *more))


def _read_delimited(path: Path, options: _Options) -> Dataset:
    frame, notes = read_csv(path)
    return _read_table(frame, str(path), options, notes)


def _read_parquet(path: Path, options: _Options) -> Dataset:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from None
    if not frame.height:
        raise DataError(f"{path} has columns but no rows")
    return _read_table(frame, str(path), options)


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
