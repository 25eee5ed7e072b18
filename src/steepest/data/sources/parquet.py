"""Parquet files, read by pyarrow: damaged ones are refused there, where polars' reader aborts."""

from pathlib import Path

import polars as pl

from steepest.data.memory import require_memory
from steepest.errors import DataError

_BYTES_OF_A_VALUE = 8


def read_parquet(path: Path) -> pl.DataFrame:
    """The table in a Parquet file.

    Raises DataError if it is damaged, has no rows, or promises more than fits in memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = file.metadata
            needed = about.num_rows * about.num_columns * _BYTES_OF_A_VALUE
            require_memory(needed, path, "put its parts into a folder, which is read in turn")
            table = file.read()
        table.validate(full=True)
        frame = pl.from_arrow(table)
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {_first_line(error)}") from None
    assert isinstance(frame, pl.DataFrame)
    if not frame.height:
        raise DataError(f"{path} has columns but no rows")
    return frame


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
