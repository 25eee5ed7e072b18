"""The board as a file: one page with all its answers within it, that opens without a server.

The page is the one that is served, and asks for the same paths; they are answered from a table of
JSON within it. Its content security policy names its own script and style by their hashes, and
nothing else may be loaded or run.
"""

import base64
import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from steepest.board import run_pages, sweep_rows
from steepest.board.computed import SWEEP_SETTINGS, computed
from steepest.board.index import Index
from steepest.board.reading import as_json, facts_of, plain_tree, run_record
from steepest.board.series import Cursor, rows_between
from steepest.board.summary import DEFAULTS
from steepest.errors import RunError
from steepest.files import write_atomically, write_errors

# What a browser opens at once; rows of the tables first, then pages of runs.
MOST_BYTES, _MOST_ROWS, _MOST_SWEPT = 24 * 2**20, 50_000, 2000
_POINTS, _LAYER_STEPS, _AT_ONCE = 800, 120, 50
_MOST_WORKED_OUT = 10
_MARK = b"<!-- A page of steepest board. -->"


@dataclass
class Exported:
    """A page that was written.

    Attributes:
        path: Where.
        size: In bytes.
        runs: How many rows its table has.
        left_out: What it lacks, in words; nothing where all is in it.
    """

    path: Path
    size: int
    runs: int
    left_out: list[str]


def export_page(
    folder: Path, path: Path, *, most_bytes: int = MOST_BYTES, importance: bool = True
) -> Exported:
    """Write the board of a folder as one HTML file that needs no server, no network and no other.

    Of each run it has the page as it is now, of each sweep the table, and what is compared. What
    makes it larger than `most_bytes` is left out: pages of single runs that were written first, and
    of a sweep's runs those that are worst. The page says so.

    Args:
        folder: With runs and sweeps, at most four folders deep, or one of them.
        path: Where; a page that was written so before is replaced.
        most_bytes: Of all answers together.
        importance: Whether the importance of settings is worked out, some seconds for each sweep.

    Raises:
        RunError: There is no such folder, nothing can be written, or something else is there.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; name one that has runs or sweeps in it")
    _require_replaceable(path)
    answers = _Answers(most_bytes)
    index = Index(folder)
    found = index.changes(0)
    while found["unread"]:
        found = index.changes(0)
    swept = _sweep_tables(index, found["sweeps"], answers)
    answers.add("/api/runs", found)
    answers.add("/api/runs/stream", {"version": 0})
    varied = [one["id"] for one in found["sweeps"] if len(one.get("varies", ())) > 1]
    for sweep in varied[:_MOST_WORKED_OUT] if importance else ():
        told = computed(SWEEP_SETTINGS, index.sweep_folder(sweep))
        answers.add(f"/api/sweeps/{sweep}/settings", told)
    _run_pages(index, found, answers)
    for sweep, runs in swept.items():
        _swept_pages(index, sweep, runs, answers, share=answers.room // len(swept))
    name = index.root.name or str(index.root)
    copied = {"at": time.time(), "left_out": answers.left_out}
    about = {"folder": name, "version": version("steepest"), "defaults": DEFAULTS, "copied": copied}
    answers.add("/api/board", about)
    content = _page(name, answers.text())
    write_atomically(path, content)
    rows = len(found["runs"][0]) + sum(map(len, swept.values()))
    return Exported(path, len(content), rows, answers.left_out)


@dataclass
class _Answers:
    """Answers by path, as JSON; how much more may come; what did not fit."""

    room: int
    left_out: list[str] = field(default_factory=list)
    _parts: dict[str, bytes] = field(default_factory=dict)

    def add(self, path: str, answer: Any) -> None:
        self._parts[path] = as_json(answer)
        self.room -= len(path) + len(self._parts[path]) + 4

    def add_pages(self, pages: Iterator[dict[str, Any]], share: int, count: int, what: str) -> None:
        """Pages of runs, some answers each, while there is room."""
        limit, kept = self.room - share, 0
        for page in pages:
            before = self.room
            for path, answer in page.items():
                self.add(path, answer)
            if self.room < limit:
                for path in page:
                    del self._parts[path]
                self.room = before
                break
            kept += 1
        if kept < count:
            self.left_out.append(f"the pages of {count - kept:,} of {count:,} {what}")

    def text(self) -> bytes:
        """One JSON object that can stand in a script element: nothing in it begins a tag."""
        parts = (as_json(path) + b":" + answer for path, answer in self._parts.items())
        return (b"{" + b",".join(parts) + b"}").replace(b"<", b"\\u003c")


def _require_replaceable(path: Path) -> None:
    with write_errors(path):
        if not path.exists():
            return
        if path.is_dir():
            raise RunError(f"{path} is a folder; name a file, such as {path / 'board.html'}")
        with open(path, "rb") as file:
            known = _MARK in file.read(200)
    if not known:
        raise RunError(f"{path} exists and is no page of steepest board; choose another name")


def _sweep_tables(
    index: Index, sweeps: list[dict[str, Any]], answers: _Answers
) -> dict[str, list[str]]:
    """The tables of all sweeps; by sweep its runs, the best first."""
    swept: dict[str, list[str]] = {}
    for sweep in sweeps:
        if "problem" in sweep:
            continue
        folder = index.sweep_folder(sweep["id"])
        pages: list[dict[str, Any]] = []
        while not pages or pages[-1]["more"]:
            pages.append(sweep_rows.page(folder, pages[-1]["cursor"] if pages else 0))
        page, count = _best_rows(pages, _MOST_ROWS - sum(map(len, swept.values())))
        runs = page["columns"]["run"]
        if len(runs) < count:
            answers.left_out.append(f"{count - len(runs):,} of {count:,} runs of {sweep['name']}")
        answers.add(f"/api/sweeps/{sweep['id']}/runs", page)
        swept[sweep["id"]] = [runs[i] for i in _best_first(page)]
    return swept


def _best_rows(pages: list[dict[str, Any]], most: int) -> tuple[dict[str, Any], int]:
    """A sweep's table in one page, its best rows where there are more; and of how many."""
    names = dict.fromkeys(name for page in pages for name in page["settings"])
    whole = pages[-1] | {
        "more": False,
        "columns": {n: [v for p in pages for v in p["columns"][n]] for n in sweep_rows.COLUMNS},
        "settings": {
            n: [v for p in pages for v in p["settings"].get(n, [None] * len(p["nets"]))]
            for n in names
        },
        "nets": [net for page in pages for net in page["nets"]],
    }
    count = len(whole["nets"])
    if count > most:
        kept = sorted(_best_first(whole)[: max(0, most)])
        whole["nets"] = [whole["nets"][i] for i in kept]
        for part in ("columns", "settings"):
            whole[part] = {name: [values[i] for i in kept] for name, values in whole[part].items()}
    return whole, count


def _best_first(table: dict[str, Any]) -> list[int]:
    losses = table["columns"]["val_loss"]
    known = [loss if isinstance(loss, (int, float)) else math.inf for loss in losses]
    return sorted(range(len(known)), key=known.__getitem__)


def _run_pages(index: Index, found: dict[str, Any], answers: _Answers) -> None:
    """The pages of single runs, the latest first; where there are sweeps, in half of the room."""
    table = dict(zip(found["columns"], found["runs"], strict=True))
    ids = [id_ for _, id_ in sorted(zip(table["changed"], table["id"], strict=True), reverse=True)]

    def pages() -> Iterator[dict[str, Any]]:
        for id_ in ids:
            try:
                folder = index.run_folder(id_)
                about = run_pages.about(folder, index.state(id_))
                yield {f"/api/runs/{id_}": about, f"/api/runs/{id_}/stream": _snapshot(folder)}
            except RunError:  # damaged: its row says so
                yield {}

    share = answers.room // (2 if found["sweeps"] else 1)
    answers.add_pages(pages(), share, len(ids), "runs, those written first")


def _snapshot(folder: Path) -> dict[str, Any]:
    """What an open page of the run is told at once, with fewer points."""
    with run_record(folder) as connection:
        rows = rows_between(connection, Cursor(), Cursor.of(connection), _POINTS)
        layers = rows["layers"]
        every = -(-len(layers) // _LAYER_STEPS) or 1
        return {**rows, "layers": layers[::every], "facts": plain_tree(facts_of(connection))}


def _swept_pages(index: Index, sweep: str, runs: list[str], answers: _Answers, share: int) -> None:
    """The pages of a sweep's runs, which have their curves too, the best first."""
    folder = index.sweep_folder(sweep)

    def pages() -> Iterator[dict[str, Any]]:
        for first in range(0, len(runs[:_MOST_SWEPT]), _AT_ONCE):
            for found in sweep_rows.some_runs(folder, runs[first : first + _AT_ONCE]):
                every = -(-len(found["epochs"]["epoch"]) // _POINTS) or 1
                found["epochs"] = {name: _some(v, every) for name, v in found["epochs"].items()}
                yield {f"/api/sweeps/{sweep}/runs/{found['run']}": found}

    answers.add_pages(pages(), share, len(runs), f"runs of {index.sweep_name(sweep)}, the worst")


def _some(values: list[Any], every: int) -> list[Any]:
    """Each n-th value, and the last."""
    return values[::every] + (values[-1:] if values and (len(values) - 1) % every else [])


def _page(name: str, answers: bytes) -> bytes:
    """The page that is served, in one file."""
    static = files("steepest.board").joinpath("static")
    script, style, icon = (
        static.joinpath(one).read_bytes() for one in ("app.js", "app.css", "favicon.svg")
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    title = escape(f"{name} · steepest").encode(errors="backslashreplace")
    return b"".join(
        (
            b'<!doctype html>\n%s\n<html lang="en"><head><meta charset="utf-8">\n' % _MARK,
            b'<meta http-equiv="Content-Security-Policy" content="%s">\n' % policy.encode(),
            b'<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            b'<meta name="color-scheme" content="light dark">\n<title>%s</title>\n' % title,
            b'<link rel="icon" href="data:image/svg+xml;base64,%s">\n' % base64.b64encode(icon),
            b"<style>%s</style></head>\n" % style,
            b'<body><div id="app"></div>\n',
            b"<noscript>This page draws runs with JavaScript, which is off.</noscript>\n",
            b'<script type="application/json" id="answers">%s</script>\n' % answers,
            b'<script type="module">%s</script></body></html>\n' % script,
        )
    )


def _hash(content: bytes) -> str:
    """What a content security policy calls a script or a style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
