"""compare(): what differs between runs, or trials of sweeps, in recipe and in results."""

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from steepest.errors import RunError
from steepest.recipe import SETTINGS, Recipe
from steepest.records.layout import LAYOUT_FILE, RECIPE_FILE, SWEEP_RECORD
from steepest.run import RECORD, Record, Run, require_run_folder
from steepest.sweeps.metrics import METRICS, Metric
from steepest.sweeps.progress import number
from steepest.sweeps.result import Sweep, load_sweep
from steepest.sweeps.space import Space, value_text
from steepest.sweeps.statistics import difference, mean_interval, require_level
from steepest.sweeps.summary import values_by_seed

_PARTS = {"val": "validation", "test": "test"}
_SCORES = {"loss": "loss", "acc": "accuracy"}


@dataclass(frozen=True)
class Compared:
    """A run, or a trial of a sweep with all its runs.

    Attributes:
        name: What it is called.
        settings: Those that decide a result, with dots for what lies within one.
        facts: Data, net and engine, in words.
        values: By metric and seed, of the runs that reached their end.
        status: How it ended.
        metric: What its sweep compares by; None of a run.
    """

    name: str
    settings: dict[str, str]
    facts: dict[str, str]
    values: dict[str, dict[int, float]]
    status: str
    metric: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What differs. Printed, it is a page of text.

    Attributes:
        settings: A row for each setting that differs: setting, and a column for each of them.
        facts: The same of data, net and engine.
        results: The same of each measure that one of them has, with intervals over the seeds.
        advice: Whether each differs from the first by more than seed noise, in words.
    """

    settings: pl.DataFrame
    facts: pl.DataFrame
    results: pl.DataFrame
    advice: tuple[str, ...]

    def __str__(self) -> str:
        recipe = _text(self.settings) if self.settings.height else "the recipes are equal\n"
        parts = [recipe, _text(self.facts) if self.facts.height else "", _text(self.results)]
        return "\n".join([*(part for part in parts if part), *self.advice])


def compare(*items: Any, metric: str | None = None, level: float = 0.95) -> Comparison:
    """What differs between runs, or trials of sweeps: recipe, data, net and engine, results.

    Args:
        *items: Two or more: a `Run` or its folder; a `Sweep` or its folder, of which the best trial
            is meant; or a text "FOLDER:TRIAL", where TRIAL is its number, its settings as far as
            they tell it ("sweeps/a:lr=0.1"), or the beginning of the name of one of its runs.
        metric: What the advice is about, as val_loss; None for that of the first sweep, else the
            first of val_loss, test_loss and train_loss that all have.
        level: Of the confidence intervals.

    Returns:
        What differs.

    Raises:
        RunError: An item is none of these, or there are fewer than two.
        RecipeError: There is no such metric.

    Source:
        The advice is that of `steepest.sweeps.difference`.
    """
    require_level(level)
    if metric is not None:
        Metric.of(metric)
    if len(items) < 2:
        raise RunError(f"two or more runs or trials are compared, but {len(items)} was given")
    found = _with_own_names([_read(item) for item in items])
    names = list(dict.fromkeys(name for one in found for name in one.settings))
    return Comparison(
        _table("setting", found, _settings(found, names), True),
        _table("", found, {n: [c.facts.get(n) for c in found] for n in _FACTS}, True),
        _table("result", found, _results(found, level), False),
        tuple(_advice(found, metric, level)),
    )


def _settings(found: Sequence[Compared], names: Sequence[str]) -> dict[str, list[str | None]]:
    """Those of each; "-" for what lies within a setting that another one does not have."""
    rows = {name: [one.settings.get(name, "-") for one in found] for name in names}
    return {name: [*cells] for name, cells in rows.items() if set(cells) != {"-", _UNSET}}


_UNSET = "not set"
_FACTS = ("data", "rows", "classes", "inputs", "net", "engine")


def _with_own_names(found: list[Compared]) -> list[Compared]:
    """Two of one name are told apart by their place: they head columns."""
    names = [one.name for one in found]
    return [
        one if names.count(one.name) == 1 else replace(one, name=f"{one.name} ({i + 1})")
        for i, one in enumerate(found)
    ]


def _read(item: Any) -> Compared:
    """What is to be compared, from what a person gives."""
    if isinstance(item, Run):
        name = "the run in memory" if item.folder is None else str(item.folder)
        return _of_run(name, item.recipe, item.record)
    if isinstance(item, Sweep):
        return _of_trial(item, item.best().trial)
    if not isinstance(item, (str, Path)):
        raise RunError(
            "compared are runs, sweeps and their folders, or 'FOLDER:TRIAL', but one is a "
            f"{type(item).__name__}"
        )
    folder, which = Path(item), None
    if not folder.exists() and ":" in str(item):
        before, _, which = str(item).rpartition(":")
        folder = Path(before)
    if (folder / SWEEP_RECORD).exists():
        with closing(load_sweep(folder)) as sweep:
            return _of_trial(sweep, sweep.best().trial if which is None else _trial(sweep, which))
    if not folder.exists():
        raise RunError(f"{folder} does not exist")
    if which is not None or not (folder / LAYOUT_FILE).exists():
        what = "sweep" if which is not None else "run nor of a sweep"
        missing = SWEEP_RECORD if which is not None else f"{LAYOUT_FILE} and no {SWEEP_RECORD}"
        kind = "is not the folder of a" if which is not None else "is neither the folder of a"
        raise RunError(f"{folder} {kind} {what}: it has no {missing}")
    require_run_folder(folder)
    with closing(Record.open(folder / RECORD)) as record:
        return _of_run(str(folder), Recipe.read(folder / RECIPE_FILE), record)


def _trial(sweep: Sweep, which: str) -> int:
    """The number of the trial that a text means."""
    if "=" in which:
        space = Space.from_text(which.split(";") if ";" in which else [which])
        return sweep.trial({name: choice.ends[0] for name, choice in space.dimensions.items()})
    if which.isdecimal() and int(which) < len(sweep.trials):
        return int(which)
    runs = sweep.results.filter(pl.col("run").str.starts_with(which) if which else pl.lit(False))
    if runs["trial"].n_unique() != 1:
        raise RunError(
            f"no trial {which!r:.40} in {sweep.folder}: trials are 0 to {len(sweep.trials) - 1}, "
            "or said by settings (lr=0.1), or by the beginning of a run's name"
        )
    return int(runs["trial"][0])


def _of_trial(sweep: Sweep, trial: int) -> Compared:
    rows = sweep.results.filter(pl.col("trial") == trial)
    recipe = sweep.recipe.replace(**sweep.trials[trial])
    counts = rows["status"].fill_null("missing").value_counts(sort=True).rows()
    name = "the sweep in memory" if sweep.folder is None else str(sweep.folder)
    return Compared(
        f"{name}:{trial}",
        _settings_of(recipe, rows["seed"].to_list()),
        {"data": recipe.data or f"objects, {sweep.info['data'][:8]}"},
        {m: values_by_seed(rows, Metric.of(m)).get(trial, {}) for m in METRICS},
        ", ".join(f"{count} {status}" for status, count in counts),
        sweep.metric,
    )


def _of_run(name: str, recipe: Recipe, record: Record) -> Compared:
    info, history = record.info(), record.history()
    notes = [
        text for kind, text in record.table("events")[["kind", "text"]].rows() if kind == "note"
    ]
    facts = {"data": recipe.data or "objects", "engine": str(info.get("engine", "?"))}
    for text in notes:
        for fact, begins in (("rows", "rows: "), ("inputs", "inputs of "), ("net", "model: ")):
            if text.startswith(begins):
                facts[fact] = text.removeprefix(begins).partition("; ")[0]
        if " classes: " in text:
            facts["classes"] = text
    found: dict[str, float | None] = {
        f"{short}_{what}": info.get("scores", {}).get(part, {}).get(score)
        for short, part in _PARTS.items()
        for what, score in _SCORES.items()
    }
    if history.height:
        found |= {m: history[m][-1] for m in ("train_loss", "train_acc")}
        found["best_val_loss"] = history["val_loss"].fill_nan(None).min()  # type: ignore[assignment]
    sound = {m: v for m, v in found.items() if v is not None and v == v}
    ended = info.get("status") == "finished"
    return Compared(
        name, _settings_of(recipe, [recipe.seed]), facts,
        {m: {recipe.seed: v} for m, v in sound.items()} if ended else {},
        f"{info.get('status', 'running or killed')}, {history.height} epochs",
    )  # fmt: skip


def _settings_of(recipe: Recipe, seeds: Sequence[int]) -> dict[str, str]:
    """The settings that decide a result, as text; with dots for what lies within one."""
    found: dict[str, str] = {}
    for name in SETTINGS:
        if SETTINGS[name].affects_result and name not in ("seed", "threads"):
            _flatten(name, getattr(recipe, name), found)
    whole = list(range(seeds[0], seeds[0] + len(seeds))) == list(seeds) and len(seeds) > 2
    found["seed"] = f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))
    return found


def _flatten(name: str, value: Any, found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, own in value.items():
            _flatten(f"{name}.{key}", own, found)
    else:
        found[name] = _UNSET if value is None else value_text(value) or "none"


def _results(found: Sequence[Compared], level: float) -> dict[str, list[str | None]]:
    rows: dict[str, list[str | None]] = {"status": [one.status for one in found]}
    for metric in METRICS:
        cells = [_cell(list(one.values.get(metric, {}).values()), level) for one in found]
        if any(cell is not None for cell in cells):
            rows[metric] = cells
    return rows


def _cell(values: list[float], level: float) -> str | None:
    """A number, or a mean with its interval."""
    if len(values) < 2:
        return number(values[0]) if values else None
    found = mean_interval(values, level)
    ends = f"{number(found.low)} to {number(found.high)}"
    return f"{number(found.mean)} ({ends}, {found.n} seeds)"


def _advice(found: Sequence[Compared], metric: str | None, level: float) -> list[str]:
    """Each beside the first."""
    chosen = metric or next((one.metric for one in found if one.metric is not None), None)
    if chosen is None:
        shared = [
            m
            for m in ("val_loss", "test_loss", "train_loss")
            if all(c.values.get(m) for c in found)
        ]
        chosen = shared[0] if shared else "val_loss"
    by, (first, *others) = Metric.of(chosen), found
    said = []
    for other in others:
        values = first.values.get(by.name, {}), other.values.get(by.name, {})
        lacking = [one.name for one, own in zip((first, other), values, strict=True) if not own]
        if lacking:
            said.append(f"{' and '.join(lacking)}: no finished run with {by.name} to compare")
            continue
        told = difference(
            *values, falls=by.falls, names=(first.name, other.name), metric=by.name, level=level,
            comparisons=len(others),
        )  # fmt: skip
        said.append(str(told))
    return said


def _table(
    head: str, found: Sequence[Compared], rows: dict[str, list[str | None]], differing: bool
) -> pl.DataFrame:
    """One row a name; of what is the same everywhere, or unknown but for one, none."""
    kept = {
        name: cells for name, cells in rows.items()
        if not differing or len({cell for cell in cells if cell is not None}) > 1
    }  # fmt: skip
    columns = {head or "what": list(kept)}
    columns |= {
        one.name: [cells[i] or "-" for cells in kept.values()] for i, one in enumerate(found)
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _text(table: pl.DataFrame) -> str:
    """A table as text, as wide as it needs."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD)
    for column in table.columns:
        shown.add_column(Text(column), no_wrap=True)
    for row in table.iter_rows():
        shown.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=1000)
    console.print(shown)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"
