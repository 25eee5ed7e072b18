"""TableEncoder: the columns of a table as numbers, fitted on the training rows alone.

Numbers, dates and durations are scaled; a missing one becomes the training mean and sets a feature
"... is missing". Booleans become 0 and 1. Words become one feature a level (one-hot), the rarer
levels together one feature "other". All statistics are float64 and only the result is float32,
unless the model is of float64.
"""

import itertools
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from steepest.data.columns import WORDS, Column, Place, as_numbers, as_truth, quantity
from steepest.data.decimals import likeness
from steepest.data.levels import UNSEEN, level_indices
from steepest.data.scaling import Scaler
from steepest.errors import DataError, did_you_mean

_MOST_LEVELS = 64
# Words that look like numbers may be names of a few kinds; of more kinds, they are a mistake.
_FEW_LEVELS = 20
_ENOUGH_TO_TELL = 1000
_SHOWN_COLUMNS = 30
# Id, row_id, PassengerId, customerID, row index; not "humid", nor "price index".
_IDENTIFIER = re.compile(r"(.*[\W_])?[iI][dD]|.*[a-z0-9]I[dD]|([rR]ow[\W_]?)?[iI]ndex", re.DOTALL)
# Of fewer rows it is no wonder that their numbers differ.
_ENOUGH_TO_DIFFER = 20


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """Turns a frame into a float32 matrix. scaler: of the numeric columns, in their order.

    notes: the columns that are left out, and why, and those whose words look like something else.
    """

    columns: tuple[Column, ...]
    scaler: Scaler
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        scaling: str,
        place: Place,
        *,
        low: float = 0.0,
        high: float = 1.0,
        commas: frozenset[str] = frozenset(),
    ) -> Self:
        """The encoder of the training rows. Raises DataError for what cannot be a feature.

        commas: the columns whose numbers a file of text holds with decimal commas.
        """
        columns: list[Column] = []
        scalers: list[Scaler] = []
        notes: list[str] = []
        for series in frame:
            fitted = _fit_column(series, place)
            if isinstance(fitted, str):
                notes.append(f"column {series.name!r} is left out: {fitted}")
                continue
            if len(fitted.levels) > _FEW_LEVELS and (what := likeness(pl.Series(fitted.levels))):
                notes.append(f"column {series.name!r} is taken as words, which look like {what}")
            decimal = "," if series.name in commas else "."
            columns.append(replace(fitted, decimal=decimal))
            if fitted.kind == "number":
                values = _filled(as_numbers(series, place), fitted.mean)
                scalers.append(Scaler.fit(scaling, values[:, None], low=low, high=high))
        if all(series.null_count() == frame.height for series in frame.fill_nan(None)):
            raise DataError(
                f"{place.source}: all {frame.height} training rows are empty in every column"
            )
        if not columns:
            raise DataError(f"{place.source}: no column is left to learn from: {'; '.join(notes)}")
        return cls(tuple(columns), Scaler.joined(scalers), tuple(notes))

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(feature for column in self.columns for feature in column.features)

    @property
    def word_spans(self) -> tuple[tuple[int, int], ...]:
        """The features of each column of words, (first, beyond the last)."""
        ends = np.cumsum([0, *(len(column.features) for column in self.columns)]).tolist()
        spans = zip(itertools.pairwise(ends), self.columns, strict=True)
        return tuple(span for span, column in spans if column.kind == "words")

    @property
    def numeric_features(self) -> NDArray[np.int64]:
        """The places of the features that hold numbers, (n,)."""
        widths = np.cumsum([0, *(len(column.features) for column in self.columns)])
        return np.array(
            [at for at, c in zip(widths, self.columns, strict=False) if c.kind == "number"],
            dtype=np.int64,
        )

    def transform(
        self,
        frame: pl.DataFrame,
        place: Place,
        dtype: type[np.floating[Any]] = np.float32,
        order: Literal["C", "F"] = "C",
    ) -> NDArray[Any]:
        """The rows as numbers, (N, F) of this type; further columns of the frame are ignored.

        order: how they lie in memory, row by row or column by column.

        Raises DataError for a column that is not there or holds what training did not.
        """
        encoded = np.zeros((frame.height, len(self.feature_names)), dtype=dtype, order=order)
        offsets, factors = self._offsets_and_factors()
        at = number = 0
        for column in self.columns:
            series = self._find(frame, column.name, place.source)
            block = encoded[:, at : at + len(column.features)]
            if column.kind == "number":
                values = as_numbers(series, place, column.quantity, column.decimal)
                gaps, x = np.isnan(values), _filled(values, column.mean)
                # In float64: what is small beside its offset would be lost in float32.
                block[:, 0] = (x - offsets[number]) * factors[number] + self.scaler.shift
                number += 1
            elif column.kind == "boolean":
                values = as_truth(series, place)
                gaps, block[:, 0] = np.isnan(values), _filled(values, 0.0)
            else:
                levels = level_indices(series, column.levels, place)
                gaps = levels.is_null().to_numpy()
                _write_levels(block, levels, column)
            if column.missing:
                block[:, -1] = gaps
            at += len(column.features)
        return encoded

    def unseen(self, frame: pl.DataFrame, place: Place) -> tuple[str, ...]:
        """Notes on the words in these rows that training never saw or saw too rarely."""
        notes = []
        there = set(frame.columns)
        for column in self.columns:
            if column.kind != "words" or column.other or column.name not in there:
                continue
            series = frame[column.name]
            unseen = series.filter(level_indices(series, column.levels, place) == UNSEEN)
            if len(unseen):
                notes.append(
                    f"column {column.name!r}: {len(unseen)} rows hold words that training never "
                    f"saw, such as {str(unseen[0])!r}; all its features are 0 there"
                )
        return tuple(notes)

    def to_reread(self, frame: pl.DataFrame, commas: frozenset[str]) -> list[str]:
        """The columns of a file whose values were not read as training's were.

        commas: those whose numbers were read with decimal commas.
        """
        schema = frame.schema  # polars makes it anew each time
        return [
            c.name
            for c in self.columns
            if c.name in schema
            and not (
                c.is_held_in(schema[c.name])
                and (c.decimal == ",") == (c.name in commas)
                and not c.has_marks
            )
        ]

    def summary(self) -> tuple[str, ...]:
        """How each column is encoded, a line each, and what is left out."""
        _, factors = self._offsets_and_factors()
        constant = {c.name for c, f in zip(self._numbers(), factors, strict=True) if f == 0}
        lines = [
            _described(column, self.scaler.kind, constant=column.name in constant)
            for column in self.columns
        ]
        hidden = len(lines) - _SHOWN_COLUMNS
        more = [f"  and {hidden} more columns"] if hidden > 0 else []
        return (*lines[:_SHOWN_COLUMNS], *more, *self.notes)

    def to_json(self) -> dict[str, Any]:
        columns = [asdict(c) | {"levels": list(c.levels)} for c in self.columns]
        return {"columns": columns, "scaler": self.scaler.to_json()}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Self:
        columns = [Column(**c | {"levels": tuple(c["levels"])}) for c in state["columns"]]
        return cls(tuple(columns), Scaler.from_json(state["scaler"]))

    def _numbers(self) -> list[Column]:
        return [column for column in self.columns if column.kind == "number"]

    def _offsets_and_factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One of each for each numeric column."""
        each = (len(self._numbers()),)
        offset, factor = self.scaler.offset, self.scaler.factor
        return np.broadcast_to(offset, each), np.broadcast_to(factor, each)

    @staticmethod
    def _find(frame: pl.DataFrame, name: str, source: str) -> pl.Series:
        try:
            return frame[name]
        except pl.exceptions.ColumnNotFoundError:
            pass
        if name.startswith("__index_level_"):
            raise DataError(
                f"{source} has no column {name!r}, the index of a pandas frame, which is not read "
                "any more: train again without it"
            )
        columns = ", ".join(frame.columns)
        hint = did_you_mean(name, frame.columns) or f"; its columns are {columns}"
        raise DataError(f"{source} has no column {name!r}{hint}")


def _fit_column(series: pl.Series, place: Place) -> Column | str:
    """The column's encoding, or the reason to leave it out."""
    name, dtype, nothing = series.name, series.dtype, "no training row has a value"
    held = quantity(dtype)
    if not (held or dtype == pl.Boolean or dtype in WORDS):
        raise DataError(
            f"{place.source}: column {name!r} holds {dtype}, which cannot be a feature; name it in "
            "ignore to leave it out"
        )
    if held:
        values = as_numbers(series, place)
        x = values[~np.isnan(values)]
        missing = len(values) - len(x)
        if not len(x):
            return nothing
        if _is_identifier(series):
            return (
                f"{len(x)} rows and as many different whole numbers, an identifier by its name; "
                "rename it to learn from it"
            )
        return Column(name, "number", missing, mean=float(x.mean()), quantity=held)
    missing = series.null_count()
    if missing == len(series):
        return nothing
    if dtype == pl.Boolean:
        return Column(name, "boolean", missing)
    words = series.cast(pl.String).drop_nulls()
    counts = words.value_counts(name="n")
    if counts.height > max(_MOST_LEVELS, len(series) / 2):
        what = likeness(words.head(_ENOUGH_TO_TELL).unique(maintain_order=True))
        return (
            f"{counts.height} different words in {len(series)} rows look like "
            f"{what or 'an identifier'}"
        )
    levels = counts.sort(["n", name], descending=[True, False])[name]
    other = len(levels) > _MOST_LEVELS
    return Column(name, "words", missing, levels=tuple(levels.head(_MOST_LEVELS)), other=other)


def _is_identifier(series: pl.Series) -> bool:
    """Whether this is a number of the row and not a property of what the row tells of.

    New rows have numbers beyond those of training, and where the rows lie in the order of their
    classes the number gives the class away.
    """
    whole = series.dtype.is_integer() and len(series) >= _ENOUGH_TO_DIFFER
    named = _IDENTIFIER.fullmatch(series.name) is not None
    return whole and named and series.n_unique() == len(series)


def _filled(values: NDArray[np.float64], filler: float) -> NDArray[np.float64]:
    gaps = np.isnan(values)
    return np.where(gaps, filler, values) if gaps.any() else values


def _write_levels(block: NDArray[Any], levels: pl.Series, column: Column) -> None:
    """A 1 in the feature of each row's level; words that training never saw count as other."""
    rest = len(column.levels) if column.other else UNSEEN
    known = levels.fill_null(UNSEEN).to_numpy()
    at = np.where((known == UNSEEN) & levels.is_not_null().to_numpy(), rest, known)
    rows = np.flatnonzero(at >= 0)
    block[rows, at[rows]] = 1.0


def _described(column: Column, scaling: str, *, constant: bool) -> str:
    how = {
        "number": f"number, {scaling}",
        "boolean": "boolean, 0 or 1",
        "words": f"{len(column.levels)} levels{' and other' * column.other}, one-hot",
    }[column.kind]
    gap = f"; {column.missing} missing, in a column of their own" if column.missing else ""
    return f"  {column.name}: {how}{'; constant' * constant}{gap}"
