"""`steepest resume`."""

from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, log
from steepest.cli.train import finish
from steepest.cli.verdict import strict


@click.command("resume", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", required=False)
@click.option("--epochs", type=int, help="Passes over the training rows in all, if others now.")
@click.option("--lr", type=float, help="Learning rate, if another one now.")
@click.option("--engine", help="auto, native or torch, if another one now.")
@click.option("--accept-changes", is_flag=True, help="Go on though the data or the recipe changed.")
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
    run: Path,
    source: str | None,
    accept_changes: bool,
    progress: str,
    loggers: tuple[Any, ...],
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Go on with the run in the folder RUN, interrupted or killed, from its newest checkpoint.

    SOURCE: its data, if they lie elsewhere now.

    \b
    steepest resume runs/churn
    steepest resume runs/churn --epochs 40
    """
    from steepest.ensemble import resume

    settings = {name: value for name, value in options.items() if value is not None}
    done = resume(
        run,
        data=source,
        progress=progress,
        observers=loggers,
        accept_changes=accept_changes,
        **settings,
    )
    finish(done, run, strict=strict, as_json=as_json)
