"""`steepest evaluate`."""

import math
from pathlib import Path
from typing import Any, Literal

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, weights
from steepest.cli.verdict import end_with, verdict_of

_MOST_CLASSES = 12


@click.command("evaluate", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path())
@click.option("--target", show_default="the one trained on", help="Column that holds the class.")
@click.option("--importance", is_flag=True, help="Also how much each column matters.")
@weights
@as_json
def command(
    run: Path,
    source: str,
    weights: Literal["final", "best"],
    target: str | None,
    importance: bool,
    as_json: bool,
) -> None:
    r"""Measure the classifier in the folder RUN on the labelled rows of SOURCE.

    \b
    steepest evaluate runs/churn test.csv
    """
    from steepest.run import load_run

    loaded = load_run(run, weights=weights)
    evaluation = loaded.evaluate(source, target=target)
    columns = loaded.importance(source, target=target).to_dicts() if importance else []
    finite = math.isfinite(evaluation.loss)
    verdict = verdict_of([] if finite else [f"the loss is {evaluation.loss}"])
    if as_json:
        found = {"importance": columns} if importance else {}
        print_json(evaluation.to_dict() | found | {"verdict": verdict})
    else:
        _print_tables(evaluation)
        _print_importance(columns)
    end_with(verdict)


def _print_tables(evaluation: Any) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    summary = Table("measure", "value")
    summary.add_row("rows", str(evaluation.rows))
    for name in ("loss", "accuracy", "balanced_accuracy", "roc_auc", "expected_calibration_error"):
        value = getattr(evaluation, name)
        summary.add_row(name.replace("_", " "), "-" if value is None else f"{value:.4f}")
    classes = _table("class", "precision", "recall", "f1", "rows")
    for score in evaluation.classes:
        numbers = (f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}")
        classes.add_row(escape(score.name), *numbers, str(score.support))
    console = Console()
    console.print(summary, classes)
    if len(evaluation.classes) <= _MOST_CLASSES:
        console.print(_confusion(evaluation, console.width))


def _print_importance(columns: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape

    if not columns:
        return
    table = _table("column", "loss when shuffled", "accuracy")
    for one in columns:
        rise = f"+{one['importance']:.4f} ± {one['std']:.4f}".replace("+-", "-")
        table.add_row(escape(one["column"]), rise, f"{-one['accuracy_drop']:+.4f}")
    Console().print(table)


def _confusion(evaluation: Any, width: int) -> Any:
    """The confusion; its columns are numbered where the names do not fit beside each other."""
    from rich.cells import cell_len
    from rich.markup import escape

    names = [score.name for score in evaluation.classes]
    rows = [list(map(str, counts)) for counts in evaluation.confusion]
    across, corner = names, "true \\ predicted"
    if evaluation.multilabel:
        across, corner = ["neither", "only predicted", "only true", "both"], "class"
    first = max(map(cell_len, [corner, *names]))
    columns = zip(across, *rows, strict=True)
    needed = first + 4 + sum(3 + max(map(cell_len, column)) for column in columns)
    if needed > width and not evaluation.multilabel:
        across = [str(i) for i in range(len(names))]
        names = [f"{i} {name}" for i, name in enumerate(names)]
    table = _table(corner, *map(escape, across))
    for name, counts in zip(names, rows, strict=True):
        table.add_row(escape(name), *counts)
    return table


def _table(first: str, *others: str) -> Any:
    """A table whose first column is folded and not cut where it is wider than the terminal."""
    from rich.table import Table

    table = Table()
    table.add_column(first, overflow="fold")
    for other in others:
        table.add_column(other, no_wrap=True)
    return table
