"""What lies in a folder of runs and sweeps: a row each, with the settings in which they differ."""

import operator
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl

from steepest.errors import RecipeError, SteepestError, did_you_mean
from steepest.recipe import SETTINGS, Recipe
from steepest.records.layout import LAYOUT_FILE, RECIPE_FILE, SWEEP_RECORD
from steepest.run import RECORD, Record
from steepest.sweeps.metrics import METRICS
from steepest.sweeps.result import Sweep, load_sweep
from steepest.sweeps.space import value_text
from steepest.sweeps.summary import epochs_done

COLUMNS = ("run", "status", "engine", "epochs", "seconds", *METRICS)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne,
    ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_CONDITION = re.compile(r"\s*([\w.]+)\s*(>=|<=|!=|>|<|=)\s*(.*?)\s*")


def listed(folder: Path) -> list[dict[str, Any]]:
    """The runs and sweeps in a folder, the latest last; of a sweep's own folder its trials.

    A sweep is one row, with what its best trial has in the mean. A damaged one says so.

    Args:
        folder: Where they lie.

    Returns:
        Of each the columns COLUMNS, null where nothing is known, and `settings`, those of its
        recipe that decide a result.
    """
    if (folder / SWEEP_RECORD).exists():
        with closing(load_sweep(folder)) as sweep:
            return _of_trials(sweep)
    found = [*folder.glob(f"*/{LAYOUT_FILE}"), *folder.glob(f"*/{SWEEP_RECORD}")]
    rows = []
    for path in sorted(found, key=_changed):
        try:
            rows.append((_of_sweep if path.name == SWEEP_RECORD else _of_run)(path.parent))
        except SteepestError as error:
            rows.append({"run": str(path.parent), "status": f"damaged: {error}", "settings": {}})
    return rows


def differing(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The settings in which rows differ, in the order of a recipe, but those that are a column."""
    known = [row["settings"] for row in rows if row["settings"]]
    return [
        name for name in SETTINGS
        if name not in COLUMNS and len({value_of(settings, name) for settings in known}) > 1
    ]  # fmt: skip


def value_of(settings: dict[str, Any], name: str) -> str:
    """A setting as text, "" where it is not set."""
    value = settings.get(name)
    return "" if value is None else value_text(value)


def selected(rows: Sequence[dict[str, Any]], conditions: Sequence[str]) -> list[dict[str, Any]]:
    """The rows for which all conditions hold: val_acc>0.9, optimizer=adam, status!=diverged.

    Raises:
        RecipeError: One is no condition, or of no column.
    """
    for condition in conditions:
        match = _CONDITION.fullmatch(condition)
        if match is None:
            raise RecipeError(
                f"{condition!r:.60} is no condition such as val_acc>0.9, optimizer=adam"
            )
        name, compares, wanted = match.groups()
        require_column(name)
        rows = [row for row in rows if _holds(cell(row, name), compares, wanted)]
    return list(rows)


def ordered(
    rows: Sequence[dict[str, Any]], column: str, *, falling: bool = False
) -> list[dict[str, Any]]:
    """The rows by a column; those that have nothing there come last.

    Raises:
        RecipeError: There is no such column.
    """
    require_column(column)
    known = [row for row in rows if cell(row, column) is not None]
    numbers = all(isinstance(cell(row, column), (int, float)) for row in known)
    known.sort(
        key=lambda row: cell(row, column) if numbers else str(cell(row, column)), reverse=falling
    )
    return known + [row for row in rows if cell(row, column) is None]


def require_column(name: str) -> None:
    """Raise RecipeError if nothing of a run is called so."""
    if name not in COLUMNS and name not in SETTINGS:
        known = f": columns are {', '.join(COLUMNS)}, and each setting"
        hint = did_you_mean(name, [*COLUMNS, *SETTINGS])
        raise RecipeError(f"no column {name!r:.40}{hint or known}")


def cell(row: dict[str, Any], name: str) -> Any:
    """What a row has in a column: a setting as a number if it is one, else as text."""
    if name in COLUMNS:
        return row.get(name)
    value = row["settings"].get(name)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if number or value is None else value_text(value)


def _holds(found: Any, compares: str, wanted: str) -> bool:
    if found is None:
        return compares == "!="
    other: Any = wanted
    if isinstance(found, (int, float)):
        try:
            other = float(wanted)
        except ValueError:
            found = str(found)
    return _OPERATORS[compares](found, other)


def _changed(path: Path) -> float:
    return path.lstat().st_mtime  # of a link itself, which may lead nowhere


def _of_run(folder: Path) -> dict[str, Any]:
    """What a run's record tells, without opening its model."""
    with closing(Record.open(folder / RECORD)) as record:
        info, history = record.info(), record.history()
    last = history.tail(1).to_dicts()[0] if history.height else {}
    test = info.get("scores", {}).get("test", {})
    return {
        "run": str(folder),
        "status": info.get("status", "running or killed"),
        "engine": info.get("engine"),
        "epochs": history.height,
        "seconds": info.get("seconds"),
        **{name: last.get(name) for name in ("train_loss", "train_acc", "val_loss", "val_acc")},
        "test_loss": test.get("loss"),
        "test_acc": test.get("accuracy"),
        "best_val_loss": history["val_loss"].fill_nan(None).min() if history.height else None,
        "settings": _settings(folder),
    }


def _settings(folder: Path) -> dict[str, Any]:
    try:
        return _deciding(Recipe.read(folder / RECIPE_FILE))
    except (SteepestError, OSError):
        return {}  # its record can be read all the same


def _deciding(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide a result, and the data."""
    return {
        name: getattr(recipe, name) for name in SETTINGS
        if (SETTINGS[name].affects_result or name == "data") and name != "threads"
    }  # fmt: skip


def _of_sweep(folder: Path) -> dict[str, Any]:
    """A sweep with the means of its best trial."""
    with closing(load_sweep(folder)) as sweep:
        rows, results = _of_trials(sweep), sweep.results
        done = results["status"].drop_nulls()
        broken = done.is_in(["diverged", "failed"]).sum()
        best = rows[0] if rows else {"settings": {}}
        seconds = sweep.timings["seconds"].sum()
    status = f"sweep: {len(done)} of {results.height} runs{f', {broken} failed' if broken else ''}"
    return best | {"run": str(folder), "status": status, "seconds": seconds}


def _of_trials(sweep: Sweep) -> list[dict[str, Any]]:
    """The trials of a sweep, the best first."""
    summary, results, trials = sweep.summary(), sweep.results, sweep.trials
    finished = results.filter(pl.col("status") == "finished")
    means = finished.group_by("trial").agg(
        pl.col(*METRICS).fill_nan(None).mean(),
        pl.col(epochs_done(sweep.settings)).max().alias("epochs"),
    )
    of_trial = {row["trial"]: row for row in means.iter_rows(named=True)}
    time = results.select("trial").with_columns(sweep.timings["seconds"]).group_by("trial").sum()
    seconds = dict(time.iter_rows())
    base = sweep.recipe
    rows = []
    for trial, n, failed in summary.select("trial", "n", "failed").iter_rows():
        known = of_trial.get(trial, {})
        status = f"{n} finished" + (f", {failed} failed" if failed else "")
        rows.append(
            {
                "run": f"{sweep.folder}:{trial}", "status": status, "engine": None,
                "seconds": seconds.get(trial), "epochs": known.get("epochs"),
                **{metric: known.get(metric) for metric in METRICS},
                "settings": _deciding(base.replace(**trials[trial])),
            }
        )  # fmt: skip
    return rows
