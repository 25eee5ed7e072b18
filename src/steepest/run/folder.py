"""The folder of a run: what is in it, and what may not be.

A folder of layout 1 is self-contained and can be moved:
    layout.json        the version of the layout, and of steepest
    recipe.toml        every setting
    record.sqlite      metrics, layer statistics, events
    model.safetensors  the model's state_dict
    classifier.json    architecture, class names, encoder, scaler
    checkpoints/       the newest states of the training, to go on from, and the best weights
    lock               held by the process that works on the run, empty
    stop               there while that process is asked to stop, as by Ctrl-C: by whoever makes it

It may come from a stranger. Nothing outside it is ever written or removed: a link in it is refused
before anything else is looked at, and what is written later goes into folders that are held open.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

from steepest.errors import RunError
from steepest.files import DAMAGE, require_plain_file, write_atomically
from steepest.recipe import Recipe
from steepest.records.layout import LAYOUT_FILE, LOCK_FILE, RECIPE_FILE, RUN_LAYOUT, RUN_RECORD
from steepest.records.sqlite import require_own_record
from steepest.run.tensors import BEST, CHECKPOINTS, STEP

RECORD, LOCK = RUN_RECORD, LOCK_FILE
_FILES = (LAYOUT_FILE, RECIPE_FILE, "model.safetensors", "classifier.json", LOCK)


def begin_run_folder(folder: Path, recipe: Recipe) -> None:
    """Write what is known before training: the layout's version and the recipe."""
    layout = {"layout": RUN_LAYOUT, "steepest": version("steepest")}
    write_atomically(folder / LAYOUT_FILE, json.dumps(layout).encode())
    write_atomically(folder / RECIPE_FILE, recipe.to_toml().encode())


def require_run_folder(folder: Path, *, to_write: bool = False) -> None:
    """Raise RunError unless this is the folder of a run, of the layout that is read here.

    to_write: whether the run is to go on in it. The folder is looked over first, for what could
    lead out of it.
    """
    try:
        _look_over(folder, to_write)
        layout = json.loads((folder / LAYOUT_FILE).read_text(encoding="utf-8"))["layout"]
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{folder} is not a run folder: it has no layout.json") from None
    except DAMAGE as error:
        raise RunError(f"{folder} has a damaged layout.json: {error}") from None
    if layout != RUN_LAYOUT:
        raise RunError(
            f"{folder} has layout {layout!s:.20}, and this version of steepest reads layout "
            f"{RUN_LAYOUT}; open it with the version that wrote it"
        )


def _look_over(folder: Path, to_write: bool) -> None:
    """Raise RunError for a link in the folder or among its checkpoints, or for a pipe and such."""
    checkpoints = folder / CHECKPOINTS
    _refuse_links(folder)
    for name in _FILES:
        require_plain_file(folder / name, one_name=to_write and name == LOCK)
    require_own_record(folder / RECORD, to_write)
    if checkpoints.is_dir():
        _refuse_links(checkpoints)
        for path in checkpoints.iterdir():
            if STEP.fullmatch(path.stem) or path.stem == BEST:
                require_plain_file(path)


def _refuse_links(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                require_plain_file(Path(entry.path))
