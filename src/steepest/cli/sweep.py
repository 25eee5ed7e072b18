"""`steepest sweep`."""

import time
from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, recipe_options
from steepest.cli.train import recipe_of


@click.command("sweep", cls=Command)
@click.argument("source", type=click.Path())
@click.option(
    "--set",
    "space",
    multiple=True,
    metavar="SETTING=VALUES",
    help="What varies: lr=0.01,0.1,1; hidden=64;128,128; lr=log_uniform(1e-4,1). Repeatable.",
)
@click.option("--seeds", type=int, default=16, show_default=True, help="Seeds for each trial.")
@click.option("--random", is_flag=True, help="Trials at random points instead of a grid.")
@click.option("--sobol", is_flag=True, help="Trials at the points of Sobol's sequence.")
@click.option("--optuna", is_flag=True, help="Trials that Optuna asks for.")
@click.option("--trials", type=int, help="How many of them.")
@click.option(
    "--pruner",
    type=click.Choice(["none", "halving", "asha", "optuna"]),
    default="none",
    show_default=True,
    help="Whether trials that fall behind are ended early.",
)
@click.option("--metric", default="val_loss", show_default=True, help="What runs are compared by.")
@click.option(
    "--keep-best", type=int, default=1, show_default=True, help="Runs that keep their weights."
)
@click.option("--workers", type=int, help="Runs at once.  [default: one a processor]")
@click.option(
    "--ray",
    is_flag=False,
    flag_value="auto",
    metavar="[HOST:PORT]",
    help="Runs are trained by the Ray cluster with this head; alone: by the one that runs here.",
)
@click.option("--resume", is_flag=True, help="Go on with the sweep in --out.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    show_default="sweeps/NAME-TIME",
    help="Folder of the sweep.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "table", "lines", "none"]),
    default="auto",
    show_default=True,
    help="How the sweep shows itself on standard error.",
)
@click.option("--quiet", is_flag=True, help="The same as --progress none.")
@recipe_options
@as_json
def command(
    source: str,
    space: tuple[str, ...],
    random: bool,
    sobol: bool,
    optuna: bool,
    out: Path | None,
    as_json: bool,
    seeds: int,
    trials: int | None,
    metric: str,
    pruner: str,
    keep_best: int,
    workers: int | None,
    ray: str | None,
    resume: bool,
    progress: str,
    quiet: bool,
    **options: Any,
) -> None:
    r"""Train SOURCE, a file, a data set by name or a recipe.toml, with other settings and seeds.

    \b
    steepest sweep digits --set lr=0.01,0.1,1 --set "hidden=64;128,128"
    steepest sweep r.toml --set "lr=log_uniform(1e-4,1)" --random --trials 50
    steepest sweep r.toml --set batch_size=8,32 --out sweeps/b --resume
    """
    samplers = {"random": random, "sobol": sobol, "optuna": optuna}
    chosen = [name for name, asked in samplers.items() if asked]
    if len(chosen) > 1:
        raise click.UsageError(f"--{' and --'.join(chosen)} are several samplers: choose one")
    if resume and out is None:
        raise click.UsageError("--resume needs --out, the folder of the sweep to go on with")
    recipe = recipe_of(source, options)
    if out is None:
        name = Path(recipe.data or "data").stem
        out = Path("sweeps", f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    from steepest.sweeps import Space, sweep

    found = sweep(
        recipe,
        Space.from_text(space),
        seeds=seeds,
        sampler=chosen[0] if chosen else "grid",
        trials=trials,
        metric=metric,
        pruner=pruner,
        keep_best=keep_best,
        workers=workers,
        ray=ray,
        resume=resume,
        progress="none" if quiet else progress,
        out=out,
    )
    if as_json:
        print_json(
            {
                "sweep": str(out),
                "info": found.info,
                "results": found.results.to_dicts(),
                "trials": found.summary().to_dicts(),
                "findings": found.findings.to_dicts(),
            }
        )
    else:
        _print(found, out)
    if found.results["status"].null_count():
        raise KeyboardInterrupt


def _print(found: Any, out: Path) -> None:
    """The best trials, and where the sweep lies."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    best = found.summary().head(10).drop("std")
    table = Table(box=SIMPLE_HEAD)
    for column in best.columns:
        table.add_column(f"{found.metric} {column}" if column == "mean" else column)
    for row in best.iter_rows():
        table.add_row(*(Text("-" if v is None else _text(v)) for v in row))
    Console(width=1000).print(table)
    if best["n"].len() > 1 and best["n"][1]:  # two that can be compared
        click.echo(str(found.compare()))
    for row in found.findings.iter_rows(named=True):
        click.echo(
            f"{row['code']} in {row['runs']} of {row['of']} runs; one of them: {row['message']}"
        )
    click.echo(repr(found)[1:-1])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
