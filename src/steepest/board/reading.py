"""Records as the board reads them: opened for a moment, looked over, bounded, closed again.

A connection that stayed open would keep a training that ends from folding its log into one file.
"""

import json
import math
import os
import re
import sqlite3
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from steepest.errors import RunError
from steepest.files import require_plain_file
from steepest.recipe import Recipe
from steepest.records.layout import (
    LAYOUT_FILE,
    RECIPE_FILE,
    RUN_LAYOUT,
    RUN_RECORD,
    SWEEP_LAYOUT,
    SWEEP_RECORD,
    unlike_a_run,
    unlike_a_sweep,
)
from steepest.records.sqlite import open_to_read, sql_read_errors

# Of a stranger's record: the longest value, and how long one reading may compute.
_MOST_BYTES, _SECONDS = 2**20, 5.0
_STEPS_BETWEEN_LOOKS = 20_000
_MOST_RECIPE = 2**18

# What a recipe's text says of each setting that has its default -> what that is.
_BEFORE_A_KEY = re.compile(r"^(?=[a-z]\w* = )", re.MULTILINE)
_DEFAULTS = {part: tomllib.loads(part) for part in _BEFORE_A_KEY.split(Recipe().to_toml()) if part}


@contextmanager
def run_record(folder: Path) -> Iterator[sqlite3.Connection]:
    """The record of the run in a folder. Raises RunError where there is none that can be read."""
    require_plain_file(folder / LAYOUT_FILE)
    connection = open_to_read(folder / RUN_RECORD, "run", RUN_LAYOUT, unlike_a_run)
    with _bounded(connection, folder / RUN_RECORD):
        yield connection


@contextmanager
def sweep_record(folder: Path) -> Iterator[sqlite3.Connection]:
    """The same for a sweep."""
    connection = open_to_read(folder / SWEEP_RECORD, "sweep", SWEEP_LAYOUT, unlike_a_sweep)
    with _bounded(connection, folder / SWEEP_RECORD):
        yield connection


@contextmanager
def _bounded(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    with closing(connection), sql_read_errors(path):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
        end = time.monotonic() + _SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
        connection.execute("BEGIN")  # one state of the record, whatever is written meanwhile
        try:
            yield
        except (LookupError, AttributeError) as error:  # by values that no run writes
            raise RunError(f"{path} is damaged: {error}") from None


def facts_of(connection: sqlite3.Connection) -> dict[str, Any]:
    """What is known of a run or a sweep as a whole."""
    return {key: json.loads(value) for key, value in connection.execute("SELECT * FROM facts")}


def has_table(connection: sqlite3.Connection, table: str) -> bool:
    """Whether this record is of a time that has it."""
    asked = "SELECT count(*) FROM sqlite_schema WHERE name = ?"
    return bool(connection.execute(asked, (table,)).fetchone()[0])


def read_recipe(folder: Path) -> dict[str, Any]:
    """The settings of a run as its file has them; {} where they cannot be read."""
    path = folder / RECIPE_FILE
    try:
        require_plain_file(path)
        with open(path, "rb") as file:
            return parse_recipe(file.read(_MOST_RECIPE + 1))
    except (OSError, RunError):
        return {}


def parse_recipe(text: bytes) -> dict[str, Any]:
    """Settings from TOML; {} where it is none."""
    if len(text) > _MOST_RECIPE:
        return {}
    try:
        # Most lines of a recipe say the default, and parsing them is half of reading a run.
        settings: dict[str, Any] = {}
        others = []
        for part in _BEFORE_A_KEY.split(text.decode()):
            if part in _DEFAULTS:
                settings |= _DEFAULTS[part]
            else:
                others.append(part)
        return settings | tomllib.loads("".join(others))
    except (ValueError, RecursionError):
        return {}


def stamp_of(record: Path) -> tuple[int, ...]:
    """What changes whenever something is written: time and size of the record and of its log."""
    stamp: list[int] = []
    for path in (f"{record}-wal", record):
        try:
            found = os.lstat(path)
        except OSError:
            stamp += (0, 0)
        else:
            stamp += (found.st_mtime_ns, found.st_size)
    return tuple(stamp)


def changed_at(stamp: tuple[int, ...]) -> float:
    """When something was written last, in seconds since the epoch."""
    return max(stamp[0], stamp[2]) / 1e9


def plain(value: Any) -> Any:
    """A value of a record for JSON, which has neither NaN nor infinity: those are words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def as_json(value: Any) -> bytes:
    """JSON without spaces. Raises ValueError for NaN, which `plain` makes a word."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=str).encode()


def plain_tree(value: Any) -> Any:
    """`plain` for all that a value holds."""
    match value:
        case dict():
            return {str(key): plain_tree(one) for key, one in value.items()}
        case list() | tuple():
            return [plain_tree(one) for one in value]
    return plain(value)
