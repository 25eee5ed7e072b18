"""What the records of runs and of sweeps share: values, errors, and how SQLite is set up."""

import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl

from steepest.errors import RunError

POLARS_TYPES = {int: pl.Int64, float: pl.Float64, str: pl.String}
_SQL_TYPES = {int: "INTEGER", float: "REAL", str: "TEXT"}


def typed_columns(columns: Mapping[str, type]) -> str:
    """Columns as a statement that makes a table has them."""
    return ", ".join(f"{name} {_SQL_TYPES[kind]}" for name, kind in columns.items())


def use_log(connection: sqlite3.Connection) -> None:
    """Write ahead into a log: readers never block the writer, and a kill leaves whole rows."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def to_sql(value: Any) -> Any:
    """A value as SQLite keeps it."""
    # SQLite would turn NaN into NULL, and a loss that is not a number must not look like no loss.
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def from_sql(value: Any, kind: type) -> Any:
    """A value of a column of this type, as it was before `to_sql`."""
    return math.nan if value == "NaN" and kind is float else value


@contextmanager
def sql_read_errors(where: Any) -> Iterator[None]:
    """What reading a damaged file raises, as one message."""
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RunError(f"{where} is damaged: {error}") from None
    except pl.exceptions.PolarsError as error:
        raise RunError(f"{where} is damaged: {str(error).splitlines()[0]}") from None


@contextmanager
def sql_write_errors(where: str, full: str) -> Iterator[None]:
    """What writing raises, as one message. full: what to do where the disk is full."""
    try:
        yield
    except sqlite3.Error as error:
        is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        reason = f"the disk is full; {full}" if is_full else f"{error}"
        raise RunError(f"cannot write {where}: {reason}") from None
