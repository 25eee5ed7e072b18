"""Whether the parts of a data set, each from a source of its own, go together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from steepest.data.samples import Dataset, Samples
from steepest.errors import DataError


def require_fit(train: Samples, part: Dataset, name: str, ignore: Sequence[str]) -> list[str]:
    """Raise DataError unless this is one part with the columns of the training rows; notes."""
    found = part.train
    if part.validation is not None or part.test is not None:
        raise DataError(
            f"{found.source} has several parts; pass one: {name}=load_data(...).test, for example"
        )
    if not (isinstance(train.inputs, pl.DataFrame) and isinstance(found.inputs, pl.DataFrame)):
        return []
    expected, columns = train.inputs.columns, found.inputs.columns
    if lacking := [column for column in expected if column not in columns]:
        raise DataError(
            f"{found.source} ({name}) lacks columns of {train.source}: {', '.join(lacking)}"
        )
    further = [column for column in columns if column not in (*expected, *ignore)]
    if not further:
        return []
    return [f"{name}: columns that training lacks are left out: {', '.join(further)}"]


def with_rows_of_labels(dataset: Dataset, width: int) -> Dataset:
    """Labels of a later part that happen to be one-hot as rows, as those of training are."""
    parts: dict[str, Any] = {}
    for name, part in dataset.parts():
        indices = part.labels
        if indices is not None and indices.ndim == 1 and part.label_columns == width:
            parts[name] = replace(part, labels=np.eye(width, dtype=np.uint8)[indices])
    return replace(dataset, **parts)
