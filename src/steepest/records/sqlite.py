"""What the records of runs and of sweeps share: values, errors, and how SQLite is opened."""

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steepest.errors import RunError
from steepest.files import require_plain_file

# What a rollback journal of SQLite begins with, and ends with if it names a super-journal.
_JOURNAL = bytes.fromhex("d9d505f920a163d7")

# How long who ends waits for readers, and how often it looks, in seconds. A page of the board reads
# for milliseconds; on a machine with many times its load that is a good part of a second.
_PATIENCE, _BETWEEN_TRIES = 2.0, 0.01


def use_log(connection: sqlite3.Connection) -> None:
    """Write ahead into a log: readers never block the writer, and a kill leaves whole rows."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def fold_log(connection: sqlite3.Connection) -> None:
    """Fold the log into the one file, so that it can be moved and read from read-only disks.

    Who reads it just then is waited for, but not for ever: then the log stays beside the file.
    """
    end = time.monotonic() + _PATIENCE
    while True:  # SQLite asks no busy handler for this lock, so busy_timeout does nothing here
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() > end:
                return
        time.sleep(_BETWEEN_TRIES)


def to_sql(value: Any) -> Any:
    """A value as SQLite keeps it."""
    # SQLite would turn NaN into NULL, and a loss that is not a number must not look like no loss.
    return "NaN" if value != value else value  # as NaN alone does


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


@contextmanager
def sql_write_errors(where: str, full: str) -> Iterator[None]:
    """What writing raises, as one message. full: what to do where the disk is full."""
    try:
        yield
    except sqlite3.Error as error:
        is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        reason = f"the disk is full; {full}" if is_full else f"{error}"
        raise RunError(f"cannot write {where}: {reason}") from None


def open_to_read(
    path: Path,
    of: str,
    layout: int,
    unlike: Callable[[dict[str, str]], str | None],
    *,
    check_same_thread: bool = True,
) -> sqlite3.Connection:
    """A connection that only reads a record, looked over before anything in it is computed.

    of: "run" or "sweep". layout: the version that is read. unlike: what keeps its tables from being
    those of such a record. Raises RunError if it is not one, or of another layout.
    """
    require_own_record(path, to_write=False)
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, check_same_thread=check_same_thread)
        connection.execute("PRAGMA trusted_schema = OFF")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("SELECT count(*) FROM facts")
        schema = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql > ''"))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter by a damaged name
        raise RunError(f"{path} is not the record of a {of}: {error}") from None
    strange = unlike(schema)
    if strange is not None:
        raise RunError(f"{path} is not the record of a {of}: {strange}")
    if found != layout:
        raise RunError(
            f"{path} has layout {found}, and this version of steepest reads layout {layout}; "
            "open it with the version that wrote it"
        )
    return connection


def require_own_record(path: Path, to_write: bool) -> None:
    """Raise RunError if SQLite, which follows links and names in journals, were led elsewhere."""
    require_plain_file(path, one_name=to_write)
    for ending in ("-wal", "-shm", "-journal"):  # written in place by who only reads, too
        require_plain_file(Path(f"{path}{ending}"), one_name=True)
    journal = Path(f"{path}-journal")
    try:
        with open(journal, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(_JOURNAL)))
            end = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(f"cannot read {journal}: {error.strerror or error}") from None
    if size > len(_JOURNAL) and end == _JOURNAL:
        # SQLite would delete it (sqlite.org/fileformat2.html, "The Rollback Journal").
        raise RunError(f"{journal} names a further file, as no run of steepest does; remove it")
