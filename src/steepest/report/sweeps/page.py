"""The report of a sweep: one HTML file that needs no other, no network and no JavaScript."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes

from steepest.errors import MissingExtra, RunError
from steepest.report.html import figure, write_page
from steepest.report.sweeps.bands import plot_sweep_curves
from steepest.report.sweeps.heatmap import plot_heatmap
from steepest.report.sweeps.importance import plot_importance
from steepest.report.sweeps.parallel import plot_parallel
from steepest.report.sweeps.scales import varied
from steepest.sweeps import Sweep
from steepest.sweeps.progress import duration, number
from steepest.sweeps.space import shown, value_text
from steepest.sweeps.tally import failures_of

_MOST_ROWS, _MOST_IN_ALL = 10, 1000


def write_sweep_report(sweep: Sweep, path: str | Path) -> Path:
    """Write the report of a sweep as one HTML file without any other, network or JavaScript.

    Args:
        sweep: The sweep; it may still be under way.
        path: Where it is written.

    Returns:
        The path.

    Raises:
        RunError: The file cannot be written.
    """
    summary = sweep.summary()
    rows = [_row(sweep, row) for row in summary.head(_MOST_IN_ALL).iter_rows(named=True)]
    return write_page(
        path,
        "sweeps/sweep.html.jinja",
        sweep=sweep,
        title="Sweep" if sweep.folder is None else sweep.folder.name,
        counts=_counts(sweep),
        best=rows[0] if rows and rows[0]["n"] else None,
        advice=_or_why(lambda: str(sweep.compare())),
        apart=_apart(summary),
        rows=rows,
        shown=_MOST_ROWS,
        more=summary.height - len(rows),
        figures=list(_figures(sweep)),
        failures=failures_of(sweep.results, sweep.trials),
        findings=sweep.findings.to_dicts(),
        pruned=(sweep.results["status"] == "pruned").sum(),
        space={name: _values(one) for name, one in sweep.info["space"].items()},
        common=_common(sweep),
        seconds=duration(float(sweep.timings["seconds"].sum())),
        point=shown,
        shown_number=number,
    )


def _counts(sweep: Sweep) -> str:
    counts = sweep.results["status"].fill_null("still missing").value_counts(sort=True).rows()
    return ", ".join(f"{count:,} {status}" for status, count in counts)


def _row(sweep: Sweep, row: dict[str, Any]) -> dict[str, Any]:
    """A trial as the template shows it."""
    settings = [_text(row[name]) for name in sweep.settings]
    return row | {"settings": settings, "apart": {None: "", True: "yes", False: "no"}[row["apart"]]}


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _apart(summary: pl.DataFrame) -> str:
    """How many trials are not told apart from the first, in words."""
    known = summary["apart"].drop_nulls()
    tied = int((~known).sum())
    if not len(known):
        return ""
    of = f"of the {len(known)} others" if len(known) > 1 else "of the other"
    return f"{tied or 'None'} {of} {'is' if tied < 2 else 'are'} not told apart from the best."


def _figures(sweep: Sweep) -> Iterator[tuple[str, Markup | str]]:
    """Title and picture, or why there is none."""
    best = _or_why(lambda: repr(sweep.best())[1:-1])
    trials = f"{len(sweep.trials):,} trials"
    yield _one(
        "Curves of the best", lambda: plot_sweep_curves(sweep),
        f"Mean over the seeds by epoch, of the best of {trials}. {best}",
    )  # fmt: skip
    yield _one("Importance of settings", lambda: plot_importance(sweep), _importance(sweep))
    yield _one(
        "All trials", lambda: plot_parallel(sweep),
        f"Parallel coordinates of {trials}. {best}",
    )  # fmt: skip
    names = varied(sweep)
    if len(names) > 1:
        x, y = _two_that_matter(sweep, names)
        yield _one(
            f"{x} and {y}", lambda: plot_heatmap(sweep, x, y),
            f"Mean {sweep.metric} by {x} and {y}; its numbers are in the table of all trials.",
        )  # fmt: skip


def _one(title: str, draw: Callable[[], Axes], words: str) -> tuple[str, Markup | str]:
    try:
        return title, figure(draw, words)
    except (RunError, MissingExtra) as error:
        return title, str(error)


def _importance(sweep: Sweep) -> str:
    """The picture in words."""

    def words() -> str:
        rows = sweep.importance().settings.iter_rows()
        return "; ".join(
            f"{name} {alone:.0%} alone, {all_:.0%} in all" for name, alone, all_ in rows
        )

    return f"Share of the metric that each setting decides: {_or_why(words)}"


def _two_that_matter(sweep: Sweep, names: list[str]) -> tuple[str, str]:
    """The two most important settings, if that can be told; else the first two."""
    with suppress(RunError, MissingExtra):
        ranked = sweep.importance().settings["setting"].to_list()
        names = [*ranked, *(name for name in names if name not in ranked)]
    return names[0], names[1]


def _or_why(words: Callable[[], str]) -> str:
    try:
        return words()
    except (RunError, MissingExtra) as error:
        return str(error)


def _values(one: Any) -> str:
    """Where the values of a setting come from, as on a command line."""
    if isinstance(one, dict):
        ((name, ends),) = one.items()
        return f"{name}({', '.join(map(value_text, ends))})"
    texts = [value_text(tuple(v) if isinstance(v, list) else v) for v in one]
    shown = "; ".join(texts[:20])
    return f"{shown}; and {len(texts) - 20} more" if len(texts) > 20 else shown


def _common(sweep: Sweep) -> list[tuple[str, str, bool]]:
    """Each setting that does not vary, its value, and whether it is another than the default."""
    from steepest.recipe import SETTINGS, Recipe

    plain, recipe = Recipe(), sweep.recipe
    return [
        (name, repr(getattr(recipe, name)), getattr(recipe, name) != getattr(plain, name))
        for name in SETTINGS
        if name not in sweep.settings
    ]
