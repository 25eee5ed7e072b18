"""`steepest report`."""

from pathlib import Path

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json


@click.command("report", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(), required=False)
@click.option("--target", show_default="the one trained on", help="Column that holds the class.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
@as_json
def command(run: Path, source: str | None, target: str | None, output: Path, as_json: bool) -> None:
    r"""Write a report of the run or sweep in the folder RUN: one HTML file that needs nothing else.

    The predictions of a run are those on the labelled rows of SOURCE, by default on its test or
    validation part.

    \b
    steepest report runs/churn -o report.html
    steepest report runs/churn march.csv -o march.html
    steepest report sweeps/churn -o sweep.html
    """
    from steepest.records.layout import SWEEP_RECORD

    if (run / SWEEP_RECORD).exists():
        if source is not None or target is not None:
            raise click.UsageError(
                "the report of a sweep predicts no rows: leave out SOURCE, --target"
            )
        from steepest.report import write_sweep_report
        from steepest.sweeps import load_sweep

        path = write_sweep_report(load_sweep(run), output)
    else:
        from steepest.report import write_report
        from steepest.run import load_run

        path = write_report(load_run(run), output, samples=source, target=target)
    if as_json:
        print_json({"report": str(path)})
    else:
        click.echo(path)
