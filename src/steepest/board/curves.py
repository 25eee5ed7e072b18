"""The curves of many runs at once, for who compares them: of single runs and of runs of sweeps."""

from pathlib import Path
from typing import Any

from steepest.board.index import Index
from steepest.board.reading import plain, run_record, sweep_record
from steepest.board.series import Cursor, thinned
from steepest.errors import RunError

MOST_RUNS, _MOST_POINTS = 200, 400
_COLUMNS = ("epoch", "train_loss", "val_loss", "train_acc", "val_acc")

Curves = dict[str, list[Any]]


def curves_of(index: Index, ids: list[str]) -> dict[str, Curves]:
    """By id, the epochs of each run; one that cannot be read is left out.

    ids: as the table of runs has them, those of a sweep's runs after the sweep's: "SWEEP/RUN".
    """
    found: dict[str, Curves] = {}
    swept: dict[str, list[str]] = {}
    for id_ in ids[:MOST_RUNS]:
        sweep, slash, run = id_.partition("/")
        if slash:
            swept.setdefault(sweep, []).append(run)
            continue
        try:
            found[id_] = _of_run(index.run_folder(id_))
        except RunError:
            continue
    for sweep, runs in swept.items():
        for run, curves in _of_sweep(index.sweep_folder(sweep), runs).items():
            found[f"{sweep}/{run}"] = curves
    return found


def _of_run(folder: Path) -> Curves:
    with run_record(folder) as connection:
        table = thinned(connection, "epochs", 0, Cursor.of(connection).epochs, _MOST_POINTS)
    return {name: table[name] for name in _COLUMNS}


def _of_sweep(folder: Path, runs: list[str]) -> dict[str, Curves]:
    found: dict[str, Curves] = {}
    asked = f"SELECT {', '.join(_COLUMNS)} FROM epochs WHERE run = ? ORDER BY epoch LIMIT 10000"
    with sweep_record(folder) as connection:
        for run in runs:
            rows = connection.execute(asked, (run,)).fetchall()
            every = -(-max(1, len(rows)) // _MOST_POINTS)
            kept = [*rows[::every], *([rows[-1]] if rows and (len(rows) - 1) % every else [])]
            columns = zip(*kept, strict=True) if kept else [() for _ in _COLUMNS]
            values = ([plain(value) for value in column] for column in columns)
            found[run] = dict(zip(_COLUMNS, values, strict=True))
    return found
