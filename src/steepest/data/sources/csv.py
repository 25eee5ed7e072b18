"""CSV files: header, types, missing values, and the line number of a broken row."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from steepest.errors import DataError

_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]
_ROWS_TO_GUESS_FROM = 10_000
_SEPARATORS = ",;\t|"
# A column in which at most this share of the values is no number was meant to be one.
_MOST_STRAYS = 0.01
_FEWEST_ROWS_FOR_STRAYS = 20


def read_csv(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """The table in a CSV file, and notes on what was decided.

    Raises DataError naming the line of a row with too few or too many fields, of text that is not
    UTF-8, and of a word in a column of numbers.
    """
    header, separator = _read_header(path)
    has_header = not all(_is_number(field) for field in header)
    try:
        frame = _parse(path, separator, has_header)
    except pl.exceptions.PolarsError as error:
        _require_even_rows(path, separator, len(header))
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as CSV: {reason}") from None
    if not frame.height:
        raise DataError(f"{path} has a header but no rows")
    # polars fills short rows with nulls: only then can the last column have any.
    if frame[:, -1].null_count():
        _require_even_rows(path, separator, len(header))
    _require_no_strays(frame, path, separator, has_header)
    if has_header:
        return frame, []
    frame.columns = [f"column_{number}" for number in range(1, frame.width + 1)]
    names = f"{frame.columns[0]} .. {frame.columns[-1]}"
    return frame, [f"{path.name} has no header, so its columns are called {names}"]


def _parse(path: Path, separator: str, has_header: bool) -> pl.DataFrame:
    """The frame with types that fit all rows: guessed from some, as reading all costs ten times."""
    options: dict[str, Any] = {"separator": separator, "has_header": has_header}
    options["null_values"] = _MISSING
    try:
        frame = pl.read_csv(path, infer_schema_length=_ROWS_TO_GUESS_FROM, **options)
    except pl.exceptions.PolarsError:
        return pl.read_csv(path, infer_schema_length=None, **options)
    # A column that is empty in those rows was taken for words, whatever came later.
    return frame.with_columns(_retyped(series) for series in frame if series.dtype == pl.String)


def _retyped(series: pl.Series) -> pl.Series:
    numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    if numbers.null_count() == series.null_count():
        return numbers
    if series.drop_nulls().is_in(["true", "false"]).all():
        return series == "true"
    return series


def _read_header(path: Path) -> tuple[list[str], str]:
    """The fields of the first line, and what separates them."""
    if not path.stat().st_size:
        raise DataError(f"{path} is empty; a header and rows are needed")
    for _, line in zip(range(1), _lines(path), strict=False):
        separator = max(_SEPARATORS, key=line.count)
        fields = next(csv.reader([line], delimiter=separator), [])
    names = [field.strip() for field in fields]
    if not any(names):
        raise DataError(f"{path} begins with an empty line; a header is needed")
    doubled = sorted({name for name in names if names.count(name) > 1 and not _is_number(name)})
    if doubled:
        raise DataError(f"{path} has two columns of the name {doubled[0]!r}; rename one")
    return fields, separator


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


def _require_even_rows(path: Path, separator: str, width: int) -> None:
    """The slow, exact scan: raise DataError at the first row with another number of fields."""
    reader = csv.reader(_lines(path), delimiter=separator)
    start = 1
    try:
        for fields in reader:
            if fields and len(fields) != width:
                raise DataError(
                    f"{path}, line {start} has {len(fields)} fields, but the first line has "
                    f"{width}; mend the row, or quote a field that holds the separator"
                )
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None


def _require_no_strays(frame: pl.DataFrame, path: Path, separator: str, has_header: bool) -> None:
    """Raise DataError for a word in a column that else holds numbers alone."""
    for index, series in enumerate(frame):
        if series.dtype != pl.String:
            continue
        words = series.drop_nulls().str.strip_chars()
        strays = words.filter(words.cast(pl.Float64, strict=False).is_null())
        few = 0 < len(strays) <= max(1, _MOST_STRAYS * len(words))
        if few and len(words) >= _FEWEST_ROWS_FOR_STRAYS:
            line = _line_of(path, separator, index, strays[0], has_header)
            raise DataError(
                f"{path}, line {line}: column {series.name!r} holds {strays[0]!r} where "
                f"{len(words) - len(strays)} other rows hold numbers; mend the value, leave it "
                "empty to count as missing, or name the column in ignore"
            )


def _line_of(path: Path, separator: str, index: int, value: str, has_header: bool) -> int:
    reader = csv.reader(_lines(path), delimiter=separator)
    start = 1
    for number, fields in enumerate(reader):
        if number >= has_header and len(fields) > index and fields[index].strip() == value:
            return start
        start = reader.line_num + 1
    return start


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
