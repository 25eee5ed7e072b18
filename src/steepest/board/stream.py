"""What an open page of a run gets: first all, thinned out, then what is new, as it comes."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from steepest.board.index import Index
from steepest.board.reading import as_json, changed_at, facts_of, plain_tree, run_record, stamp_of
from steepest.board.series import Cursor, rows_between, was_rewound
from steepest.errors import RunError
from steepest.records.layout import RUN_RECORD

# How often a record is looked at (two calls of stat), and a page told that all is well.
_SECONDS, _SIGN_OF_LIFE = 0.2, 1.0


class RunStream:
    """What is told of one run to one page."""

    def __init__(self, index: Index, id_: str, folder: Path, since: str, most: int) -> None:
        self._index, self._id, self._folder, self._most = index, id_, folder, most
        self._cursor = Cursor.parse(since)
        self._stamp: tuple[int, ...] | None = None
        self._told = 0

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events, until the page is closed."""
        last_sign = 0.0
        while True:
            try:
                found = await run_sync(self.news)
            except RunError as error:
                yield _event("problem", {"message": str(error)}, str(self._cursor))
                found = None
            if found is not None:
                yield _event(*found, str(self._cursor))
            if time.monotonic() > last_sign + _SIGN_OF_LIFE:
                last_sign = time.monotonic()
                yield _event("state", await run_sync(self.state), str(self._cursor))
            await asyncio.sleep(_SECONDS)

    def news(self) -> tuple[str, dict[str, Any]] | None:
        """All ("snapshot") or what is new ("delta"); None where nothing was written."""
        stamp = stamp_of(self._folder / RUN_RECORD)
        if stamp == self._stamp:
            return None
        with run_record(self._folder) as connection:
            now, since = Cursor.of(connection), self._cursor
            anew = since == Cursor() or was_rewound(connection, since, now)
            # A page that has been told of many rows one by one is told anew, thinned out.
            anew = anew or self._told + now.intervals - since.intervals > 2 * self._most
            rows = rows_between(connection, Cursor() if anew else since, now, self._most)
            facts = plain_tree(facts_of(connection))
        self._told = 0 if anew else self._told + now.intervals - since.intervals
        self._cursor, self._stamp = now, stamp
        kind = "snapshot" if anew else "delta"
        return kind, {**rows, "facts": facts, "changed": changed_at(stamp), "now": time.time()}

    def state(self) -> dict[str, Any]:
        """The row of the run, and how old the newest number is, in seconds."""
        row = self._index.state(self._id)
        age = time.time() - changed_at(stamp_of(self._folder / RUN_RECORD))
        return {"row": row, "age": max(0.0, age)}


def _event(kind: str, value: Any, cursor: str) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), cursor.encode(), as_json(value))


async def versions(index: Index) -> AsyncIterator[bytes]:
    """For the page of all runs: the version of the index, whenever it is another one."""
    told, last_sign = -1, 0.0
    while True:
        version = await run_sync(partial(index.refresh))
        if version != told or time.monotonic() > last_sign + _SIGN_OF_LIFE:
            told, last_sign = version, time.monotonic()
            yield _event("version", {"version": version}, str(version))
        await asyncio.sleep(2 * _SECONDS)
