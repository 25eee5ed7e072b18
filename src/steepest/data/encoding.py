"""TableEncoder: the columns of a table as numbers, fitted on the training rows alone.

Numbers, dates and durations are scaled; a missing one becomes the training mean and sets a column
"... is missing". Booleans become 0 and 1. Words become one column a level (one-hot), the rarer
levels together one column "other". All statistics are float64 and only the result is float32.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.scaling import Scaler
from steepest.errors import DataError, did_you_mean

_MOST_LEVELS = 64
_TIMES = (pl.Date, pl.Datetime, pl.Duration, pl.Time)


@dataclass(frozen=True)
class Column:
    """How one column is encoded.

    kind: "number", "boolean", "words". missing: how many training rows lack it; if any, the gap is
    a column of its own. mean: what stands for a missing number. levels: the words with a column
    each; other: whether rarer ones share one more.
    """

    name: str
    kind: str
    missing: int
    mean: float = 0.0
    levels: tuple[str, ...] = ()
    other: bool = False

    @property
    def features(self) -> list[str]:
        names = {
            "number": [self.name],
            "boolean": [self.name],
            "words": [f"{self.name}={level}" for level in self.levels],
        }[self.kind]
        if self.other:
            names.append(f"{self.name}=other")
        return names + [f"{self.name} is missing"] * (self.missing > 0)


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """Turns a frame into a float32 matrix. scaler: of the numeric columns, in their order."""

    columns: tuple[Column, ...]
    scaler: Scaler
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        scaling: str,
        source: str,
        *,
        low: float = 0.0,
        high: float = 1.0,
    ) -> Self:
        """The encoder of the training rows. Raises DataError for what cannot be a feature."""
        if frame.height and all(series.null_count() == frame.height for series in _cleaned(frame)):
            raise DataError(f"{source}: all {frame.height} training rows are empty in every column")
        columns, notes = [], []
        for series in frame:
            column, note = _fit_column(series, source)
            columns += [column] if column else []
            notes += [note] if note else []
        if not columns:
            raise DataError(f"{source}: no column is left to learn from: {'; '.join(notes)}")
        numbers = [column for column in columns if column.kind == "number"]
        values = np.empty((frame.height, len(numbers)))
        for i, column in enumerate(numbers):
            values[:, i] = _numbers(frame[column.name], source).fill_null(column.mean).to_numpy()
        scaler = Scaler.fit(scaling, values, low=low, high=high) if numbers else Scaler()
        return cls(tuple(columns), scaler, tuple(notes))

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(feature for column in self.columns for feature in column.features)

    def transform(self, frame: pl.DataFrame, source: str) -> NDArray[np.float32]:
        """The rows as numbers, (N, F) float32; further columns of the frame are ignored.

        Raises DataError for a column that is not there or holds what training did not.
        """
        encoded = np.zeros((frame.height, len(self.feature_names)), dtype=np.float32)
        at = number = 0
        for column in self.columns:
            if column.name not in frame.columns:
                hint = did_you_mean(column.name, frame.columns) or f" among {frame.columns}"
                raise DataError(f"{source} has no column {column.name!r}{hint}")
            width = len(column.features)
            block = encoded[:, at : at + width]
            if column.kind == "number":
                self._write_numbers(block, frame[column.name], column, number, source)
                number += 1
            elif column.kind == "boolean":
                _write_booleans(block, frame[column.name], column, source)
            else:
                _write_words(block, frame[column.name], column)
            at += width
        return encoded

    def summary(self) -> tuple[str, ...]:
        """How each column is encoded, a line each."""
        return tuple(_described(column, self.scaler.kind) for column in self.columns) + self.notes

    def to_json(self) -> dict[str, Any]:
        return {"columns": [asdict(c) for c in self.columns], "scaler": self.scaler.to_json()}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        columns = [Column(**c | {"levels": tuple(c["levels"])}) for c in state["columns"]]
        return cls(tuple(columns), Scaler.from_json(state["scaler"]))

    def _write_numbers(
        self, block: NDArray[np.float32], series: pl.Series, column: Column, i: int, source: str
    ) -> None:
        values = _numbers(series, source)
        x = values.fill_null(column.mean).to_numpy()
        if not self.scaler.is_identity:
            offset, factor = np.atleast_1d(self.scaler.offset), np.atleast_1d(self.scaler.factor)
            j = i if len(offset) > 1 else 0
            x = (x - offset[j]) * factor[j] + self.scaler.shift
        block[:, 0] = x
        _write_gaps(block, values, column)


def _fit_column(series: pl.Series, source: str) -> tuple[Column | None, str | None]:
    """The column's encoding, or why it is left out."""
    name, dtype = series.name, series.dtype
    missing = _cleaned_one(series).null_count()
    if missing == len(series):
        return None, f"column {name!r} is left out: no training row has a value"
    if dtype == pl.Boolean:
        return Column(name, "boolean", missing), None
    if dtype.is_numeric() or dtype in _TIMES:
        mean = _numbers(series, source).mean()
        assert isinstance(mean, float)
        return Column(name, "number", missing, mean=mean), None
    if not _are_words(dtype):
        raise DataError(
            f"{source}: column {name!r} holds {dtype}, which cannot be a feature; "
            f"name it in ignore to leave it out"
        )
    counts = (
        series.cast(pl.String)
        .drop_nulls()
        .value_counts(name="n")
        .sort(["n", name], descending=[True, False])
    )
    if counts.height > _MOST_LEVELS and counts.height > len(series) / 2:
        return None, (
            f"column {name!r} is left out: {counts.height} different words in {len(series)} rows "
            "look like an identifier"
        )
    levels = tuple(counts[name].head(_MOST_LEVELS))
    return Column(name, "words", missing, levels=levels, other=counts.height > _MOST_LEVELS), None


def _are_words(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def _cleaned(frame: pl.DataFrame) -> list[pl.Series]:
    return [_cleaned_one(series) for series in frame]


def _cleaned_one(series: pl.Series) -> pl.Series:
    """NaN counts as missing."""
    return series.fill_nan(None) if series.dtype.is_float() else series


def _numbers(series: pl.Series, source: str) -> pl.Series:
    """A numeric column as Float64 with nulls; times in seconds. Raises DataError for others."""
    if series.dtype == pl.Date:
        series = series.cast(pl.Datetime("us"))
    if series.dtype in _TIMES:
        per_second = {"ns": 1e9, "us": 1e6, "ms": 1e3}[getattr(series.dtype, "time_unit", "ns")]
        return series.cast(pl.Int64).cast(pl.Float64) / per_second
    if _are_words(series.dtype):
        numbers = series.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
        wrong = (numbers.is_null() & series.is_not_null()).arg_true()
        if len(wrong):
            raise DataError(
                f"{source}: column {series.name!r} was numbers in training, but row {wrong[0]} "
                f"holds {series[int(wrong[0])]!r}"
            )
        return numbers
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise DataError(
            f"{source}: column {series.name!r} was numbers in training, but holds {series.dtype}"
        )
    numbers = series.cast(pl.Float64).fill_nan(None)
    infinite = numbers.is_infinite().fill_null(False)
    if infinite.any():
        row = infinite.arg_true()[0]
        raise DataError(
            f"{source}: column {series.name!r} is {numbers[int(row)]} in row {row}, one of "
            f"{infinite.sum()} infinite values; mend them, or leave them empty to count as missing"
        )
    return numbers


def _write_booleans(
    block: NDArray[np.float32], series: pl.Series, column: Column, source: str
) -> None:
    values = _numbers(
        series.cast(pl.String).replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)
        if _are_words(series.dtype)
        else series,
        source,
    )
    block[:, 0] = values.fill_null(0.0).to_numpy()
    _write_gaps(block, values, column)


_TRUTH = {"true": True, "false": False, "True": True, "False": False}


def _write_words(block: NDArray[np.float32], series: pl.Series, column: Column) -> None:
    """A 1 in the column of each row's level; words that training never saw count as other."""
    words = series.cast(pl.String)
    rest = len(column.levels) if column.other else -1
    places = {level: i for i, level in enumerate(column.levels)}
    index = words.replace_strict(places, default=rest, return_dtype=pl.Int64)
    at = index.fill_null(rest).to_numpy().copy()
    at[words.is_null().to_numpy()] = -1
    rows = np.flatnonzero(at >= 0)
    block[rows, at[rows]] = 1.0
    _write_gaps(block, words, column)


def _write_gaps(block: NDArray[np.float32], values: pl.Series, column: Column) -> None:
    if column.missing:
        block[:, -1] = values.is_null().to_numpy()


def _described(column: Column, scaling: str) -> str:
    kind = {
        "number": f"number, {scaling}",
        "boolean": "boolean, 0 or 1",
        "words": f"{len(column.levels)} levels{' and other' * column.other}, one-hot",
    }[column.kind]
    gap = f"; {column.missing} missing, in a column of their own" if column.missing else ""
    return f"  {column.name}: {kind}{gap}"
