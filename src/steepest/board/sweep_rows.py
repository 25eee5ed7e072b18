"""The runs of a sweep as rows of the table, page by page: a sweep only adds rows."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from steepest.board.reading import facts_of, parse_recipe, plain, sweep_record
from steepest.board.summary import describe, net_of, rate_of, setting_text
from steepest.errors import RunError
from steepest.records.layout import SWEEP_TABLES

# What a net is described by.
_OF_NET = {"hidden", "channels", "activation", "preset", "members"}
PAGE, _MOST_EPOCHS = 20_000, 10_000
# What each row has; what all have in common is told once, in `about`.
COLUMNS = (
    *("run", "trial", "seed", "state", "cause", "epochs", "step", "rate", "seconds"),
    *("train_loss", "val_loss", "val_acc", "best_epoch", "test_acc"),
)


def about(folder: Path) -> dict[str, Any]:
    """What a sweep is: its recipe as a run's is described, what varies, how many runs it has."""
    with sweep_record(folder) as connection:
        facts = facts_of(connection)
        planned = connection.execute("SELECT count(*) FROM plan").fetchone()[0]
        done = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        return {
            **describe(parse_recipe(str(facts.get("recipe", "")).encode())),
            "metric": str(facts.get("metric", "val_loss"))[:80],
            "varies": [str(name)[:80] for name in facts.get("space", {})],
            "planned": planned,
            "done": done,
        }


def page(folder: Path, after: int) -> dict[str, Any]:
    """Runs whose rows were written behind `after`, by column, and where the next page begins."""
    with sweep_record(folder) as connection:
        recipe = parse_recipe(str(facts_of(connection).get("recipe", "")).encode())
        rows = connection.execute(
            "SELECT runs.rowid, trials.settings, runs.run, plan.trial, plan.seed, runs.status, "
            "runs.cause, runs.epochs, runs.step, NULL, runs.seconds, runs.train_loss, "
            "runs.best_val_loss, runs.val_acc, runs.best_epoch, runs.test_acc FROM runs "
            "LEFT JOIN (SELECT run, min(trial) AS trial, seed FROM plan GROUP BY run) plan "
            "ON plan.run = runs.run LEFT JOIN trials ON trials.trial = plan.trial "
            "WHERE runs.rowid > ? ORDER BY runs.rowid LIMIT ?",
            (after, PAGE),
        ).fetchall()
        columns = list(map(list, zip(*rows, strict=True))) or [[] for _ in range(len(COLUMNS) + 2)]
        known = {text: json.loads(text or "{}") for text in set(columns[1])}
        points = [known[text] for text in columns[1]]
        table = dict(zip(COLUMNS, columns[2:], strict=True))
        table["rate"] = [
            rate_of(point.get("batch_size", recipe.get("batch_size")), step, seconds)
            for point, step, seconds in zip(points, table["step"], table["seconds"], strict=True)
        ]
        for name in ("rate", "seconds", "train_loss", "val_loss", "val_acc", "test_acc"):
            table[name] = list(map(plain, table[name]))
        return {
            "columns": table,
            "settings": {
                str(name)[:80]: [setting_text(point.get(name)) for point in points]
                for name in dict.fromkeys(name for point in known.values() for name in point)
            },
            "nets": [net_of(recipe | one) if _OF_NET & one.keys() else None for one in points],
            "cursor": columns[0][-1] if rows else after,
            "more": len(rows) == PAGE,
        }


def some_runs(folder: Path, runs: list[str]) -> list[dict[str, Any]]:
    """Runs of a sweep by themselves: what varies in each, what came of it, its epochs."""
    with sweep_record(folder) as connection:
        return [_one_run(connection, run) for run in runs]


def _one_run(connection: sqlite3.Connection, run: str) -> dict[str, Any]:
    planned = connection.execute(
        "SELECT trial, seed FROM plan WHERE run = ? ORDER BY trial LIMIT 1", (run,)
    ).fetchone()
    if planned is None:
        raise RunError("there is no run of this name in the sweep")
    settings = connection.execute(
        "SELECT settings FROM trials WHERE trial = ?", (planned[0],)
    ).fetchone()
    names = list(SWEEP_TABLES["runs"])
    done = connection.execute("SELECT * FROM runs WHERE run = ?", (run,)).fetchone()
    epochs = connection.execute(
        "SELECT * FROM epochs WHERE run = ? ORDER BY epoch LIMIT ?", (run, _MOST_EPOCHS)
    ).fetchall()
    columns = list(zip(*epochs, strict=True))[1:] or [()] * (len(SWEEP_TABLES["epochs"]) - 1)
    return {
        "run": run,
        "trial": planned[0],
        "seed": planned[1],
        "settings": json.loads(settings[0]) if settings else {},
        "done": None if done is None else dict(zip(names, map(plain, done), strict=True)),
        "epochs": {
            name: list(map(plain, column))
            for name, column in zip(list(SWEEP_TABLES["epochs"])[1:], columns, strict=True)
        },
    }
