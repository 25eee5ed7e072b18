"""A table of a record as a data frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from steepest.errors import RunError
from steepest.records.sqlite import sql_read_errors

POLARS_TYPES = {int: pl.Int64, float: pl.Float64, str: pl.String}


@contextmanager
def frame_read_errors(where: Any) -> Iterator[None]:
    """What reading a damaged file into a frame raises, as one message."""
    try:
        with sql_read_errors(where):
            yield
    except pl.exceptions.PolarsError as error:
        raise RunError(f"{where} is damaged: {str(error).splitlines()[0]}") from None
