"""CSV files: separator, header, types, missing values, and the line number of what is broken."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import polars as pl

from steepest.errors import DataError

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
_SEPARATORS = ",;\t|"
# A column in which at most this share of the values is no number was meant to be one.
_MOST_STRAYS = 0.01
_FEWEST_ROWS_FOR_STRAYS = 20
_TRUTH = {"true": True, "false": False}

# The first type that takes every value of a column is its type; what none takes stays text.
_TYPES: tuple[Callable[[pl.Series], pl.Series], ...] = (
    lambda text: text.cast(pl.Int64, strict=False),
    lambda text: text.cast(pl.Float64, strict=False),
    lambda text: text.str.to_lowercase().replace_strict(
        _TRUTH, default=None, return_dtype=pl.Boolean
    ),
    lambda text: text.str.to_date("%Y-%m-%d", strict=False),
    lambda text: text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us"),
    lambda text: text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us"),
)


def read_csv(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The table in a CSV file, and notes on what was decided.

    Separator and types are found, quoted fields may span lines, blank lines are skipped. Raises
    DataError naming the line of a row with too few or too many fields or of text that is not UTF-8.
    """
    form = _Form.of(path)
    try:
        text = pl.read_csv(
            path,
            separator=form.separator,
            has_header=form.has_header,
            null_values=list(_MISSING),
            infer_schema=False,
        )
    except (pl.exceptions.PolarsError, OSError) as error:  # OSError: what looks like a zipped file
        _blank_rows(path, form)
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as CSV: {reason}") from None
    # polars fills short rows and blank lines with nulls: the last column tells where to look.
    if text.height and text[:, -1].null_count():
        blank = [] if _is_plainly_even(path, form) else _blank_rows(path, form)
        text = text.with_row_index("").filter(~pl.col("").is_in(blank)).drop("") if blank else text
    if not text.height:
        raise DataError(f"{path} has a header but no rows")
    # One column at a time, so that text and numbers never both fill the memory.
    columns = text.get_columns()
    del text
    if len(columns) != len(form.names):
        raise DataError(
            f"{path} cannot be read as CSV: its first line has {len(form.names)} fields, but "
            f"{len(columns)} were found where it is quoted"
        )
    for i, name in enumerate(form.names):
        columns[i] = _typed(columns[i]).alias(name)
    if form.has_header:
        return pl.DataFrame(columns), []
    names = f"{form.names[0]} .. {form.names[-1]}"
    return pl.DataFrame(columns), [f"{path.name} has no header, so its columns are called {names}"]


def require_no_strays(features: pl.DataFrame, path: Path) -> None:
    """Raise DataError for a word in a column that else holds numbers alone, naming its line."""
    for series in features:
        if series.dtype != pl.String:
            continue
        words = series.drop_nulls()
        strays = words.filter(words.cast(pl.Float64, strict=False).is_null())
        few = 0 < len(strays) <= max(1, _MOST_STRAYS * len(words))
        if few and len(words) >= _FEWEST_ROWS_FOR_STRAYS:
            where = _line_of(path, series.name, strays[0])
            raise DataError(
                f"{path}{where}: column {series.name!r} holds {strays[0]!r} where "
                f"{len(words) - len(strays)} other rows hold numbers; mend the value, leave it "
                "empty to count as missing, or name the column in ignore"
            )


@dataclass(frozen=True)
class _Form:
    """How a file is laid out."""

    separator: str
    names: tuple[str, ...]
    has_header: bool

    @classmethod
    def of(cls, path: Path) -> Self:
        """The separator is the one that cuts the first record into most fields."""
        if not path.stat().st_size:
            raise DataError(f"{path} is empty; a header and rows are needed")
        first = {s: next(islice(_records(path, s), 1), (1, []))[1] for s in _SEPARATORS}
        separator = max(_SEPARATORS, key=lambda s: len(first[s]))
        fields = [field.strip() for field in first[separator]]
        if not any(fields):
            raise DataError(f"{path} has no text in its first line; a header is needed")
        has_header = not all(_is_number(field) for field in fields)
        given = fields if has_header else [""] * len(fields)
        names = tuple(name or f"column_{i}" for i, name in enumerate(given, start=1))
        doubled = sorted(name for name, count in Counter(names).items() if count > 1)
        if doubled:
            raise DataError(f"{path} has two columns of the name {doubled[0]!r}; rename one")
        return cls(separator, names, has_header)


def _typed(column: pl.Series) -> pl.Series:
    """The values of a column of text in the type that fits them all."""
    if (column.str.starts_with(" ") | column.str.ends_with(" ")).any():
        column = column.str.strip_chars()
        column = column.set(column.is_in(_MISSING), None)
    if column.null_count() == len(column):
        return column
    some = column.drop_nulls().head(100)
    for convert in _TYPES:
        if convert(some).null_count():
            continue
        values = convert(column)
        if values.null_count() == column.null_count():
            return values
    return column


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line; a blank line in between has no fields."""
    reader = csv.reader(_lines(path), delimiter=separator)
    line, begun = 1, False
    try:
        for fields in reader:
            fields = fields if len(fields) != 1 or fields[0].strip() else []
            begun = begun or bool(fields)
            if begun:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None


def _lines(path: Path) -> Iterator[str]:
    """The lines of the file. Raises DataError naming the first that is not UTF-8."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise DataError(
                    f"{path}, line {number} is not UTF-8; save the file in that encoding"
                ) from None


def _is_plainly_even(path: Path, form: _Form) -> bool:
    """Whether each line has all its separators and no quotes: the quick answer for most files."""
    separator, most = form.separator.encode(), len(form.names) - 1
    with open(path, "rb") as file:
        return most > 0 and all(line.count(separator) == most and b'"' not in line for line in file)


def _blank_rows(path: Path, form: _Form) -> list[int]:
    """The slow, exact scan: the rows that are blank lines. Raises DataError at a broken row."""
    width, blank = len(form.names), []
    for row, (line, fields) in enumerate(_records(path, form.separator), start=-form.has_header):
        if not fields:
            blank.append(row)
        elif len(fields) != width:
            raise DataError(
                f"{path}, line {line} has {len(fields)} fields, but the first line has "
                f"{width}; mend the row, or quote a field that holds the separator"
            )
    return blank


def _line_of(path: Path, column: str, value: str) -> str:
    """Where a value stands, as ", line 7"; empty where line breaks within fields hide it."""
    form = _Form.of(path)
    index = form.names.index(column)
    for line, fields in islice(_records(path, form.separator), form.has_header, None):
        if index < len(fields) and value in (fields[index], fields[index].strip()):
            return f", line {line}"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
