"""The record of a sweep: one SQLite file that one process writes and any number read.

Tables (layout 1): facts (key, value as JSON: what the sweep is), trials (its points), plan (which
run each seed of each trial is), runs (what came of each; a run that has no row is still to be
trained), epochs (the history of each), decisions (of a pruner, in their order). Nothing that is
there is ever changed, so a process that is killed leaves whole rows: those that were committed.
Timings have columns that no result is made of.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import polars as pl

from steepest.errors import RunError
from steepest.files import write_errors
from steepest.records.frames import POLARS_TYPES, frame_read_errors
from steepest.records.layout import (
    SWEEP_LAYOUT,
    SWEEP_RECORD,
    SWEEP_SCHEMA,
    SWEEP_TABLES,
    unlike_a_sweep,
)
from steepest.records.sqlite import (
    fold_log,
    from_sql,
    open_to_read,
    require_own_record,
    sql_read_errors,
    sql_write_errors,
    to_sql,
    use_log,
)
from steepest.run import EpochFinished

# A commit costs a write to the disk, which many runs share.
_SECONDS_BETWEEN_COMMITS = 0.05

IF_FULL = "make room and resume the sweep: what is done is kept"


@dataclass(frozen=True)
class RunRow:
    """What came of a run.

    Attributes:
        run: Its name.
        status: finished, diverged, pruned, or failed.
        cause: Why it ended, where it did not reach its end.
        epochs: Epochs that are done.
        step: Steps that are done.
        train_loss: Of the last epoch, as in its history.
        train_acc: Likewise.
        val_loss: Of the validation part at the last weights.
        val_acc: Likewise.
        test_loss: Of the test part at the last weights.
        test_acc: Likewise.
        best_epoch: That of the lowest validation loss.
        best_val_loss: That loss.
        seconds: What it took.
    """

    run: str
    status: str
    cause: str | None
    epochs: int
    step: int
    train_loss: float | None = None
    train_acc: float | None = None
    val_loss: float | None = None
    val_acc: float | None = None
    test_loss: float | None = None
    test_acc: float | None = None
    best_epoch: int | None = None
    best_val_loss: float | None = None
    seconds: float = 0.0


class Listener(Protocol):
    """Is told what a record is told, at once: for what shows a sweep while it goes on."""

    def add_trials(self, first: int, settings: Sequence[dict[str, Any]]) -> None:
        """Points of trials, which are numbered from `first` on."""
        ...

    def add_plan(self, rows: Sequence[tuple[int, int, str]]) -> None:
        """Which run each seed of each trial is: (trial, seed, run)."""
        ...

    def add_run(self, row: RunRow, history: Sequence[EpochFinished] = ()) -> None:
        """What came of a run, and its epochs."""
        ...


class SweepRecord:
    """Takes what happens in a sweep, and gives it as frames.

    Attributes:
        listener: Who is told of it, if anybody.
    """

    def __init__(self, connection: sqlite3.Connection, where: str, *, writes: bool = True) -> None:
        self._connection, self._where, self._writes = connection, where, writes
        self._committed, self._waiting, self._closed = 0.0, False, False
        self._ended: list[tuple[Any, ...]] = []
        self._epochs: list[tuple[Any, ...]] = []
        self.listener: Listener | None = None

    @classmethod
    def create(cls, folder: Path | None) -> Self:
        """A new record in a folder, or in memory."""
        if folder is None:
            record = cls(sqlite3.connect(":memory:", check_same_thread=False), "memory")
            record._make_tables()
            return record
        # Made beside its place and renamed: whoever kills it leaves no half of one.
        part = folder / f".steepest-{secrets.token_hex(8)}.part"
        with write_errors(folder / SWEEP_RECORD):
            with open(part, "xb"):
                pass
            record = cls(sqlite3.connect(part), str(part))
            record._make_tables()
            record.close()
            part.rename(folder / SWEEP_RECORD)
        return cls.open(folder, to_write=True)

    def _make_tables(self) -> None:
        with self._writing():
            self._connection.execute(f"PRAGMA user_version = {SWEEP_LAYOUT}")
            for statement in SWEEP_SCHEMA.values():
                self._connection.execute(statement)
            self._connection.commit()

    @classmethod
    def open(cls, folder: Path, *, to_write: bool = False) -> Self:
        """The record in a folder. Raises RunError if there is none, or one that is not known."""
        path = folder / SWEEP_RECORD
        if not path.exists():
            raise RunError(f"{folder} is not the folder of a sweep: it has no {SWEEP_RECORD}")
        require_own_record(path, to_write=to_write)
        connection = open_to_read(
            path, "sweep", SWEEP_LAYOUT, unlike_a_sweep, check_same_thread=False
        )
        if to_write:
            connection.close()
            with sql_read_errors(path):
                connection = sqlite3.connect(path, check_same_thread=False)
                connection.execute("PRAGMA trusted_schema = OFF")
        record = cls(connection, str(path), writes=to_write)
        if to_write:
            with record._writing():
                use_log(connection)
        return record

    # What is written.

    def put_facts(self, facts: dict[str, Any]) -> None:
        """Write what the sweep is."""
        rows = [(key, json.dumps(value)) for key, value in facts.items()]
        with self._writing():
            self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)
        self._waiting = True

    def put_trials(self, first: int, settings: Sequence[dict[str, Any]]) -> None:
        """Write the points of trials, which are numbered from `first` on."""
        self._insert("trials", ((first + i, json.dumps(one)) for i, one in enumerate(settings)))
        if self.listener is not None:
            self.listener.add_trials(first, settings)

    def put_plan(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Write which run each seed of each trial is: (trial, seed, run)."""
        rows = list(rows)
        self._insert("plan", rows)
        if self.listener is not None:
            self.listener.add_plan(rows)

    def put_run(self, row: RunRow, history: Sequence[EpochFinished]) -> None:
        """Write what came of a run; on disk within a twentieth of a second."""
        self._ended.append(_to_sql(vars(row).values()))
        self._epochs += [(row.run, *_to_sql(epoch.row())) for epoch in history]
        self._waiting = True
        if self.listener is not None:
            self.listener.add_run(row, history)
        self.commit_if_due()

    def put_decision(self, trial: int, epochs: int, value: float, decision: str) -> None:
        """Write what a pruner decided of a trial after so many epochs."""
        self._insert("decisions", [(trial, epochs, *_to_sql((value,)), decision)])

    def commit_if_due(self) -> None:
        """Put what was written on disk, unless that was done a moment ago."""
        if self._waiting and time.monotonic() > self._committed + _SECONDS_BETWEEN_COMMITS:
            self.commit()

    def commit(self) -> None:
        """Put what was written on disk."""
        self._insert_waiting()
        with self._writing():
            self._connection.commit()
        self._committed, self._waiting = time.monotonic(), False

    def fold(self) -> None:
        """Put all on disk, in one file unless somebody reads it and does not let go."""
        self.commit()
        with self._writing():
            fold_log(self._connection)

    def close(self) -> None:
        """Put all on disk, as `fold` does, and let go of it."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._writes:
                self.fold()
        finally:
            self._connection.close()

    def __del__(self) -> None:
        with suppress(RunError):
            self.close()

    def _insert_waiting(self) -> None:
        """The rows of runs: one statement for many is several times as quick."""
        ended, epochs = self._ended, self._epochs
        self._ended, self._epochs = [], []
        if ended:
            self._insert("runs", ended)
            self._insert("epochs", epochs)

    def _insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(SWEEP_TABLES[table]))
        with self._writing():
            self._connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", rows)
        self._waiting = True

    # What is read.

    def facts(self) -> dict[str, Any]:
        """What the sweep is."""
        return {key: json.loads(value) for key, value in self._rows("SELECT * FROM facts")}

    def trials(self) -> list[dict[str, Any]]:
        """The points, in the order of their numbers."""
        rows = self._rows("SELECT settings FROM trials ORDER BY trial")
        return [json.loads(settings) for (settings,) in rows]

    def runs_done(self) -> dict[str, RunRow]:
        """What came of each run, by its name."""
        rows = self._rows("SELECT * FROM runs")
        kinds = tuple(SWEEP_TABLES["runs"].values())
        return {row[0]: RunRow(*map(from_sql, row, kinds)) for row in rows}

    def run(self, name: str) -> tuple[RunRow, list[EpochFinished]]:
        """What came of a run that has ended, and its epochs."""
        ((*row,),) = self._rows("SELECT * FROM runs WHERE run = ?", (name,))
        epochs = self.history(name).drop("run").to_dicts()
        kinds = SWEEP_TABLES["runs"].values()
        return RunRow(*map(from_sql, row, kinds)), [EpochFinished(**epoch) for epoch in epochs]

    def decisions(self) -> list[tuple[int, int, float, str]]:
        """What a pruner decided, in the order of its decisions: (trial, epochs, value, what)."""
        rows = self._rows("SELECT * FROM decisions ORDER BY rowid")
        return [
            (trial, epochs, from_sql(value, float), what) for trial, epochs, value, what in rows
        ]

    def results(self) -> pl.DataFrame:
        """A row for each seed of each trial, in their order; null where a run is still missing."""
        columns = {"trial": int, "seed": int, **SWEEP_TABLES["runs"]}
        names = ", ".join(f"runs.{name}" for name in list(SWEEP_TABLES["runs"])[1:])
        return self._frame(
            f"SELECT plan.trial, plan.seed, plan.run, {names} FROM plan LEFT JOIN runs "
            "ON runs.run = plan.run ORDER BY plan.trial, plan.rowid",
            columns,
        )

    def history(self, run: str | None = None) -> pl.DataFrame:
        """The epochs of a run, or of all: run, epoch, step, train_loss, ..., seconds."""
        where, values = ("", ()) if run is None else (" WHERE run = ?", (run,))
        asked = f"SELECT * FROM epochs{where} ORDER BY run, epoch"
        return self._frame(asked, SWEEP_TABLES["epochs"], values)

    def _frame(self, asked: str, columns: dict[str, type], values: Any = ()) -> pl.DataFrame:
        by_column = list(zip(*self._rows(asked, values), strict=True)) or [()] * len(columns)
        with frame_read_errors(self._where):
            return pl.DataFrame(
                [
                    pl.Series(
                        name, [from_sql(v, kind) for v in column] if kind is float else column,
                        dtype=POLARS_TYPES[kind], strict=True,
                    )
                    for (name, kind), column in zip(columns.items(), by_column, strict=True)
                ]
            )  # fmt: skip

    def _rows(self, asked: str, values: Any = ()) -> list[Any]:
        self._insert_waiting()
        with sql_read_errors(self._where):
            return self._connection.execute(asked, values).fetchall()

    def _writing(self) -> AbstractContextManager[None]:
        return sql_write_errors(self._where, IF_FULL)


def _to_sql(row: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(to_sql, row))
