"""What lies in the folder: runs and sweeps by an id, and what of them has changed since when.

A page names a run by its id alone, which is looked up here: no path ever comes from a page.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest.board.locks import is_locked, locked_files
from steepest.board.reading import changed_at, stamp_of, sweep_record
from steepest.board.summary import COLUMNS, summary
from steepest.board.sweep_rows import about
from steepest.errors import RunError
from steepest.records.layout import BEST_RUNS, LAYOUT_FILE, LOCK_FILE, RUN_RECORD, SWEEP_RECORD

# How deep runs may lie, and how many folders are looked into.
_DEEPEST, _MOST_FOLDERS = 4, 400_000
# A look at the whole folder takes at most a twentieth of the time; what goes on is looked at often.
_SHARE, _SECONDS, _LIVE_SECONDS = 20.0, 1.0, 0.2
_PASSED_OVER = {"node_modules", "__pycache__", "checkpoints", "build", "dist", "site"}
_ENDED = {"finished", "interrupted", "diverged", "damaged"}
# Rows read in one go, before a page gets them.
_AT_ONCE = 0.15


@dataclass
class Found:
    """A run or a sweep in the folder. version: of the last change. row: None until it was read."""

    id: str
    path: Path
    name: str
    stamp: tuple[int, ...] = ()
    version: int = 0
    row: dict[str, Any] | None = None
    read_at: float = field(default=0.0)


class Index:
    """Looks through the folder when it is asked, no more often than that is worth."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.version = 0
        self._lock = threading.Lock()
        self._runs: dict[str, Found] = {}
        self._sweeps: dict[str, Found] = {}
        self._gone: list[tuple[int, str]] = []
        self._next_scan, self._next_look = 0.0, 0.0
        self._unread: list[Found] = []

    def run_folder(self, id_: str) -> Path:
        """Where a run lies. Raises RunError for an id that is not of this folder."""
        return self._folder(lambda: self._runs, id_, "run")

    def sweep_folder(self, id_: str) -> Path:
        """Where a sweep lies. Raises RunError for an id that is not of this folder."""
        return self._folder(lambda: self._sweeps, id_, "sweep")

    def run_name(self, id_: str) -> str:
        """What a run is called: its place in the folder."""
        return self._runs[id_].name

    def sweep_name(self, id_: str) -> str:
        """Likewise of a sweep."""
        return self._sweeps[id_].name

    def state(self, id_: str) -> dict[str, Any]:
        """The row of a run as it is now."""
        with self._lock:
            found = self._runs[id_]
            self._read(found, locked_files())
            assert found.row is not None
            return found.row

    def changes(self, since: int) -> dict[str, Any]:
        """Runs by column and sweeps that are new or changed since a version, and those gone."""
        with self._lock:
            self._look()
            if not 0 <= since <= self.version:
                since = 0  # a page of a server that was started anew
            runs = [one for one in self._runs.values() if one.version > since and one.row]
            sweeps = [one for one in self._sweeps.values() if one.version > since and one.row]
            return {
                "version": self.version,
                "columns": COLUMNS,
                "runs": [[one.row[name] for one in runs if one.row] for name in COLUMNS],
                "sweeps": [one.row for one in sweeps],
                "gone": [id_ for version, id_ in self._gone if version > since],
                "unread": len(self._unread),
                "all": since == 0,
            }

    def refresh(self) -> int:
        """Look whether anything has changed; the version."""
        with self._lock:
            self._look()
            return self.version

    def _folder(self, where: Callable[[], dict[str, Found]], id_: str, what: str) -> Path:
        found = where().get(id_)
        if found is None:
            with self._lock:
                self._next_scan = 0.0
                self._look()
            found = where().get(id_)  # of a new dictionary
        if found is None:
            raise RunError(f"there is no {what} of this id in the folder of the board")
        # A folder on the way may have been replaced by a link since.
        if found.path.resolve() != found.path:
            raise RunError(f"{found.name} leads out of the folder of the board")
        return found.path

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_scan:
            self._scan()
            took = time.monotonic() - now
            self._next_scan = now + max(_SECONDS, _SHARE * took)
        if self._unread:
            self._read_on()
        elif now >= self._next_look:
            self._look_at_live()
            took = time.monotonic() - now
            self._next_look = now + max(_LIVE_SECONDS, _SHARE / 4 * took)

    def _scan(self) -> None:
        runs: dict[str, Found] = {}
        sweeps: dict[str, Found] = {}
        beyond = len(str(self.root).rstrip(os.sep)) + 1
        for path, is_sweep in _folders(self.root):
            name = str(path)[beyond:] or path.name
            id_ = run_id(name)
            known = (self._sweeps if is_sweep else self._runs).get(id_)
            shown = os.fsencode(name).decode("utf-8", "replace")
            (sweeps if is_sweep else runs)[id_] = known or Found(id_, path, shown)
        for old, new in ((self._runs, runs), (self._sweeps, sweeps)):
            for id_ in old.keys() - new.keys():
                self.version += 1
                self._gone = [*self._gone[-10_000:], (self.version, id_)]
        self._runs, self._sweeps = runs, sweeps
        for sweep in sweeps.values():
            self._read_sweep(sweep)
        stamps = {run.id: stamp_of(run.path / RUN_RECORD) for run in runs.values()}
        self._unread = [run for run in runs.values() if stamps[run.id] != run.stamp]
        # The latest first: it is what is looked for.
        self._unread.sort(key=lambda run: changed_at(stamps[run.id]))

    def _read_on(self) -> None:
        held, end = locked_files(), time.monotonic() + _AT_ONCE
        while self._unread and time.monotonic() < end:
            self._read(self._unread.pop(), held)

    def _look_at_live(self) -> None:
        held = locked_files()
        for run in self._runs.values():
            if run.row is None or run.row["state"] not in _ENDED:
                self._read(run, held)
        for sweep in self._sweeps.values():
            self._read_sweep(sweep)

    def _read(self, run: Found, held: set[int] | None) -> None:
        stamp = stamp_of(run.path / RUN_RECORD)
        # A run whose process died changes its state although nothing is written any more.
        settled = run.row is not None and run.row["state"] in {*_ENDED, "stopped"}
        if stamp == run.stamp and (settled or time.monotonic() < run.read_at + 1.0):
            return
        row = summary(run.path, stamp, is_locked(run.path / LOCK_FILE, held))
        row |= {"id": run.id, "name": run.name}
        run.stamp, run.read_at = stamp, time.monotonic()
        if row != run.row:
            self.version += 1
            run.row, run.version = row, self.version

    def _read_sweep(self, sweep: Found) -> None:
        stamp = stamp_of(sweep.path / SWEEP_RECORD)
        if stamp == sweep.stamp:
            return
        try:
            row = about(sweep.path)
        except (RunError, ValueError, TypeError, AttributeError) as error:
            row = {"problem": str(error)[:500]}
        sweep.stamp = stamp
        self.version += 1
        sweep.row = {"id": sweep.id, "name": sweep.name, "changed": changed_at(stamp), **row}
        sweep.version = self.version


def run_id(name: str) -> str:
    """The id of a run or a sweep. name: its place in the folder."""
    return hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()


def is_shown(parts: Sequence[str]) -> bool:
    """Whether a run at this place in the folder is found. parts: the folders on the way, and it."""
    return len(parts) <= _DEEPEST and not any(
        part in _PASSED_OVER or part.startswith(".") for part in parts
    )


def _folders(root: Path) -> Iterator[tuple[Path, bool]]:
    """Folders of runs and of sweeps, and whether each is a sweep's; no link is followed."""
    waiting, looked = [(root, 0)], 0
    while waiting and looked < _MOST_FOLDERS:
        folder, depth = waiting.pop()
        looked += 1
        try:
            with os.scandir(folder) as entries:
                files, below = set(), []
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.add(entry.name)
        except OSError:
            continue
        if LAYOUT_FILE in files:
            yield folder, False
            continue
        if SWEEP_RECORD in files:
            yield folder, True
            continue  # runs that it keeps are rows of the sweep
        if depth < _DEEPEST:
            waiting += [
                (folder / name, depth + 1)
                for name in below
                if name not in _PASSED_OVER and not name.startswith(".")
            ]


def kept_run(sweep: Path, run: str) -> Path | None:
    """The folder of a run that a sweep keeps, where its record has a run of this name."""
    with sweep_record(sweep) as connection:
        known = connection.execute("SELECT run FROM plan WHERE run = ?", (run,)).fetchone()
    if known is None or not run.isalnum():
        return None
    folder = sweep / BEST_RUNS / run
    try:
        within = folder.resolve() == folder
    except OSError:
        return None
    return folder if within and (folder / LAYOUT_FILE).is_file() else None
