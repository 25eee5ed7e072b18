"""Samples and Dataset: what every source gives, whatever the file or the object was.

Which container of rows is which is told in docs/architecture.md, "What holds rows".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[Any]
Int64Array = NDArray[np.int64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows with labels, as they came: not encoded, not scaled, not copied.

    Attributes:
        inputs: (M, ...) array of numbers (uint8, integers, float32 or float64; images are
            (M, C, H, W) uint8; it may be memory-mapped), or a polars frame of M rows whose columns
            are the features.
        labels: (N,) integers, strings, booleans or floats as the source has them, or (N, K) rows of
            0 and 1 where a row may have several classes or none; None if unknown.
        source: Where they come from, for messages.
        rows: (N,) int64, the rows of `inputs` that belong to these samples, in order; None for all.
        class_names: What the class indices 0 .. C-1 are called, when the source says so.
        columns: What the columns of an array of inputs are called.
        text: The columns of a CSV file that became another type, as they are written there, (M,)
            each: the type is a guess from this file alone, and rows of another training are read by
            its types.
        commas: Those of them that hold numbers with decimal commas.
        label_columns: K where the labels were given as rows (N, K), also if they are indices now.
        weights: (N,) float32, at least 0, how much the loss of each row counts; None for 1 each.
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
    weights: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.inputs) if self.rows is None else len(self.rows)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(H, W) of images (C, H, W), None of other rows."""
        shape = self.inputs.shape
        return (int(shape[2]), int(shape[3])) if len(shape) == 4 else None

    def take(self, indices: Int64Array) -> "Samples":
        """Some of the samples; the inputs are shared, not copied.

        Args:
            indices: (K,) int64 in 0 .. len-1, in the order that is wanted.
        """
        rows = indices if self.rows is None else self.rows[indices]
        labels = None if self.labels is None else self.labels[indices]
        weights = None if self.weights is None else self.weights[indices]
        return replace(self, rows=rows, labels=labels, weights=weights)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The parts of one data set.

    Attributes:
        train: The rows to learn from.
        validation: The rows that early stopping and the reader look at while it learns.
        test: The rows that are looked at once, at the end.
        notes: What loading decided, in plain sentences.
    """

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
