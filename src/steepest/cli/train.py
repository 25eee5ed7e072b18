"""`steepest train`."""

import time
from pathlib import Path
from typing import Any

import click

from steepest.cli.options import as_json, print_json, recipe_options
from steepest.recipe import Recipe


@click.command("train")
@click.argument("source")
@recipe_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run [runs/NAME-TIME].")
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "epochs", "steps", "none"]),
    default="auto",
    help="How the training shows itself on standard error.",
)
@as_json
def command(source: str, out: Path | None, progress: str, as_json: bool, **options: Any) -> None:
    r"""Train a classifier on SOURCE: a file, a folder, a data set by name, or a recipe.toml.

    \b
    steepest train digits --hidden 64 --lr 0.1 --epochs 20
    steepest train customers.csv --target churned --test 0.2 --out runs/churn
    steepest train recipe.toml --seed 1
    """
    recipe = recipe_of(source, options)
    if out is None:
        name = Path(recipe.data or "data").stem
        out = Path("runs", f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")

    from steepest.training import train

    run = train(recipe=recipe, out=out, progress=progress)
    if as_json:
        print_json(result_of(run, out))
    else:
        print_result(run, out)
    if run.status == "interrupted":
        raise KeyboardInterrupt


def recipe_of(source: str, options: dict[str, Any]) -> Recipe:
    """The recipe of a command: a file changed by the options, or the options with their source."""
    settings = {name: value for name, value in options.items() if value is not None}
    if source.endswith(".toml"):
        return Recipe.read(source).replace(**settings)
    return Recipe(data=source, **settings)


def result_of(run: Any, out: Path) -> dict[str, Any]:
    """A run as an object for JSON. out: its folder."""
    facts = run.facts
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


def print_result(run: Any, out: Path) -> None:
    """A table of a run's scores, and where it lies."""
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "rows", "loss", "accuracy")
    for name, score in run.scores.items():
        table.add_row(name, f"{score.rows}", f"{score.loss:.4f}", f"{score.accuracy:.4f}")
    Console().print(table)
    if run.findings.loud:
        click.echo(str(run.findings.loud))
    click.echo(f"run: {out}")
