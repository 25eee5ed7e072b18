"""Where a run that a page begins may lie, and which data it may be trained on."""

import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from steepest.board.index import is_shown
from steepest.board.trainings.form import named_by
from steepest.errors import DataError, Mistake, RunError
from steepest.files import write_errors
from steepest.records.layout import LAYOUT_FILE, SWEEP_RECORD

_LONGEST = 200


def new_run(root: Path, name: str, data: str) -> Path:
    """The folder of a new run below the board's, which may be made.

    Args:
        root: The board's folder.
        name: What the run is to be called, its place in the folder; "" for one by data and time.
        data: What it is trained on.

    Raises:
        RunError: It would lie elsewhere, or where the board shows none, or something is there.
    """
    name = name or _usual_name(root, data)
    place = PurePosixPath(name)
    if wrong := _wrong_with(place, name):
        raise RunError(f"the run cannot be called {name[:_LONGEST]!r}: {wrong}", settings=("out",))
    with write_errors(root / name):
        return _free_place(root, place)


def _free_place(root: Path, place: PurePosixPath) -> Path:
    """The folder, in which nothing is, and which no link and no run lies before."""
    folder = root
    for part in ("", *place.parts):
        folder = folder / part
        if folder.is_symlink():
            raise RunError(
                f"{part!r} is a link, and a run must lie in the folder of the board: choose "
                "another name",
                settings=("out",),
            )
        if any((folder / file).exists() for file in (LAYOUT_FILE, SWEEP_RECORD)):
            said = "the folder of the board" if folder == root else f"{part!r}"
            raise RunError(
                f"{said} is a run or a sweep already, and a run never overwrites: choose another "
                "name",
                settings=("out",),
            )
    if folder.exists():
        raise RunError(
            f"{str(place)!r} exists already, and a run never overwrites: choose another name",
            settings=("out",),
        )
    return folder


def _wrong_with(place: PurePosixPath, name: str) -> str:
    if not name.isprintable() or len(name.encode()) > _LONGEST:
        return f"it has unprintable letters, or more than {_LONGEST} bytes"
    if place.is_absolute() or ".." in place.parts or not place.parts:
        return "it is a place in the folder of the board, as runs/first"
    if not is_shown(place.parts):
        return "the board does not look into hidden folders, into those of builds, or deeper than 4"
    return ""


def _usual_name(root: Path, data: str) -> str:
    """As `steepest train` calls it: runs/NAME-TIME."""
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(data).stem)[:60] or "data"
    name = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if root.name != "runs":
        name = f"runs/{name}"
    return next(
        tried
        for tried in (name, *(f"{name}-{n}" for n in range(2, 1000)))
        if not (root / tried).exists()
    )


def require_within(root: Path, recipe: Mapping[str, Any]) -> None:
    """Raise DataError for data that lie outside the folder, as others may not be given those.

    Whether anything is there is not said.
    """
    outside = []
    for name, source in named_by(recipe):
        try:
            within = Path(source).expanduser().resolve().is_relative_to(root)
        except (OSError, RuntimeError, ValueError):
            within = False
        if not within:
            outside.append(
                Mistake(
                    f"{name} leads out of the folder of the board: one that other machines reach "
                    "trains on what lies in it, and on data sets by name",
                    (name,),
                )
            )
    if outside:
        raise DataError("; ".join(one.text for one in outside), mistakes=outside)
