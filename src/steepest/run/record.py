"""The record of a run: one SQLite file with its metrics, layer statistics and events.

Tables (layout 1): facts (key, value as JSON; what `Run.info` gives), epochs, intervals, layers,
events, findings. Readers never block the writer (write-ahead log); a closed record is one plain
file that can be copied.
"""

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import polars as pl

from steepest.errors import RunError
from steepest.files import write_errors
from steepest.records.frames import POLARS_TYPES, frame_read_errors
from steepest.records.layout import (
    ADDED_LATER,
    RUN_LAYOUT,
    RUN_SCHEMA,
    RUN_TABLES,
    unlike_a_run,
)
from steepest.records.sqlite import (
    fold_log,
    from_sql,
    open_to_read,
    require_own_record,
    sql_write_errors,
    to_sql,
    use_log,
)
from steepest.run.contents import AT_START, require_info, require_values
from steepest.run.events import (
    EpochFinished,
    Event,
    FindingMade,
    IntervalFinished,
    RunStarted,
    RunStopped,
)

_SECONDS_BETWEEN_COMMITS = 0.25
_IF_FULL = "make room or choose another folder"


class Record:
    """Takes events in and gives data frames out. Itself an observer: `record(event)`."""

    def __init__(self, connection: sqlite3.Connection, where: str, *, writes: bool) -> None:
        self._connection = connection
        self._where = where
        self._writes = writes
        self._closed = False
        self._committed = -math.inf

    @classmethod
    def create(cls, path: Path | None) -> "Record":
        """A new record in a file, or in memory if there is no path."""
        if path is not None:
            _begin_file(path)
        connection = sqlite3.connect(path or ":memory:", check_same_thread=False)
        record = cls(connection, str(path or "memory"), writes=True)
        with sql_write_errors(record._where, _IF_FULL):
            use_log(connection)
            connection.execute(f"PRAGMA user_version = {RUN_LAYOUT}")
            for statement in RUN_SCHEMA.values():
                connection.execute(statement)
            connection.commit()
        return record

    @classmethod
    def open(cls, path: Path) -> "Record":
        """The record in a file, to read. Raises RunError if it is not one, or of a later layout."""
        connection = open_to_read(path, "run", RUN_LAYOUT, unlike_a_run)
        return cls(connection, str(path), writes=False)

    @classmethod
    def reopen(cls, path: Path) -> "Record":
        """The record in a file, to be written further. Raises RunError as `open` does."""
        require_own_record(path, to_write=True)
        _roll_back(path)
        cls.open(path).close()
        record = cls(sqlite3.connect(path, check_same_thread=False), str(path), writes=True)
        with sql_write_errors(record._where, _IF_FULL):
            use_log(record._connection)
            for table in ADDED_LATER:
                record._connection.execute(
                    RUN_SCHEMA[table].replace("TABLE", "TABLE IF NOT EXISTS", 1)
                )
        return record

    def __call__(self, event: Event) -> None:
        """Write down what happened; on disk within a quarter of a second, or at `fold`."""
        with self._writing():
            match event:
                case RunStarted():
                    for key in ("engine", "reason") if event.step else AT_START:
                        self._set(key, getattr(event, key))
                    for line in () if event.step else event.summary:
                        self._insert("events", (time.time(), "note", line))
                    kind = f"resumed at step {event.step}" if event.step else "started"
                    self._insert("events", (time.time(), kind, event.reason))
                case IntervalFinished(stats=stats):
                    row = (event.epoch, event.batch, event.step, event.lr, stats.rows)
                    self._insert("intervals", (*row, stats.loss, stats.accuracy))
                    for layer in stats.layers:
                        self._insert("layers", (event.step, *astuple(layer)))
                    for net, layers in event.net_layers:
                        for layer in layers:
                            self._insert("net_layers", (event.step, net, *astuple(layer)))
                case EpochFinished():
                    self._insert("epochs", event.row())
                    for name, value in event.metrics.items():
                        self._insert("metrics", (event.step, name, value))
                case FindingMade():
                    details = json.dumps(event.details)
                    self._insert("findings", (event.step, event.code, event.severity, details))
                case RunStopped():
                    self._set("status", event.status)
                    self._set("seconds", event.seconds)
                    self._set("scores", {name: asdict(s) for name, s in event.scores.items()})
                    self._insert("events", (time.time(), event.status, event.reason))
            # How it ended is on disk once the run was saved: see `fold`.
            if isinstance(event, RunStopped):
                return
            if time.monotonic() > self._committed + _SECONDS_BETWEEN_COMMITS:
                self._connection.commit()
                self._committed = time.monotonic()

    def commit(self) -> None:
        """Put on disk all that was written, so that not even a power cut takes it back."""
        with self._writing():
            self._connection.commit()
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def rewind(self, epoch_begin: int, interval_begin: int) -> None:
        """Take back what was written of an epoch and an interval that are to be gone on with.

        And that the run ended too early, which is judged anew at its end.
        epoch_begin, interval_begin: the steps that were done before them.
        """
        with self._writing():
            for table in ("epochs", "metrics"):
                self._connection.execute(f"DELETE FROM {table} WHERE step > ?", (epoch_begin,))
            for table in ("intervals", "layers", "net_layers", "findings"):
                self._connection.execute(f"DELETE FROM {table} WHERE step > ?", (interval_begin,))
            self._connection.execute("DELETE FROM findings WHERE code = 'STOPPED_TOO_EARLY'")
            self._connection.execute(
                "DELETE FROM facts WHERE key IN ('status', 'seconds', 'scores')"
            )
            self._connection.commit()

    def info(self) -> dict[str, Any]:
        """What is known of the run as a whole: engine, reason, status, seconds, losses at start."""
        with self._reading():
            rows = self._connection.execute("SELECT key, value FROM facts ORDER BY rowid")
            facts = {key: json.loads(value) for key, value in rows}
        require_info(facts, self._where)
        return facts

    def table(self, name: str) -> pl.DataFrame:
        """One table as a data frame, in the order of writing."""
        columns = RUN_TABLES[name]
        schema = {column: POLARS_TYPES[kind] for column, kind in columns.items()}
        with self._reading():
            if name in ADDED_LATER and not self._has(name):
                return pl.DataFrame(schema=schema)
            # By place: the tables are as `unlike_a_run` knows them.
            rows = self._connection.execute(f"SELECT * FROM {name} ORDER BY rowid")
            kinds = tuple(columns.values())
            values = [[from_sql(*cell) for cell in zip(row, kinds, strict=True)] for row in rows]
            frame = pl.DataFrame(values, schema=schema, orient="row", strict=True)
        require_values(frame, f"{self._where} is damaged: {name}")
        return frame

    def history(self) -> pl.DataFrame:
        """The epochs, and as a column `val_NAME` what else was measured after each."""
        epochs, metrics = self.table("epochs"), self.table("metrics")
        for name in metrics["name"].unique(maintain_order=True):
            values = dict(metrics.filter(pl.col("name") == name).select("step", "value").rows())
            column = [values.get(step) for step in epochs["step"]]
            epochs = epochs.with_columns(pl.Series(f"val_{name}", column, pl.Float64))
        return epochs

    def _has(self, table: str) -> bool:
        asked = "SELECT count(*) FROM sqlite_schema WHERE name = ?"
        return bool(self._connection.execute(asked, (table,)).fetchone()[0])

    def copy_to(self, path: Path) -> None:
        """Write the record as it is now into a new file of its own.

        Row by row: SQLite's backup waits for ever for a write of this connection that a full disk
        keeps from being committed, and such rows are what is to be rescued.
        """
        copy = Record.create(path)
        with sql_write_errors(copy._where, _IF_FULL):
            for table in filter(self._has, ("facts", *RUN_TABLES)):
                for row in self._connection.execute(f"SELECT * FROM {table} ORDER BY rowid"):
                    places = ", ".join("?" * len(row))
                    copy._connection.execute(f"INSERT INTO {table} VALUES ({places})", row)
        copy.close()

    def rows(self) -> dict[str, list[Any]]:
        """All rows by table, as `of_rows` takes them."""
        with self._reading():
            return {
                table: [list(row) for row in self._connection.execute(f"SELECT * FROM {table}")]
                for table in filter(self._has, ("facts", *RUN_TABLES))
            }

    @classmethod
    def of_rows(cls, tables: Mapping[str, list[Any]]) -> "Record":
        """A record in memory of another record's `rows()`."""
        record = cls.create(None)
        for table, rows in tables.items():
            for row in rows:
                places = ", ".join("?" * len(row))
                record._connection.execute(f"INSERT INTO {table} VALUES ({places})", row)
        record.commit()
        return record

    def fold(self) -> None:
        """Put all on disk, in one file unless somebody reads it and does not let go."""
        self.commit()
        with sql_write_errors(self._where, _IF_FULL):
            fold_log(self._connection)

    def close(self, *, fold: bool = True) -> None:
        """Let go of the file; nothing can be read or written afterwards. Twice does no harm.

        Args:
            fold: Whether to put on disk what was written; False leaves the file as it is, for
                instance on a disk that is full.

        Raises:
            RunError: What was written cannot be put on disk; the file is let go of nevertheless.
        """
        if self._closed:
            return
        try:
            if self._writes and fold:
                self.fold()
        finally:
            self._closed = True
            self._connection.close()

    def _writing(self) -> AbstractContextManager[None]:
        self._require_open()
        return sql_write_errors(self._where, _IF_FULL)

    def _reading(self) -> AbstractContextManager[None]:
        self._require_open()
        return frame_read_errors(self._where)

    def _require_open(self) -> None:
        if self._closed:
            raise RunError(f"the record {self._where} is closed; open the run again")

    def __del__(self) -> None:
        # Whichever thread collects it; a connection of another one closes itself.
        with suppress(sqlite3.ProgrammingError):
            self.close(fold=False)

    def _set(self, key: str, value: Any) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value))
        )

    def _insert(self, table: str, row: Iterable[Any]) -> None:
        values = [to_sql(value) for value in row]
        places = ", ".join("?" * len(values))
        self._connection.execute(f"INSERT INTO {table} VALUES ({places})", values)


def _begin_file(path: Path) -> None:
    """An empty file where nothing is, not even a link. Raises RunError if it cannot be made."""
    with write_errors(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def _roll_back(path: Path) -> None:
    """Take back what a kill left half done in a rollback journal: who only reads cannot."""
    if Path(f"{path}-journal").exists():
        with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.Error):
            connection.execute("PRAGMA user_version").fetchone()
