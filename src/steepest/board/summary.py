"""A run in one row of the table: what it is, how far it came, how good it became."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from steepest.board.findings import ranked
from steepest.board.reading import (
    changed_at,
    facts_of,
    has_table,
    plain,
    read_recipe,
    run_record,
)
from steepest.errors import RunError
from steepest.recipe import SETTINGS, Recipe

# The columns of a run that a page gets, in this order.
COLUMNS = (
    *("id", "name", "sweep", "trial", "seed", "data", "net", "engine", "state", "cause"),
    *("epochs", "epochs_planned", "step", "rate", "seconds", "train_loss", "val_loss", "val_acc"),
    *("best_epoch", "test_acc", "errors", "warnings", "changed", "settings"),
)
# What the best epoch may be the best by, beside loss and accuracy -> the order of its values.
_MEASURED = {"balanced_accuracy": "value DESC", "calibrated_loss": "value"}
# Seconds without a sign of life, until a run that nobody is seen to hold counts as stopped.
_GRACE, _SILENCE = 5.0, 60.0
# What has a column of its own, or does not decide how a run learns.
_NOT_COMPARED = {"seed", "data", "target", "ignore", "hidden", "channels", "activation"}
_NOT_COMPARED |= {"epochs", "members"}
_NOT_COMPARED |= {
    name for name, one in SETTINGS.items() if one.group == "Checks" or not one.affects_result
}

_DEFAULTS = Recipe().to_dict()


def summary(folder: Path, stamp: tuple[int, ...], locked: bool | None) -> dict[str, Any]:
    """The row of a run in a folder; a damaged one says so and ends no listing.

    stamp: as `stamp_of` gives it. locked: whether a process is seen to work on it.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {"changed": changed_at(stamp)}
    recipe = read_recipe(folder)
    row |= describe(recipe)
    try:
        with run_record(folder) as connection:
            facts = facts_of(connection)
            row |= _progress(connection, facts, recipe)
            row["state"] = state_of(facts.get("status"), changed_at(stamp), locked)
    except RunError as error:
        row |= {"state": "damaged", "cause": str(error)[:500]}
    return {name: plain(value) for name, value in row.items()}


def describe(recipe: dict[str, Any]) -> dict[str, Any]:
    """What is told of a recipe: data, net, and the settings that are not the defaults."""
    return {
        "data": str(recipe.get("data", "in memory"))[:300],
        "net": net_of(recipe),
        "seed": recipe.get("seed") if isinstance(recipe.get("seed"), int) else None,
        "epochs_planned": recipe.get("epochs") if isinstance(recipe.get("epochs"), int) else None,
        "settings": {
            name: setting_text(value)
            for name, value in recipe.items()
            if name in SETTINGS and name not in _NOT_COMPARED and value != _DEFAULTS.get(name)
        },
    }


def net_of(recipe: dict[str, Any]) -> str:
    """The net in a few words: 64-32 relu, or convolutional 32-64 relu."""
    hidden, channels = recipe.get("hidden"), recipe.get("channels")
    widths = "-".join(map(str, hidden)) if isinstance(hidden, list) and hidden else "linear"
    activation = f" {recipe.get('activation', '')}" if hidden else ""
    net = f"{widths}{activation}" if hidden is not None else "own module"
    if isinstance(channels, list) and channels:
        behind = hidden if isinstance(hidden, list) else []
        widths = "-".join(map(str, [*channels, *behind]))
        net = f"convolutional {widths} {recipe.get('activation', '')}".rstrip()
    if recipe.get("preset"):
        net = f"{recipe['preset']} preset"
    members = recipe.get("members")
    if isinstance(members, int) and members > 1:
        net = f"{members} × {net}"
    return net[:100]


def setting_text(value: Any) -> Any:
    """A setting as it is shown: numbers stay numbers, for they are sorted and drawn."""
    match value:
        case bool():
            return "on" if value else "off"
        case int() | float():
            return plain(value)
        case None:
            return None
        case list():
            return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
        case dict():
            return json.dumps(value)[:300]
    return str(value)[:300]


def state_of(status: Any, changed: float, locked: bool | None) -> str:
    """Finished, interrupted, diverged or pruned as the record says; else running or stopped.

    "stopped" is a run whose process is gone without a word, as after a kill or a power cut.
    """
    if status is not None:
        return str(status)[:40]
    age = time.time() - changed
    if locked or age < (_SILENCE if locked is None else _GRACE):
        return "running"
    return "stopped"


def rate_of(rows: Any, steps: int, seconds: float) -> float | None:
    """Training rows a second. rows: of a step on the average."""
    if not isinstance(rows, (int, float)) or not seconds > 0:
        return None
    return steps * rows / seconds


def best_epoch(connection: sqlite3.Connection, best_by: Any) -> tuple[int, float, Any] | None:
    """Epoch, validation loss and accuracy of the best epoch, as the report finds it."""
    by = "val_acc DESC, val_loss" if best_by == "accuracy" else "val_loss"
    source = "epochs"
    values: tuple[str, ...] = ()
    if best_by in _MEASURED and has_table(connection, "metrics"):
        source = "epochs JOIN metrics ON metrics.step = epochs.step AND metrics.name = ?"
        by, values = _MEASURED[best_by], (best_by,)
    found = connection.execute(
        f"SELECT epoch, val_loss, val_acc FROM {source} WHERE typeof(val_loss) = 'real' "
        f"AND abs(val_loss) < 1e300 ORDER BY {by}, epochs.rowid LIMIT 1",
        values,
    ).fetchone()
    return found and (found[0], found[1], found[2])


def _progress(
    connection: sqlite3.Connection, facts: dict[str, Any], recipe: dict[str, Any]
) -> dict[str, Any]:
    last = connection.execute(
        "SELECT epoch, step, train_loss, seconds FROM epochs ORDER BY rowid DESC LIMIT 2"
    ).fetchall()
    step = connection.execute("SELECT max(step) FROM intervals").fetchone()[0]
    best = best_epoch(connection, recipe.get("best_by")) or (None, None, None)
    row: dict[str, Any] = {
        "engine": str(facts.get("engine", ""))[:40],
        "epochs": last[0][0] + 1 if last else 0,
        "step": max(step or 0, last[0][1] if last else 0),
        "seconds": facts.get("seconds", last[0][3] if last else None),
        "train_loss": last[0][2] if last else None,
        "best_epoch": best[0],
        "val_loss": best[1],
        "val_acc": best[2],
        "test_acc": facts.get("scores", {}).get("test", {}).get("accuracy"),
    }
    if last:
        before = last[1] if len(last) > 1 else (0, 0, 0, 0.0)
        epoch_rows, steps = facts.get("rows"), last[0][1] - before[1]
        rows = epoch_rows / steps if isinstance(epoch_rows, int) and steps > 0 else None
        row["rate"] = rate_of(rows, steps, last[0][3] - before[3])
    if has_table(connection, "findings"):
        asked = "SELECT code, severity FROM findings ORDER BY rowid LIMIT 1000"
        causes = ranked({"code": c, "severity": s} for c, s in connection.execute(asked))
        row["errors"] = sum(one["severity"] == "error" for one in causes)
        row["warnings"] = sum(one["severity"] == "warn" for one in causes)
    return row


# Of each setting that is compared, what it is where a run does not name it.
DEFAULTS = {
    name: setting_text(value) for name, value in _DEFAULTS.items() if name not in _NOT_COMPARED
}
