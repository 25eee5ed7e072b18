"""What a page of a run is told once: recipe, what the run wrote of itself, its tables as CSV."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from steepest.board.reading import facts_of, plain_tree, read_recipe, run_record
from steepest.board.summary import setting_text
from steepest.errors import RunError
from steepest.files import require_plain_file
from steepest.recipe import SETTINGS, Recipe
from steepest.records.layout import RUN_TABLES

_MOST_ROWS, _MOST_CLASSIFIER = 1_000_000, 2**22
_DEFAULTS = Recipe().to_dict()


def about(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    """A run's row, its recipe, and what is needed to draw it.

    row: of the table of runs.
    """
    recipe = read_recipe(folder)
    with run_record(folder) as connection:
        facts = plain_tree(facts_of(connection))
    return {
        "row": row,
        "facts": facts,
        "recipe": [
            {
                "name": name,
                "value": setting_text(value),
                "default": setting_text(_DEFAULTS.get(name)) if name in _DEFAULTS else None,
                "changed": value != _DEFAULTS.get(name),
                "group": SETTINGS[name].group,
                "help": SETTINGS[name].help,
            }
            for name, value in recipe.items()
            if name in SETTINGS
        ],
        "best_by": recipe.get("best_by", "loss"),
        "steps_per_epoch": _steps_per_epoch(facts.get("rows"), recipe.get("batch_size")),
        "classes": class_names(folder),
    }


def _steps_per_epoch(rows: Any, batch_size: Any) -> int | None:
    if batch_size == "full":
        return 1
    counts = isinstance(rows, int) and isinstance(batch_size, int) and rows > 0 < batch_size
    return -(-rows // batch_size) if counts else None


def class_names(folder: Path) -> list[str] | None:
    """The names of the classes, once the run has saved its classifier."""
    path = folder / "classifier.json"
    try:
        require_plain_file(path)
        if path.stat().st_size > _MOST_CLASSIFIER:
            return None
        names = json.loads(path.read_text("utf-8"))["classes"]["names"]
        return [str(name)[:200] for name in names][:10_000]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, RunError):
        return None


def csv_of(folder: Path, table: str) -> str:
    """A table of the record with all its rows."""
    if table not in ("epochs", "intervals", "layers"):
        raise RunError("a record has the tables epochs, intervals and layers")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RUN_TABLES[table])
    with run_record(folder) as connection:
        asked = f"SELECT * FROM {table} ORDER BY rowid LIMIT {_MOST_ROWS}"
        writer.writerows(connection.execute(asked))
    return text.getvalue()
