"""`steepest runs`."""

from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json

_SHOWN = ("run", "status", "engine", "epochs", "seconds", "train_acc", "val_acc", "test_acc")
_MOST_SETTINGS = 8


@click.command("runs", cls=Command)
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--sort", metavar="COLUMN", help="Order by it, the highest last.  [default: by time]")
@click.option("--reverse", is_flag=True, help="The highest first.")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only those for which it holds: val_acc>0.9, optimizer=adam. Repeatable.",
)
@as_json
def command(
    folder: Path, sort: str | None, reverse: bool, where: tuple[str, ...], as_json: bool
) -> None:
    r"""List the runs and sweeps in FOLDER (runs, if not given), the latest last.

    A sweep is a line with the means of its best trial; of the folder of a sweep the trials are
    listed, the best first. The settings in which the lines differ are columns.

    \b
    steepest runs experiments --sort val_acc
    steepest runs --where optimizer=adam --where "val_acc>0.9"
    steepest runs sweeps/digits
    """
    from steepest.sweeps.listing import differing, listed, ordered, selected

    rows = selected(listed(folder), where)
    if sort is not None:
        rows = ordered(rows, sort, falling=reverse)
    elif reverse:
        rows = rows[::-1]
    if as_json:
        names = differing(rows)
        told = [row | {"settings": {n: row["settings"].get(n) for n in names}} for row in rows]
        print_json({"folder": str(folder), "runs": told})
    elif not rows:
        missing = "" if folder.exists() else ": there is no such folder"
        click.echo(f"no runs {'of these ' if where else ''}in {folder}{missing}")
    else:
        _print_table(rows, sort)


def _print_table(rows: list[dict[str, Any]], sort: str | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from steepest.sweeps.listing import COLUMNS, differing, value_of

    columns = [*_SHOWN, *([sort] if sort in COLUMNS and sort not in _SHOWN else [])]
    settings = differing(rows)
    if sort in settings:  # what is sorted by is seen
        settings = [sort, *(name for name in settings if name != sort)]
    table = Table(box=SIMPLE_HEAD)
    for column in (*columns, *settings[:_MOST_SETTINGS]):
        table.add_column(column, no_wrap=True)
    for row in rows:
        cells = [_shown(row.get(column)) for column in columns]
        cells += [value_of(row["settings"], name) or "-" for name in settings[:_MOST_SETTINGS]]
        # Text, not markup: a folder may be called [red].
        table.add_row(*map(Text, cells))
    # As wide as it needs: a name cut short is of no use, and terminals wrap.
    Console(width=1000).print(table)
    if len(settings) > _MOST_SETTINGS:
        click.echo(f"they also differ in {', '.join(settings[_MOST_SETTINGS:])}")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
