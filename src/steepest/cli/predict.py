"""`steepest predict`."""

import sys
from pathlib import Path
from typing import Literal

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, weights


@click.command("predict", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path())
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    show_default="standard output",
    help="CSV file.",
)
@click.option("--proba", is_flag=True, help="Add a column with the probability of each class.")
@weights
@as_json
def command(
    run: Path,
    source: str,
    weights: Literal["final", "best"],
    output: Path | None,
    proba: bool,
    as_json: bool,
) -> None:
    r"""Predict the class of each row of SOURCE with the classifier in the folder RUN.

    \b
    steepest predict runs/churn new.csv -o predictions.csv --proba
    """
    import polars as pl

    from steepest.files import write_atomically
    from steepest.run import load_run

    classifier = load_run(run, weights=weights).classifier
    probabilities = classifier.predict_proba(source)
    decided = classifier.classes.decode(classifier.objective.decide(probabilities))
    if classifier.classes.multilabel:
        frame = pl.DataFrame(dict(zip(classifier.classes.names, decided.T, strict=True)))
    else:
        frame = pl.DataFrame({"prediction": decided})
    if proba:
        columns = zip(classifier.classes.names, probabilities.T, strict=True)
        frame = frame.with_columns(pl.Series(f"p({name})", column) for name, column in columns)
    if output is not None:
        write_atomically(output, frame.write_csv().encode())
    if as_json:
        result = {"rows": frame.height, "output": None if output is None else str(output)}
        print_json(result if output else result | frame.to_dict(as_series=False))
    elif output is None:
        table = frame.write_csv()
        # UTF-8, whatever the terminal's is; a stream of text, as in a notebook, takes it as it is.
        as_bytes = hasattr(sys.stdout, "buffer")
        click.echo(table.encode() if as_bytes else table, nl=False)
    else:
        click.echo(f"{frame.height} predictions in {output}", err=True)
