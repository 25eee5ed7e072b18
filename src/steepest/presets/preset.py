"""What a preset is: a named recipe, and what it decides from the data that it meets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data import Samples
from steepest.errors import DataError
from steepest.recipe import Recipe

# Channels that images have, and pixels of a side below which nothing is to be seen in them.
_CHANNELS, _SMALLEST = (1, 3, 4), 4


@dataclass(frozen=True)
class Meeting:
    """What a preset looks at.

    Attributes:
        rows: Training rows.
        columns: Columns of a table or matrix, or numbers in one row.
        numeric: Of the columns those that hold numbers.
        classes: Distinct labels.
        is_table: Whether the rows are a data frame or a matrix of numbers, not pictures.
        image: (channels, height, width) of a row that is an image, else None.
    """

    rows: int
    columns: int
    numeric: int
    classes: int
    is_table: bool
    image: tuple[int, int, int] | None = None

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
        return cls(len(train), columns, columns, classes, is_table, _image_of(inputs, train.source))


def _image_of(inputs: NDArray[Any], source: str) -> tuple[int, int, int] | None:
    """What rows are as images: grey ones (H, W), or (C, H, W) of one, three or four channels.

    Rows (H, W) of other numbers than bytes are images where they are squares: else they may be
    series over time.

    Raises:
        DataError: They are images with their channels last.
    """
    shape = inputs.shape[1:]
    if len(shape) == 2 and (inputs.dtype == np.uint8 or shape[0] == shape[1]):
        shape = (1, *shape)
    if len(shape) != 3:
        return None
    if shape[2] in _CHANNELS and shape[0] not in _CHANNELS:
        raise DataError(
            f"{source}: rows of shape {shape} are images with their channels last, and channels "
            f"are first here: pass X.transpose(0, 3, 1, 2), rows of "
            f"{(shape[2], shape[0], shape[1])}"
        )
    channels, height, width = map(int, shape)
    is_image = channels in _CHANNELS and min(height, width) >= _SMALLEST
    return (channels, height, width) if is_image else None


@dataclass(frozen=True)
class Preset:
    """A recipe with a name.

    Attributes:
        name: What `preset` is set to.
        decide: The settings for the data that are met. A given recipe may bring its own.
    """

    name: str
    decide: Callable[[Meeting, Recipe], dict[str, Any]]
