"""`steepest compare`."""

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json


@click.command("compare", cls=Command)
@click.argument("items", nargs=-1, required=True, metavar="A B [C ...]")
@click.option("--metric", help="What the advice is about.  [default: the sweep's, or val_loss]")
@as_json
def command(items: tuple[str, ...], metric: str | None, as_json: bool) -> None:
    r"""Show what differs between runs, or trials of sweeps: recipe, data and net, results.

    Each is the folder of a run; the folder of a sweep, of which the best trial is meant; or
    FOLDER:TRIAL, with the trial's number, its settings, or the beginning of a run's name. Whether
    they differ by more than seed noise is said where they have runs with several seeds.

    \b
    steepest compare runs/a runs/b
    steepest compare sweeps/digits sweeps/digits:3
    steepest compare "sweeps/digits:lr=0.1;hidden=64" runs/a
    """
    from steepest.sweeps import compare

    found = compare(*items, metric=metric)
    if as_json:
        tables = {
            name: getattr(found, name).to_dicts() for name in ("settings", "facts", "results")
        }
        print_json({**tables, "advice": list(found.advice)})
    else:
        click.echo(str(found))
