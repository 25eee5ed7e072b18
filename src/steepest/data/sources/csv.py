"""CSV files: separator, header, types, missing values, and the line number of what is broken."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import polars as pl

from steepest.data.decimals import are_numbers, notation, remedy
from steepest.data.sources.frames import row_names
from steepest.data.text import MISSING, read_numbers, strip, with_type, without_marks
from steepest.errors import DataError

_SEPARATORS = ",;\t|"
# A column in which at most this share of the values is no number was meant to be one.
_MOST_STRAYS = 0.01
_FEWEST_ROWS_FOR_STRAYS = 20
_RECORDS_TO_TELL = 20


@dataclass(frozen=True, eq=False)
class CsvTable:
    """What a CSV file holds.

    frame: each column in the type that fits all of its values here. text: the columns that are
    something else in the frame, or have marks of what is missing, as they are written. commas:
    those with decimal commas, and those of whole numbers beside them. unclear: the columns that
    stayed text though they hold numbers, with how these are written. row_names: the first columns,
    if without a heading. notes: what was decided.
    """

    frame: pl.DataFrame
    text: pl.DataFrame
    commas: frozenset[str]
    unclear: dict[str, str]
    row_names: tuple[str, ...]
    notes: tuple[str, ...]

    def written(self, column: str) -> pl.Series:
        """A column as text, null where it is missing."""
        return without_marks((self.text if column in self.text.columns else self.frame)[column])


def read_csv(path: Path) -> CsvTable:
    """The table in a CSV file.

    Separator and types are found, quoted fields may span lines, blank lines are skipped. Raises
    DataError naming the line of a row with too few or too many fields or of text that is not UTF-8.
    """
    form = CsvForm.of(path)
    stripped = {column.name: strip(column) for column in _read_text(path, form)}
    text = {name: without_marks(column) for name, column in stripped.items()}
    typed = {name: with_type(column) for name, column in text.items()}
    written = {
        name: how
        for name, values in typed.items()
        if values.dtype == pl.String and (how := notation(values))
    }
    commas = {name for name, how in written.items() if how == "comma"}
    if commas:  # one column tells how the others are meant
        commas |= {name for name, how in written.items() if how == "either"}
    typed |= {name: read_numbers(text[name], ",") for name in commas}
    changed = [column for name, column in stripped.items() if typed[name] is not column]
    return CsvTable(
        frame=pl.DataFrame(list(typed.values())),
        text=pl.DataFrame(changed),
        commas=frozenset(commas | (_without_points(typed, text) if commas else set())),
        unclear={name: how for name, how in written.items() if name not in commas},
        row_names=form.names[: form.row_names],
        notes=_notes(path, form, sorted(commas)),
    )


def _without_points(typed: dict[str, pl.Series], text: dict[str, pl.Series]) -> set[str]:
    """The columns of numbers that are written without a decimal point."""
    return {
        name
        for name, values in typed.items()
        if values.dtype.is_numeric() and not text[name].str.contains(".", literal=True).any()
    }


def _notes(path: Path, form: "CsvForm", commas: list[str]) -> tuple[str, ...]:
    notes = []
    if not form.has_header:
        names = f"{form.names[0]} .. {form.names[-1]}"
        notes.append(f"{path.name} has no header, so its columns are called {names}")
    if commas:
        notes.append(f"{path.name}: numbers with decimal commas in {', '.join(commas)}")
    return tuple(notes)


def _read_text(path: Path, form: "CsvForm") -> list[pl.Series]:
    """The columns as text, null where a value is missing."""
    try:
        text = pl.read_csv(
            path,
            separator=form.separator,
            has_header=form.has_header,
            null_values=[""],
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
    if text.width != len(form.names):
        raise DataError(
            f"{path} cannot be read as CSV: its first line has {len(form.names)} fields, but "
            f"{text.width} were found where it is quoted"
        )
    return [text[:, i].alias(name) for i, name in enumerate(form.names)]


def require_clear(table: CsvTable, features: pl.DataFrame, path: Path) -> None:
    """Raise DataError for numbers that can be read in two ways, naming a line.

    And for a word in a column that else holds numbers alone. features: the columns to look at.
    """
    for series in features:
        if series.dtype != pl.String:
            continue
        how = table.unclear.get(series.name)
        if how:
            value, advice = remedy(how, series)
            where = _line_of(path, series.name, value)
            raise DataError(
                f"{path}{where}: column {series.name!r} holds {value!r}, {advice}, or name the "
                "column in ignore"
            )
        words = series.drop_nulls()
        strays = words.filter(~are_numbers(words))
        few = 0 < len(strays) <= max(1, _MOST_STRAYS * len(words))
        if few and len(words) >= _FEWEST_ROWS_FOR_STRAYS:
            where = _line_of(path, series.name, strays[0])
            raise DataError(
                f"{path}{where}: column {series.name!r} holds {strays[0]!r} where "
                f"{len(words) - len(strays)} other rows hold numbers; mend the value, leave it "
                "empty to count as missing, or name the column in ignore"
            )


@dataclass(frozen=True)
class CsvForm:
    """How a file is laid out. row_names: how many of the first columns have no heading."""

    separator: str
    names: tuple[str, ...]
    has_header: bool
    row_names: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The separator is the one that cuts the first record into most fields."""
        if not path.stat().st_size:
            raise DataError(f"{path} is empty; a header and rows are needed")
        separator, fields = _separator(path)
        if not any(fields):
            raise DataError(f"{path} has no text in its first line; a header is needed")
        has_header = _is_header(fields)
        given = fields if has_header else [""] * len(fields)
        names = tuple(name or f"column_{i}" for i, name in enumerate(given, start=1))
        doubled = sorted(name for name, count in Counter(names).items() if count > 1)
        if doubled:
            raise DataError(f"{path} has two columns of the name {doubled[0]!r}; rename one")
        return cls(separator, names, has_header, len(row_names(fields)) if has_header else 0)


def _is_header(fields: list[str]) -> bool:
    """Whether the first record has a word, or is 0, 1, 2 .., as pandas numbers columns."""
    given = [field for field in fields if field not in MISSING]
    numbered = given == [str(i) for i in range(len(given))]
    # The two numbers 0 and 1 alone may well be a row.
    if numbered and (len(given) > 2 or not fields[0]):
        return True
    return not given or not are_numbers(pl.Series(given)).all()


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


def _is_plainly_even(path: Path, form: CsvForm) -> bool:
    """Whether each line has all its separators and no quotes: the quick answer for most files."""
    separator, most = form.separator.encode(), len(form.names) - 1
    with open(path, "rb") as file:
        return most > 0 and all(line.count(separator) == most and b'"' not in line for line in file)


def _blank_rows(path: Path, form: CsvForm) -> list[int]:
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
    form = CsvForm.of(path)
    index = form.names.index(column)
    for line, fields in islice(_records(path, form.separator), form.has_header, None):
        if index < len(fields) and value in (fields[index], fields[index].strip()):
            return f", line {line}"
    return ""


def _separator(path: Path) -> tuple[str, list[str]]:
    """The separator, and the fields of the first record that it cuts.

    It is the one that cuts the first record into most fields. But a comma may be a decimal mark or
    stand in a heading, so another one that cuts all of the first records evenly comes before it.
    """
    first = {s: _first_records(path, s) for s in _SEPARATORS}
    width = {s: len(records[0]) if records else 0 for s, records in first.items()}
    even = [
        s
        for s, records in first.items()
        if width[s] > 1 and all(len(fields) in (0, width[s]) for fields in records)
    ]
    best = max([s for s in even if s != ","] or _SEPARATORS, key=lambda s: width[s])
    return best, [field.strip() for field in first[best][0]] if first[best] else []


def _first_records(path: Path, separator: str) -> list[list[str]]:
    """The first records, as far as they can be read; the first one must be."""
    records: list[list[str]] = []
    try:
        for _, fields in islice(_records(path, separator), _RECORDS_TO_TELL):
            records.append(fields)
    except DataError:
        if not records:
            raise
    return records
