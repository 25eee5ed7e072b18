"""The runs of a sweep as rows of the table, page by page: a sweep only adds rows."""

import json
from pathlib import Path
from typing import Any

from steepest.board.reading import facts_of, parse_recipe, plain, sweep_record
from steepest.board.summary import describe, rate_of, rounded, setting_text
from steepest.errors import RunError
from steepest.records.layout import SWEEP_TABLES

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
        points = [
            json.loads(settings)
            for (settings,) in connection.execute("SELECT settings FROM trials ORDER BY trial")
        ]
    recipe = parse_recipe(str(facts.get("recipe", "")).encode())
    nets = [describe(recipe | trial)["net"] for trial in points]
    return {
        **describe(recipe),
        "metric": str(facts.get("metric", "val_loss"))[:80],
        "varies": [str(name)[:80] for name in facts.get("space", {})],
        "trials": [
            {str(name)[:80]: setting_text(value) for name, value in trial.items()}
            for trial in points
        ],
        "nets": nets,
        "planned": planned,
        "done": done,
    }


def page(folder: Path, after: int) -> dict[str, Any]:
    """Runs whose rows were written behind `after`, by column, and where the next page begins."""
    with sweep_record(folder) as connection:
        recipe = parse_recipe(str(facts_of(connection).get("recipe", "")).encode())
        sizes = _batch_sizes(connection.execute("SELECT settings FROM trials ORDER BY trial"))
        rows = connection.execute(
            "SELECT runs.rowid, runs.run, plan.trial, plan.seed, runs.status, runs.cause, "
            "runs.epochs, runs.step, NULL, runs.seconds, runs.train_loss, runs.best_val_loss, "
            "runs.val_acc, runs.best_epoch, runs.test_acc FROM runs "
            "LEFT JOIN (SELECT run, min(trial) AS trial, seed FROM plan GROUP BY run) plan "
            "ON plan.run = runs.run WHERE runs.rowid > ? ORDER BY runs.rowid LIMIT ?",
            (after, PAGE),
        ).fetchall()
    by_column = list(map(list, zip(*rows, strict=True))) or [[] for _ in range(len(COLUMNS) + 1)]
    cursor = by_column[0][-1] if rows else after
    table = dict(zip(COLUMNS, by_column[1:], strict=True))
    table["rate"] = [
        rate_of(sizes.get(trial, recipe.get("batch_size")), step, seconds)
        for trial, step, seconds in zip(
            table["trial"], table["step"], table["seconds"], strict=True
        )
    ]
    for name in ("rate", "seconds", "train_loss", "val_loss", "val_acc", "test_acc"):
        table[name] = list(map(rounded, table[name]))
    return {"columns": table, "cursor": cursor, "more": len(rows) == PAGE}


def _batch_sizes(trials: Any) -> dict[int, Any]:
    """The size of each trial's minibatches, where it varies."""
    settings = (json.loads(text) for (text,) in trials)
    sizes = ((trial, one.get("batch_size")) for trial, one in enumerate(settings))
    return {trial: size for trial, size in sizes if size is not None}


def one_run(folder: Path, run: str) -> dict[str, Any]:
    """A run of a sweep by itself: what varies in it, what came of it, its epochs."""
    with sweep_record(folder) as connection:
        facts = facts_of(connection)
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
        "recipe": parse_recipe(str(facts.get("recipe", "")).encode()),
        "settings": json.loads(settings[0]) if settings else {},
        "done": None if done is None else dict(zip(names, map(plain, done), strict=True)),
        "epochs": {
            name: list(map(plain, column))
            for name, column in zip(list(SWEEP_TABLES["epochs"])[1:], columns, strict=True)
        },
    }
