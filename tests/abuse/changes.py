"""Changes that know what they change, for fuzz.py: a change of bytes seldom leaves a file valid.

Each takes the folder of files and a generator, and edits them in place: recipes whose keys have
dots, nets and records whose values are odd, run folders in which a file is something else.
"""

import copy
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 255, 10**4, 2**31, 2**63 - 1, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, 1e-300, 1e300, float("inf"), float("nan"), "", "x", "None", "0", "1e309"),
    *([], [0], [-1, 3], [10**9] * 4, [[1]], {}, {"type": "Linear"}, "same", "zeros", "é\u2028\x00"),
)
_SQL = ("NULL", "-1", "0", "9223372036854775807", "1e300", "9e999", "'NaN'", "''", "x'ff00'",
        "'{}'", "'[1]'", "'null'", "'\"x\"'", "'true'", "zeroblob(100000)", "'2026-01-01'")  # fmt: skip
_WORDS = ("lr", "epochs", "hidden", "data", "class_weight", "groups", "a", "''", '"a.b"', "é", "-", "0",
          "optimizer", "betas", "schedule", "validation", "table")  # fmt: skip
_VALUES = ("1", "-1", "0.1", "1e309", "nan", "inf", '"sgd"', "[]", "[1, 2]", "[[1], 'a']", "{}", "{a = 1}",
           "{a.b.c = 1}", "true", "1979-05-27", "07:32:00", "0x7fffffffffffffff", "9" * 4_400, "'''a\n'''",
           "1_000", "[" * 300 + "]" * 300, "{a = " * 150 + "1" + "}" * 150, '"\\u0000"')  # fmt: skip


def chosen(rng: np.random.Generator, of: Any) -> Any:
    return of[int(rng.integers(0, len(of)))]


def recipe(folder: Path, rng: np.random.Generator) -> None:
    """A recipe of dotted keys and tables, behind or in place of the valid one."""
    path = folder / "recipe.toml"
    lines = path.read_text().splitlines() if rng.random() < 0.5 else []
    for _ in range(rng.integers(1, 12)):
        parts = int(rng.integers(1, 5)) if rng.random() < 0.9 else int(rng.integers(50, 5_000))
        dot = chosen(rng, (".", " . ", "..", ".\t"))
        key = dot.join(chosen(rng, _WORDS) for _ in range(parts))
        line = chosen(rng, (f"{key} = {chosen(rng, _VALUES)}", f"[{key}]", f"[[{key}]]"))
        lines.insert(int(rng.integers(0, len(lines) + 1)), line)
    if rng.random() < 0.1:
        lines += [f"k{i}.x = {i}" for i in range(int(rng.integers(1, 20_000)))]
    path.write_text("\n".join(lines))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a value that JSON can hold."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def described(pattern: str) -> Callable[[Path, np.random.Generator], None]:
    """Changes of what a JSON file says of a net or a run: values, keys and parts."""

    def change(folder: Path, rng: np.random.Generator) -> None:
        path = chosen(rng, sorted(folder.glob(pattern)))
        content = json.loads(path.read_text())
        for _ in range(rng.integers(1, 4)):
            places = list(_places(content))
            if places:
                _change_place(*chosen(rng, places), chosen(rng, places), rng)
        path.write_text(json.dumps(content))

    return change


def _change_place(inside: Any, key: Any, other: tuple[Any, Any], rng: np.random.Generator) -> None:
    match int(rng.integers(0, 6)):
        case 0 | 1 | 2:
            inside[key] = copy.deepcopy(chosen(rng, ODD))
        case 3:
            del inside[key]
        case 4:  # a part of the file at a place that is not its own
            with suppress(KeyError, IndexError):
                inside[key] = json.loads(json.dumps(other[0][other[1]]))
        case 5 if isinstance(inside, dict):
            name = chosen(rng, ("x", "", "0", "-1", "weight.data", str(key) * 50))
            inside[name] = copy.deepcopy(chosen(rng, ODD))


def record(folder: Path, rng: np.random.Generator) -> None:
    """Columns of the record with other values, in all rows or one; rows less or twice."""
    with closing(sqlite3.connect(folder / "run" / "record.sqlite")) as connection:
        for _ in range(rng.integers(1, 4)):
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            table = chosen(rng, [name for (name,) in tables])
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            where = chosen(rng, ("", " WHERE rowid = 1", " WHERE rowid % 2"))
            value = chosen(rng, (*_SQL, chosen(rng, columns)))
            statement = chosen(rng, (
                *(f"UPDATE {table} SET {chosen(rng, columns)} = {value}{where}",) * 6,
                f"DELETE FROM {table}{where}",
                f"INSERT INTO {table} SELECT * FROM {table}",
                f"ALTER TABLE {table} DROP COLUMN {chosen(rng, columns)}",
                f"ALTER TABLE {table} RENAME TO other",
                f"CREATE TRIGGER t AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END",
            ))  # fmt: skip
            with suppress(sqlite3.Error):  # a key that would stand twice
                connection.execute(statement)
        connection.commit()


def something_else(folder: Path, rng: np.random.Generator) -> None:
    """A file or folder of the run becomes a link, a pipe or a folder."""
    run, elsewhere = folder / "run", folder / "elsewhere"
    names = [str(path.relative_to(run)) for path in run.rglob("*")]
    names += [
        "record.sqlite-wal",
        "record.sqlite-shm",
        "record.sqlite-journal",
        "lock",
        "report.html",
    ]
    names += [f"{place}.steepest-{'0' * 16}.part" for place in ("", "checkpoints/")]
    place = run / chosen(rng, sorted(names))
    others = [elsewhere, *sorted(elsewhere.rglob("*"))]
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    with suppress(OSError):
        match int(rng.integers(0, 6)):
            case 0 | 1:
                place.symlink_to(chosen(rng, others))
            case 2:
                place.symlink_to(
                    chosen(rng, (place, folder / "absent", Path("/dev/zero"), Path(".")))
                )
            case 3:
                os.link(chosen(rng, [path for path in others if path.is_file()]), place)
            case 4:
                os.mkfifo(place)
            case 5:
                shutil.copytree(elsewhere, place)
