"""Columns of a table as numbers and words, whatever type a frame or a file holds them in."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.text import (
    MISSING,
    Reader,
    read_moments,
    read_numbers,
    read_times,
    read_truth,
    strip,
    without_marks,
)
from steepest.errors import DataError

Float64Array = NDArray[np.float64]

WORDS = (pl.String, pl.Categorical, pl.Enum, pl.Null)
QUANTITIES = {"number": "numbers", "date": "dates", "time": "times", "duration": "durations"}
_PER_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3}
_NEITHER = 2.0  # neither true, 1, nor false, 0
_READERS: dict[str, Reader] = {"number": read_numbers, "date": read_moments, "time": read_times}


@dataclass(frozen=True)
class Column:
    """How one column is encoded.

    kind: "number", "boolean" or "words". missing: how many training rows lack it; if any, the gap
    is a feature of its own. mean: what stands for a missing number. levels: the words with a
    feature each, the most frequent first; other: whether rarer ones share one more. quantity: what
    its numbers are, "number", "date", "time" or "duration"; "" where an earlier version has not
    written it down. decimal: the mark in its numbers where they are text, "." or ",".
    """

    name: str
    kind: str
    missing: int
    mean: float = 0.0
    levels: tuple[str, ...] = ()
    other: bool = False
    quantity: str = ""
    decimal: str = "."

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise ValueError(f"column {self.name!r} has the unknown decimal mark {self.decimal!r}")
        if self.quantity and self.quantity not in QUANTITIES:
            raise ValueError(f"column {self.name!r} holds the unknown quantity {self.quantity!r}")
        if not all(isinstance(word, str) for word in (self.name, *self.levels)):
            raise ValueError(f"column {self.name!r} has a name or a level that is no text")

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes."""
        values = (f"{self.name}={level}" for level in self.levels)
        plain = tuple(values) if self.kind == "words" else (self.name,)
        other = (f"{self.name}=other",) if self.other else ()
        return (*plain, *other, *([f"{self.name} is missing"] if self.missing else []))

    @property
    def has_marks(self) -> bool:
        """Whether one of its words is NA or the like, which is missing in other columns."""
        return not set(MISSING).isdisjoint(self.levels)

    def is_held_in(self, dtype: pl.DataType) -> bool:
        """Whether values of this type are what training had, so that nothing is to be parsed."""
        if self.kind == "number":
            found = quantity(dtype)
            return found is not None and self.quantity in ("", found)
        return dtype == pl.Boolean if self.kind == "boolean" else dtype in WORDS


@dataclass(frozen=True)
class Place:
    """Where the rows of a frame come from, for messages. rows: their numbers there, if not 0 .."""

    source: str
    rows: NDArray[np.int64] | None = None

    def row(self, row: int) -> int:
        return int(row if self.rows is None else self.rows[row])


def quantity(dtype: pl.DataType) -> str | None:
    """What values of this type are, a key of QUANTITIES; None for what is no number."""
    if dtype in (pl.Date, pl.Datetime):
        return "date"
    if dtype in (pl.Time, pl.Duration):
        return "time" if dtype == pl.Time else "duration"
    return "number" if dtype.is_numeric() else None


def as_numbers(
    series: pl.Series, place: Place, expected: str = "", decimal: str = "."
) -> Float64Array:
    """The column as float64, (N,), NaN where missing; dates, times and durations in seconds.

    expected: the quantity that training had, "" for any. decimal: the mark of text that is a
    number. Raises DataError for an infinite value, and for a word or a type that is not what
    training had.
    """
    if series.dtype in WORDS:
        series = _parsed(series, place, expected, decimal)
    found = "number" if series.dtype == pl.Boolean else quantity(series.dtype)
    if found is not None and expected not in ("", found) and not _has_values(series):
        return np.full(len(series), np.nan)
    if found is None or expected not in ("", found):
        raise DataError(
            f"{place.source}: column {series.name!r} was {QUANTITIES[expected or 'number']} in "
            f"training, but holds {series.dtype}"
        )
    per_second = 1.0
    if series.dtype.is_temporal():
        series = series.cast(pl.Datetime("us")) if series.dtype == pl.Date else series
        per_second = _PER_SECOND[getattr(series.dtype, "time_unit", "ns")]
        series = series.cast(pl.Int64)
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
        text = without_marks(strip(series.cast(pl.String)))
        truth = read_truth(text).cast(pl.Float64)
        values = truth.zip_with(truth.is_not_null(), read_numbers(text)).to_numpy()
        values = np.where(np.isnan(values) & text.is_not_null().to_numpy(), _NEITHER, values)
    elif quantity(series.dtype) == "number" or series.dtype == pl.Boolean:
        values = series.cast(pl.Float64).to_numpy()
    else:
        values = np.where(series.is_null().to_numpy(), np.nan, _NEITHER)
    wrong = np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{place.source}: column {series.name!r} was true or false in training, but row "
            f"{place.row(row)} holds {series[row]!r}"
        )
    return values


def _parsed(series: pl.Series, place: Place, expected: str, decimal: str) -> pl.Series:
    """Text as what training had; where an earlier version did not write that down, as any."""
    text = without_marks(strip(series.cast(pl.String)))
    values = _READERS[expected](text) if expected in _READERS else read_numbers(text)
    if expected == "number":
        values = read_numbers(text, decimal)
    wrong = values.is_null() & text.is_not_null()
    if wrong.any() and not expected:
        moments = read_moments(text)
        if moments.null_count() == text.null_count():
            return moments
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise DataError(
            f"{place.source}: column {series.name!r} was {QUANTITIES[expected or 'number']} in "
            f"training, but row {place.row(row)} holds {series[row]!r}{_remedy(text[row], decimal)}"
        )
    return values


def _remedy(value: str, decimal: str) -> str:
    """What to do about text that is a number for a reader of another country."""
    found, its, training, other = (
        ("comma", ",", "points", "point") if decimal == "." else ("point", ".", "commas", "comma")
    )
    if its not in value or read_numbers(pl.Series([value]), its).null_count():
        return ""
    return f", with a decimal {found}, and training had decimal {training}; write it with a {other}"


def _has_values(series: pl.Series) -> bool:
    series = series.fill_nan(None) if series.dtype.is_float() else series
    return series.null_count() < len(series)
