"""`steepest train`."""

import os
import time
from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, log, print_json, recipe_options
from steepest.cli.verdict import end_with, reasons_of, reasons_of_run, strict, verdict_of
from steepest.errors import HealthError
from steepest.recipe import Recipe


@click.command("train", cls=Command)
@click.argument("source", type=click.Path())
@recipe_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    show_default="runs/NAME-TIME",
    help="Folder of the run.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "epochs", "steps", "none"]),
    default="auto",
    show_default=True,
    help="How the training shows itself on standard error.",
)
@log
@strict
@as_json
def command(
    source: str,
    out: Path | None,
    progress: str,
    loggers: tuple[Any, ...],
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Train a classifier on SOURCE: a file, a folder, a data set by name, or a recipe.toml.

    \b
    steepest train digits --hidden 64 --lr 0.1 --epochs 20
    steepest train customers.csv --target churned --test 0.2 --out runs/churn
    steepest train recipe.toml --seed 1
    """
    recipe = recipe_of(source, options)
    if out is None and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
        raise click.UsageError(
            "workers that may be started again need --out, to go on with that run"
        )
    if out is None:
        name = Path(recipe.data or "data").stem
        out = Path("runs", f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")

    from steepest.ensemble import train

    try:
        run = train(recipe=recipe, out=out, progress=progress, observers=loggers)
    except HealthError as error:
        if as_json:
            found = [finding.to_dict() for finding in error.findings]
            refused = verdict_of(reasons_of(error.findings, strict=strict))
            print_json({"status": "refused", "findings": found, "verdict": refused})
        raise
    finish(run, out, strict=strict, as_json=as_json)


def finish(run: Any, out: Path, *, strict: bool, as_json: bool) -> None:
    """Print what came of a run in the folder `out`, and end with its exit code.

    Of several workers the first one prints.
    """
    from steepest.engine import is_first_worker

    reasons = reasons_of_run(run, strict=strict)
    verdict = verdict_of(reasons, interrupted=run.status == "interrupted")
    if not is_first_worker():
        pass
    elif as_json:
        print_json(result_of(run, out) | {"verdict": verdict})
    else:
        print_result(run, out)
    end_with(verdict)


def recipe_of(source: str, options: dict[str, Any]) -> Recipe:
    """The recipe of a command: a file changed by the options, or the options with their source."""
    settings = {name: value for name, value in options.items() if value is not None}
    if source.endswith(".toml"):
        return Recipe.read(source).replace(**settings)
    return Recipe(data=source, **settings)


def result_of(run: Any, out: Path) -> dict[str, Any]:
    """A run as an object for JSON. out: its folder."""
    facts = run.info
    scores = {name: facts["scores"].get(name) for name in ("train", "validation", "test")}
    return {
        "recipe": run.recipe.to_dict(),
        "engine": facts["engine"],
        "reason": facts["reason"],
        "status": facts["status"],
        "seconds": facts["seconds"],
        "epochs": run.history.height,
        "classes": list(run.classifier.classes.names),
        "initial_loss": facts["initial_loss"],
        "chance_loss": facts["chance_loss"],
        **scores,
        "findings": [finding.to_dict() for finding in run.findings],
        "run": str(out),
    }


# From here on a loss has left every scale, and its digits say nothing.
_LARGE = 1e4


def print_result(run: Any, out: Path) -> None:
    """A table of a run's scores, and where it lies."""
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "rows", "loss", "accuracy")
    for name, score in run.scores.items():
        loss = f"{score.loss:.4f}" if score.loss < _LARGE else f"{score.loss:.3g}"
        table.add_row(name, f"{score.rows}", loss, f"{score.accuracy:.4f}")
    Console().print(table)
    if run.findings.actionable:
        click.echo(str(run.findings.actionable))
    click.echo(f"run: {out}")
