"""Samples and Dataset: what every source gives, whatever the file or the object was."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[Any]
Int64Array = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows with labels, as they came: not encoded, not scaled, not copied.

    inputs: (M, ...) array of numbers (uint8, integers, float32 or float64; images are (M, C, H, W)
    uint8; it may be memory-mapped), or a polars frame of M rows whose columns are the features.
    labels: (N,) integers, strings, booleans or floats as the source has them, or (N, K) rows of 0
    and 1 where a row may have several classes or none; None if unknown.
    rows: (N,) the rows of `inputs` that belong to these samples, in order; None means all of them.
    source: where they come from, for messages. class_names: what the class indices 0 .. C-1 are
    called, when the source says so. columns: what the columns of an array of inputs are called.
    text: the columns of a CSV file that became another type, as they are written there, (M,) each:
    the type is a guess from this file alone, and rows of another training are read by its types.
    commas: those of them that hold numbers with decimal commas.
    label_columns: K where the labels were given as rows (N, K), also if they are indices now.
    """

    inputs: Array | pl.DataFrame
    labels: Array | None
    source: str
    rows: Int64Array | None = None
    class_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    text: pl.DataFrame | None = None
    commas: frozenset[str] = frozenset()
    label_columns: int | None = None

    def __len__(self) -> int:
        return len(self.inputs) if self.rows is None else len(self.rows)

    def take(self, indices: Int64Array) -> "Samples":
        """The samples at these indices (0 .. len-1); the inputs are shared, not copied."""
        rows = indices if self.rows is None else self.rows[indices]
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, rows=rows, labels=labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The parts of one data set. `notes` tells in plain sentences what loading decided."""

    train: Samples
    validation: Samples | None = None
    test: Samples | None = None
    notes: tuple[str, ...] = ()

    def parts(self) -> Iterator[tuple[str, Samples]]:
        """The parts that exist, by name: train, validation, test."""
        for name in ("train", "validation", "test"):
            part = getattr(self, name)
            if part is not None:
                yield name, part
