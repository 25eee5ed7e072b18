"""`steepest export`."""

from pathlib import Path
from typing import Literal

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, weights


@click.command("export", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@weights
@as_json
def command(run: Path, file: Path, weights: Literal["final", "best"], as_json: bool) -> None:
    r"""Write the classifier in the folder RUN as FILE, of the kind that the end of its name says.

    .onnx: preprocessing, net, temperature and class names in one ONNX graph. Its probabilities are
    compared with the classifier's before it is written. .pt2: the net alone by torch.export, from
    prepared rows to probabilities. .py: a script of plain PyTorch that trains the same net with the
    same losses. .md: a model card.

    \b
    steepest export runs/churn churn.onnx
    steepest export runs/churn train.py
    steepest export runs/churn README.md
    """
    from steepest.export import export_run
    from steepest.run import load_run

    written = export_run(load_run(run, weights=weights), file)
    if as_json:
        print_json(written)
    else:
        click.echo(written["path"])
        if "largest_difference" in written:
            click.echo(
                f"{written['rows_compared']} rows compared: their probabilities differ by at most "
                f"{written['largest_difference']:.2g}",
                err=True,
            )
