"""What a preset is: a named recipe, and what it decides from the data that it meets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl

from steepest.data import Samples
from steepest.recipe import Recipe


@dataclass(frozen=True)
class Meeting:
    """What a preset looks at.

    Attributes:
        rows: Training rows.
        columns: Columns of a table or matrix, or numbers in one row.
        numeric: Of the columns those that hold numbers.
        classes: Distinct labels.
        is_table: Whether the rows are a data frame or a matrix of numbers, not pictures.
    """

    rows: int
    columns: int
    numeric: int
    classes: int
    is_table: bool

    @classmethod
    def of(cls, train: Samples) -> Self:
        """The facts about these training rows."""
        inputs, labels = train.inputs, train.labels
        assert labels is not None
        classes = labels.shape[1] if labels.ndim == 2 else len(np.unique(labels))
        if isinstance(inputs, pl.DataFrame):
            numeric = sum(dtype.is_numeric() or dtype.is_temporal() for dtype in inputs.dtypes)
            return cls(len(train), inputs.width, numeric, classes, True)
        columns = int(np.prod(inputs.shape[1:]))
        # Bytes are pixels, as everywhere in the project.
        is_table = inputs.ndim == 2 and inputs.dtype != np.uint8
        return cls(len(train), columns, columns, classes, is_table)


@dataclass(frozen=True)
class Preset:
    """A recipe with a name.

    Attributes:
        name: What `preset` is set to.
        decide: The settings for the data that are met. A given recipe may bring its own.
    """

    name: str
    decide: Callable[[Meeting, Recipe], dict[str, Any]]
