"""The tables: scikit-learn's bundled ones, and the Parquet and CSV files of a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets

TARGETS = ("target", "label", "class", "y")  # where --target names none, as steepest looks for it
BUNDLED = {
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
}


@dataclass(frozen=True)
class Table:
    """A table to classify.

    Attributes:
        name: The file's name without its ending, or that of the bundled set.
        X: Columns of float64 (NaN is missing) and of categories (whose levels are strings).
        y: The rows' classes, indices into `classes`.
        classes: The labels, sorted.
    """

    name: str
    X: pd.DataFrame
    y: NDArray[np.int64]
    classes: list[str]


def find_tables(folder: Path | None, target: str | None) -> dict[str, Callable[[], Table]]:
    """What there is, by name, read when it is called for.

    Raises:
        SystemExit: The folder holds no table, or two of one name.
    """
    found: dict[str, Callable[[], Table]] = {name: _bundled(name) for name in BUNDLED}
    if folder is None:
        return found
    files = [*_files(folder)]
    if not files:
        raise SystemExit(f"{folder} holds no .parquet or .csv file")
    for path in files:
        if path.stem in found:
            raise SystemExit(f"{folder} holds a second table named {path.stem}: rename {path.name}")
        found[path.stem] = _from_file(path, target)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix in (".parquet", ".csv"):
            yield path


def _bundled(name: str) -> Callable[[], Table]:
    def read() -> Table:
        X, y = BUNDLED[name](return_X_y=True, as_frame=True)
        return as_table(name, X, y)

    return read


def _from_file(path: Path, target: str | None) -> Callable[[], Table]:
    def read() -> Table:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        column = target or next((name for name in TARGETS if name in frame), None)
        if column is None or column not in frame:
            wanted = target or " or ".join(TARGETS)
            raise SystemExit(f"{path} has no column {wanted}: name the classes' with --target")
        return as_table(path.stem, frame.drop(columns=column), frame[column])

    return read


def as_table(name: str, X: pd.DataFrame, y: pd.Series) -> Table:
    """Numbers as float64, all else as categories; rows without a label are left out."""
    labelled = y.notna().to_numpy()
    X, y = X[labelled].reset_index(drop=True), y[labelled]
    labels, indices = np.unique(y.astype(str).to_numpy(dtype=object), return_inverse=True)
    columns = {str(column): _column(X[column]) for column in X}
    return Table(name, pd.DataFrame(columns), indices.astype(np.int64), [*map(str, labels)])


def _column(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        seconds = (values - pd.Timestamp(0, tz=values.dt.tz)).dt.total_seconds()
        return seconds.astype(np.float64)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.astype(np.float64)
    words = values.astype(object).where(values.notna(), None)
    return words.map(str, na_action="ignore").astype("category")


def categorical(X: pd.DataFrame) -> list[str]:
    """The names of the columns that hold categories."""
    return [column for column in X if isinstance(X[column].dtype, pd.CategoricalDtype)]
