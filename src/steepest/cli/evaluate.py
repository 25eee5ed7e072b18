"""`steepest evaluate`."""

import math
from pathlib import Path
from typing import Any, Literal

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, weights
from steepest.cli.verdict import end_with, verdict_of


@click.command("evaluate", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source")
@click.option("--target", show_default="the one trained on", help="Column that holds the class.")
@weights
@as_json
def command(
    run: Path, source: str, weights: Literal["final", "best"], target: str | None, as_json: bool
) -> None:
    r"""Measure the classifier in the folder RUN on the labelled rows of SOURCE.

    \b
    steepest evaluate runs/churn test.csv
    """
    from steepest.run import open_run

    evaluation = open_run(run, weights=weights).evaluate(source, target=target)
    finite = math.isfinite(evaluation.loss)
    verdict = verdict_of([] if finite else [f"the loss is {evaluation.loss}"])
    if as_json:
        print_json(evaluation.to_dict() | {"verdict": verdict})
    else:
        _print_tables(evaluation)
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
    classes = Table("class", "precision", "recall", "f1", "rows")
    for score in evaluation.classes:
        numbers = (f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}")
        classes.add_row(escape(score.name), *numbers, str(score.support))
    console = Console()
    console.print(summary, classes)
    if len(evaluation.classes) <= 12:
        columns = [escape(score.name) for score in evaluation.classes]
        confusion = Table("true \\ predicted", *columns)
        if evaluation.several:
            confusion = Table("class", "neither", "only predicted", "only true", "both")
        for score, row in zip(evaluation.classes, evaluation.confusion, strict=True):
            confusion.add_row(escape(score.name), *map(str, row))
        console.print(confusion)
