"""Columns of a table as numbers and words, whatever type a frame holds them in."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.errors import DataError

Float64Array = NDArray[np.float64]

WORDS = (pl.String, pl.Categorical, pl.Enum, pl.Null)
_PER_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3}
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Column:
    """How one column is encoded.

    kind: "number", "boolean" or "words". missing: how many training rows lack it; if any, the gap
    is a feature of its own. mean: what stands for a missing number. levels: the words with a
    feature each, the most frequent first; other: whether rarer ones share one more.
    """

    name: str
    kind: str
    missing: int
    mean: float = 0.0
    levels: tuple[str, ...] = ()
    other: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes."""
        values = (f"{self.name}={level}" for level in self.levels)
        plain = tuple(values) if self.kind == "words" else (self.name,)
        other = (f"{self.name}=other",) if self.other else ()
        return (*plain, *other, *([f"{self.name} is missing"] if self.missing else []))


@dataclass(frozen=True)
class Place:
    """Where the rows of a frame come from, for messages. rows: their numbers there, if not 0 .."""

    source: str
    rows: NDArray[np.int64] | None = None

    def row(self, row: int) -> int:
        return int(row if self.rows is None else self.rows[row])


def is_numeric(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype.is_temporal()


def as_numbers(series: pl.Series, place: Place) -> Float64Array:
    """The column as float64, (N,), NaN where missing; dates, times and durations in seconds.

    Raises DataError for an infinite value, and for a word or a type that is no number, where
    training had numbers.
    """
    if series.dtype in WORDS:
        series = _parsed(series, place)
    per_second = 1.0
    if series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us")) if series.dtype == pl.Date else series
        per_second = _PER_SECOND[getattr(series.dtype, "time_unit", "ns")]
        series = series.cast(pl.Int64)
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise DataError(
            f"{place.source}: column {series.name!r} was numbers in training, but holds "
            f"{series.dtype}"
        )
    numbers = series.cast(pl.Float64).to_numpy()
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        raise DataError(
            f"{place.source}: column {series.name!r} is {numbers[infinite[0]]} in row "
            f"{place.row(infinite[0])}, one of {infinite.size} infinite values; mend them, or "
            "leave them empty to count as missing"
        )
    return numbers / per_second if per_second != 1.0 else numbers


def as_truth(series: pl.Series, place: Place) -> Float64Array:
    """The column as 0, 1 and NaN, (N,) float64. Raises DataError for anything else."""
    if series.dtype in WORDS:
        words = series.cast(pl.String).str.to_lowercase()
        values = words.replace_strict(_TRUTH, default=2.0, return_dtype=pl.Float64).to_numpy()
        values = np.where(series.is_null().to_numpy(), np.nan, values)
    else:
        values = as_numbers(series, place)
    wrong = np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{place.source}: column {series.name!r} was true or false in training, but row "
            f"{place.row(row)} holds {series[row]!r}"
        )
    return values


def as_words(series: pl.Series) -> pl.Series:
    """The column as strings; a whole number is the same word as an integer and as a float."""
    if series.dtype.is_float():
        series = series.fill_nan(None)
        numbers = series.drop_nulls().to_numpy()
        if np.isfinite(numbers).all() and (numbers == np.round(numbers)).all():
            series = series.cast(pl.Int64, strict=False)
    return series.cast(pl.String)


def _parsed(series: pl.Series, place: Place) -> pl.Series:
    numbers = series.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    wrong = numbers.is_null() & series.is_not_null()
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise DataError(
            f"{place.source}: column {series.name!r} was numbers in training, but row "
            f"{place.row(row)} holds {series[row]!r}"
        )
    return numbers
