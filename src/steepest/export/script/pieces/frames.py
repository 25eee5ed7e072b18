"""How the columns of a data frame are read; nothing in them is text that stands for a number."""

import numpy as np
import polars as pl


def numbers(column: pl.Series) -> np.ndarray:
    """Numbers, NaN where one is missing."""
    return column.cast(pl.Float64).to_numpy()


def seconds(column: pl.Series) -> np.ndarray:
    """Dates as seconds since 1970, NaN where one is missing."""
    return column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64).to_numpy() / 1e6


def truth(column: pl.Series) -> np.ndarray:
    """1 for true, 0 for false, NaN where it is missing."""
    return column.cast(pl.Float64).to_numpy()


def words(column: pl.Series) -> np.ndarray:
    """Words, None where one is missing."""
    return np.array(column.cast(pl.String).to_list(), dtype=object)


def joined_frames(parts: dict[str, pl.DataFrame]) -> tuple[pl.DataFrame, dict[str, np.ndarray]]:
    """All rows, one part below the other, and the rows of each part."""
    columns = next(iter(parts.values())).columns
    table = pl.concat([part.select(columns) for part in parts.values()], how="vertical_relaxed")
    ends = np.cumsum([part.height for part in parts.values()])
    rows = np.split(np.arange(table.height), ends[:-1])
    return table, dict(zip(parts, rows, strict=True))
