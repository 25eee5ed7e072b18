"""The results file: one JSON line a fit, added to and never changed."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Line = dict[str, Any]
Key = tuple[str, int, str]


def key(line: Line) -> Key:
    """What a line is the result of: table, split, method."""
    return line["table"], line["split"], line["method"]


def read(path: Path, key: Callable[[Line], Key] = key) -> dict[Key, Line]:
    """The newest line of each fit. A last line that a kill cut off counts as not there."""
    if not path.exists():
        return {}
    lines: dict[Key, Line] = {}
    text = path.read_text(encoding="utf-8")
    whole, _, _ = text.rpartition("\n")
    for number, row in enumerate(whole.splitlines(), 1):
        try:
            line = json.loads(row)
            lines[key(line)] = line
        except (ValueError, KeyError, TypeError):
            raise SystemExit(f"{path}, line {number}: not a result, but {row[:60]!r}") from None
    return lines


def append(path: Path, line: Line) -> None:
    """Add a line, after removing what a kill left half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.seek(0, 2)
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        if whole < size:
            file.truncate(whole)
        file.write(json.dumps(line).encode() + b"\n")


def require_same_conditions(lines: Iterable[Line], conditions: Line, path: Path) -> None:
    """Refuse to mix results of other sizes or threads into one file.

    Raises:
        SystemExit: A line has other conditions.
    """
    for line in lines:
        for name, value in conditions.items():
            if line.get(name) != value:
                raise SystemExit(
                    f"{path} holds results with {name} {line.get(name)}, not {value}: "
                    "give the same, or another file with --results"
                )
