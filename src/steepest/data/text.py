"""Text as values: the type that a column of text has, and its values read as a given type."""

from collections.abc import Callable

import polars as pl

MISSING = (
    *("", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None"),
    "?",
)
_TRUTH = {"true": True, "false": False}
_DAYS = "%Y-%m-%d"
_MOMENTS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f")

Reader = Callable[[pl.Series], pl.Series]


def strip(text: pl.Series) -> pl.Series:
    """The text without blanks around it; null where nothing is left.

    What becomes of a value never depends on the other rows.
    """
    stripped = text.str.strip_chars()
    if not (stripped.str.len_bytes() != text.str.len_bytes()).any():
        return text
    return stripped.set(stripped == "", None)


def without_marks(text: pl.Series) -> pl.Series:
    """Stripped text, null where it is a mark of what is missing; the same series if none is."""
    marked = text.is_in(MISSING)
    return text.set(marked, None) if marked.any() else text


def read_numbers(text: pl.Series, decimal: str = ".") -> pl.Series:
    """Float64, null where the text is no number with this decimal mark, "." or ","."""
    text = text.str.strip_chars()
    if decimal == ",":
        text = text.set(text.str.contains(".", literal=True), None)
        text = text.str.replace(r"^([+-]?\d*),(\d)", "${1}.${2}")
    return text.cast(pl.Float64, strict=False)


def read_truth(text: pl.Series) -> pl.Series:
    """Boolean, null where the text is neither true nor false, in any case of letters."""
    words = text.str.strip_chars().str.to_lowercase()
    return words.replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)


def read_moments(text: pl.Series) -> pl.Series:
    """Datetime in microseconds, null where the text is no date, with a time of day or without."""
    text = text.str.strip_chars()
    moments = text.str.to_date(_DAYS, strict=False).cast(pl.Datetime("us"))
    for form in _MOMENTS:
        if moments.null_count() == text.null_count():
            break
        more = text.str.to_datetime(form, strict=False, time_unit="us")
        moments = moments.zip_with(moments.is_not_null(), more)
    return moments


def read_times(text: pl.Series) -> pl.Series:
    """Times of day, null where the text is none."""
    return text.str.strip_chars().str.to_time("%H:%M:%S%.f", strict=False)


# The first type that takes every value of a column is its type; what none takes stays text.
_TYPES: tuple[Reader, ...] = (
    lambda text: text.cast(pl.Int64, strict=False),
    lambda text: text.cast(pl.Float64, strict=False),
    read_truth,
    lambda text: text.str.to_date(_DAYS, strict=False),
    *(
        lambda text, form=form: text.str.to_datetime(form, strict=False, time_unit="us")
        for form in _MOMENTS
    ),
)


def with_type(text: pl.Series) -> pl.Series:
    """The values of a column of text in the first type that fits them all; else the text."""
    if text.null_count() == len(text):
        return text
    some = text.drop_nulls().head(100)
    for convert in _TYPES:
        if convert(some).null_count():
            continue
        values = convert(text)
        if values.null_count() == text.null_count():
            return values
    return text
