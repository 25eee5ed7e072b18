"""What is drawn of a run: tables thinned out to what a screen shows, and then only what is new.

A cursor says up to which row of each table a page has them: "e3.i40.l96.v7.f1.m0.n0".
"""

import re
import sqlite3
from dataclasses import astuple, dataclass, fields
from itertools import groupby
from typing import Any, Self

from steepest.board.findings import parsed, ranked
from steepest.board.reading import has_table, plain
from steepest.records.layout import ADDED_LATER, RUN_TABLES

# Rows that one answer may have; more are thinned out.
MOST_ROWS, MOST_STEPS, MOST_LAYERS, MOST_TEXTS = 4000, 240, 400, 500
_TEXT = 4000
# So many rows of layers are read whole; of more, some steps.
_ALL_LAYERS = 60_000
_LETTERS = "eilvfmn"
_CURSOR = re.compile(r"\.".join(rf"{letter}(\d{{1,15}})" for letter in _LETTERS))
# By whose extremes the rows of a table are thinned out.
_EXTREMES = {"epochs": ("train_loss", "val_loss"), "intervals": ("loss",)}


@dataclass(frozen=True)
class Cursor:
    """The last row of each table that a page has."""

    epochs: int = 0
    intervals: int = 0
    layers: int = 0
    events: int = 0
    findings: int = 0
    metrics: int = 0
    net_layers: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor in a text; that of the beginning where there is none in it."""
        found = _CURSOR.fullmatch(text)
        return cls(*map(int, found.groups())) if found else cls()

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Self:
        """Where the tables end now."""
        return cls(**{one.name: _end(connection, one.name) for one in fields(cls)})

    def is_behind(self, other: "Cursor") -> bool:
        """Whether any table ends before where `other` has it: rows were taken back."""
        return any(
            mine < theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)
        )

    def __str__(self) -> str:
        return ".".join(f"{k}{n}" for k, n in zip(_LETTERS, astuple(self), strict=True))


def was_rewound(connection: sqlite3.Connection, since: Cursor, now: Cursor) -> bool:
    """Whether rows that a page has were taken back, as when a run goes on from a checkpoint."""
    if now.is_behind(since):
        return True
    asked = "SELECT count(*) FROM events WHERE rowid > ? AND kind LIKE 'resumed%'"
    return bool(connection.execute(asked, (since.events,)).fetchone()[0])


def rows_between(
    connection: sqlite3.Connection, since: Cursor, now: Cursor, most: int
) -> dict[str, Any]:
    """By table and column, what lies behind one cursor and up to another, thinned out to `most`."""
    most = max(100, min(most, MOST_ROWS))
    return {
        "epochs": thinned(connection, "epochs", since.epochs, now.epochs, most),
        "intervals": thinned(connection, "intervals", since.intervals, now.intervals, most),
        "layers": _layers(connection, "layers", since.layers, now.layers)
        or _layers(connection, "net_layers", since.net_layers, now.net_layers),
        "metrics": _metrics(connection, since.metrics, now.metrics),
        "events": _texts(connection, "events", since.events, now.events),
        "findings": _findings(connection, since.findings, now.findings),
    }


def _end(connection: sqlite3.Connection, table: str) -> int:
    if table in ADDED_LATER and not has_table(connection, table):
        return 0
    return int(connection.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0)


def thinned(
    connection: sqlite3.Connection, table: str, after: int, last: int, most: int
) -> dict[str, list[Any]]:
    """The rows; where they are too many, those with the extremes of each of many equal spans.

    SQLite takes the other columns from the row that has the extreme (sqlite.org/lang_select.html,
    "Side note: Bare columns in an aggregate query"). What is not a number is a text in a record,
    which is more than any number, so it stays visible.
    """
    names, count = list(RUN_TABLES[table]), last - after
    if count <= most:
        asked = f"SELECT rowid, * FROM {table} WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
        rows = connection.execute(asked, (after, last)).fetchall()
    else:
        by = _EXTREMES[table]
        places = [list(RUN_TABLES[table]).index(name) for name in by]
        spans = max(1, most // (2 * len(by)))
        found: dict[int, Any] = {}
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for place in places:
            for extreme in ("min", "max"):
                asked = (
                    f"SELECT rowid, *, {extreme}({columns[place]}) FROM {table} "
                    "WHERE rowid > ? AND rowid <= ? GROUP BY (rowid - ? - 1) * ? / ?"
                )
                for row in connection.execute(asked, (after, last, after, spans, count)):
                    found[row[0]] = row[:-1]
        asked = f"SELECT rowid, * FROM {table} WHERE rowid IN (?, ?)"
        found |= {row[0]: row for row in connection.execute(asked, (after + 1, last))}
        rows = [found[rowid] for rowid in sorted(found)]
    values = [[plain(value) for value in column] for column in zip(*rows, strict=True)][1:]
    return dict(zip(names, values or [[] for _ in names], strict=True))


def _layers(
    connection: sqlite3.Connection, table: str, after: int, last: int
) -> list[dict[str, Any]]:
    """Some of the measured steps, evenly spread: by quantity the numbers of the layers of each."""
    if last <= after:
        return []
    if last - after > _ALL_LAYERS:
        places = _layer_places(connection, table, after, last)
        where = " OR ".join("rowid BETWEEN ? AND ?" for _ in places)
        values = [end for place in places for end in place]
    else:
        where, values = "rowid BETWEEN ? AND ?", [after + 1, last]
    rows = connection.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY rowid", values)
    names, found = list(RUN_TABLES[table]), []
    for step, group in groupby(rows, key=lambda row: row[0]):
        columns = [[plain(value) for value in column] for column in zip(*group, strict=True)]
        one = dict(zip(names, columns, strict=True))
        if nets := one.pop("net", None):
            one["name"] = [f"net {n}: {of}" for n, of in zip(nets, one["name"], strict=True)]
        found.append({**one, "step": step})
    kept = range(len(found)) if len(found) <= MOST_STEPS else _spread(len(found))
    return [{**found[i], "name": found[i]["name"][:MOST_LAYERS]} for i in kept]


def _layer_places(
    connection: sqlite3.Connection, table: str, after: int, last: int
) -> list[tuple[int, int]]:
    """First and last row of some steps: the layers of one lie one behind the other."""
    head = connection.execute(
        f"SELECT step FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, MOST_LAYERS)
    ).fetchall()
    width = sum(step == head[0] for step in head)
    begins = [after + 1 + i * width for i in _spread(-(-(last - after) // width))]
    return [(begin, min(begin + width - 1, last)) for begin in begins]


def _spread(steps: int) -> list[int]:
    return sorted({round(i * (steps - 1) / (MOST_STEPS - 1)) for i in range(MOST_STEPS)})


def _metrics(connection: sqlite3.Connection, after: int, last: int) -> list[Any]:
    """Of the validation part, after each epoch: step, name, value."""
    if last <= after:
        return []
    asked = "SELECT * FROM metrics WHERE rowid > ? AND rowid <= ? ORDER BY rowid DESC LIMIT ?"
    rows = connection.execute(asked, (after, last, MOST_ROWS)).fetchall()
    return [[plain(value) for value in row] for row in reversed(rows)]


def _texts(connection: sqlite3.Connection, table: str, after: int, last: int) -> list[Any]:
    asked = (
        f"SELECT time, substr(kind, 1, 200), substr(text, 1, {_TEXT}) FROM {table} "
        "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
    )
    rows = connection.execute(asked, (after, last, MOST_TEXTS))
    return [[plain(value) for value in row] for row in rows]


def _findings(connection: sqlite3.Connection, after: int, last: int) -> list[Any] | None:
    """All of them, the cause first, if there are new ones: these may explain earlier ones."""
    if last <= after:
        return None if after else []
    asked = "SELECT details FROM findings WHERE rowid <= ? ORDER BY rowid LIMIT ?"
    return ranked(parsed(details) for (details,) in connection.execute(asked, (last, MOST_TEXTS)))
