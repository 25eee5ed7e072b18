"""`steepest runs`."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json


@click.command("runs", cls=Command)
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@as_json
def command(folder: Path, as_json: bool) -> None:
    r"""List the runs in FOLDER (runs, if not given), the latest last.

    \b
    steepest runs experiments
    """
    runs = [_row(path.parent) for path in sorted(folder.glob("*/layout.json"), key=_changed)]
    if as_json:
        print_json({"folder": str(folder), "runs": runs})
    elif not runs:
        click.echo(f"no runs in {folder}")
    else:
        _print_table(runs)


def _changed(path: Path) -> float:
    return path.lstat().st_mtime  # of a link itself, which may lead nowhere


def _row(folder: Path) -> dict[str, Any]:
    """What a run's record tells, without opening its model. A damaged run says so."""
    from steepest.errors import SteepestError
    from steepest.run import RECORD, Record

    try:
        with closing(Record.open(folder / RECORD)) as record:
            facts, epochs = record.info(), record.table("epochs")
    except SteepestError as error:
        return {"run": str(folder), "status": f"damaged: {error}"}
    last = epochs.tail(1).to_dicts()[0] if epochs.height else {}
    return {
        "run": str(folder),
        "status": facts.get("status", "running or killed"),
        "engine": facts.get("engine"),
        "epochs": epochs.height,
        "seconds": facts.get("seconds"),
        **{name: last.get(name) for name in ("train_loss", "train_acc", "val_loss", "val_acc")},
        "test_acc": facts.get("scores", {}).get("test", {}).get("accuracy"),
    }


def _print_table(runs: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = ("run", "status", "engine", "epochs", "seconds", "train_acc", "val_acc", "test_acc")
    table = Table(box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for run in runs:
        # Text, not markup: a folder may be called [red].
        table.add_row(*(Text(_shown(run.get(column))) for column in columns))
    # As wide as it needs: a name cut short is of no use, and terminals wrap.
    Console(width=1000).print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
