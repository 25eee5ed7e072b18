"""`steepest find-lr`."""

from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, recipe_options
from steepest.cli.train import recipe_of


@click.command("find-lr", cls=Command)
@click.argument("source", type=click.Path())
@recipe_options
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Save the curve as a picture."
)
@as_json
def command(source: str, plot: Path | None, as_json: bool, **options: Any) -> None:
    r"""Suggest a learning rate for SOURCE by a range test of 200 steps.

    \b
    steepest find-lr digits --hidden 64 --optimizer adam
    steepest find-lr customers.csv --target churned --plot rates.png
    """
    from steepest.training import find_lr

    if plot is not None:  # before the work, as it needs an extra
        from steepest.report import save_range_test
    test = find_lr(recipe=recipe_of(source, options))
    if plot is not None:
        save_range_test(test, plot)
    if as_json:
        print_json(
            {
                "suggestion": test.suggestion,
                "rates": test.rates.tolist(),
                "losses": test.losses.tolist(),
                "smoothed": test.smoothed.tolist(),
            }
        )
    else:
        click.echo(f"learning rate: {test.suggestion:g} (after {len(test.rates)} steps)")
