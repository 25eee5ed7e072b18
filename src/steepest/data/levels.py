"""Levels: which word of a column that was words in training a value is, whatever its type here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from steepest.data.columns import WORDS, Place
from steepest.data.text import (
    read_moments,
    read_numbers,
    read_times,
    read_truth,
    strip,
    without_marks,
)
from steepest.errors import DataError

UNSEEN = -1


def level_indices(series: pl.Series, levels: Sequence[str], place: Place) -> pl.Series:
    """The index of each row's level, (N,) Int64; UNSEEN for what is none, null where missing.

    Text is the level that it spells; blanks around it do not matter. NA and the like are missing
    unless training had them as words. Of a number, a date or a truth
    value the spelling is lost: it is the level that reads as this value. Raises DataError where
    several do, and for a type that no word can have become.
    """
    if series.dtype in WORDS:
        return _of_text(series.cast(pl.String), levels)
    series = series.fill_nan(None) if series.dtype.is_float() else series
    values, read = _comparable(series, levels, place)
    places: dict[Any, list[int]] = defaultdict(list)
    for i, value in enumerate(read):
        if value is not None:
            places[value].append(i)
    doubtful = [value for value, at in places.items() if len(at) > 1]
    met = values.is_in(pl.Series(doubtful, dtype=values.dtype).implode())
    if doubtful and met.any():
        row = int(met.arg_true()[0])
        spellings = " or ".join(repr(levels[i]) for i in places[values[row]])
        raise DataError(
            f"{place.source}: column {series.name!r} was words in training, but row "
            f"{place.row(row)} holds {series[row]!r} as {series.dtype}, which may have been "
            f"{spellings}; pass the column as strings"
        )
    found = _looked_up(values, {value: at[0] for value, at in places.items()})
    return found.set(series.is_null(), None)


def _of_text(text: pl.Series, levels: Sequence[str]) -> pl.Series:
    found = _looked_up(text, {level: i for i, level in enumerate(levels)})
    if (found == UNSEEN).any():
        # Of levels that differ by blanks alone the most frequent, which is the first, is meant.
        stripped = {level.strip(): i for i, level in reversed(list(enumerate(levels)))}
        found = found.zip_with(found != UNSEEN, _looked_up(text.str.strip_chars(), stripped))
        text = text.zip_with(found != UNSEEN, without_marks(strip(text)))
    return found.set(text.is_null(), None)


def _comparable(
    series: pl.Series, levels: Sequence[str], place: Place
) -> tuple[pl.Series, list[Any]]:
    """The values, and what each level is when it is read as one of them; None where it is none."""
    text, dtype = pl.Series(levels, dtype=pl.String), series.dtype
    if dtype.is_integer():
        whole = text.str.strip_chars().cast(pl.Int64, strict=False)
        numbers = read_numbers(text)
        by_number = numbers.set(numbers != numbers.round(), None).cast(pl.Int64, strict=False)
        return series.cast(pl.Int64, strict=False), whole.zip_with(
            whole.is_not_null(), by_number
        ).to_list()
    if dtype.is_numeric():
        return series.cast(pl.Float64), read_numbers(text).fill_nan(None).to_list()
    if dtype == pl.Boolean:
        return series, read_truth(text).to_list()
    if dtype in (pl.Date, pl.Datetime):
        return series.cast(pl.Datetime("us")), read_moments(text).to_list()
    if dtype == pl.Time:
        return series, read_times(text).to_list()
    raise DataError(
        f"{place.source}: column {series.name!r} was words in training, but holds {dtype}"
    )


def _looked_up(values: pl.Series, places: Mapping[Any, int]) -> pl.Series:
    known = pl.Series(list(places), dtype=values.dtype)
    at = pl.Series(list(places.values()), dtype=pl.Int64)
    return values.replace_strict(known, at, default=UNSEEN, return_dtype=pl.Int64)
