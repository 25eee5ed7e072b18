"""`steepest explain`: lecture, backprop, graph, descent, rule."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Group
from steepest.cli.options import as_json, print_json, recipe_options

_output = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write a file."
)


@click.group("explain", cls=Group)
def command() -> None:
    r"""Show backpropagation, a computational graph or a descent, step by step; or a health rule.

    \b
    steepest explain lecture
    steepest explain backprop runs/first --rows 4 -o ledger.html
    steepest explain graph "(x[0]+x[1])**2 + cos(x[0]+x[2])" --at 2,3,-2
    steepest explain descent moons -o descent.gif
    steepest explain rule LR_TOO_HIGH
    """


@command.command("rule")
@click.argument("code", required=False)
@as_json
def rule(code: str | None, as_json: bool) -> None:
    r"""Print the page of the health rule CODE: what it means, an example, the fix. Without: a list.

    \b
    steepest explain rule
    steepest explain rule LR_TOO_HIGH
    """
    from steepest.health.findings.pages import page_of
    from steepest.health.findings.registry import rules

    if code is not None:
        page = page_of(code)
        if as_json:
            print_json({"code": page.split()[1], "page": page})
        else:
            _print_page(page)
    elif as_json:
        listed = [{"code": r.code, "title": r.title, "rank": r.rank} for r in rules().values()]
        print_json({"rules": listed})
    else:
        _print_rules(rules().values())


def _print_page(page: str) -> None:
    """As a terminal shows Markdown, at most 100 columns wide; into a pipe as it is."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if console.is_terminal:
        console.print(Markdown(page), width=min(100, console.width))
    else:
        click.echo(page.rstrip())


def _print_rules(rules: Iterable[Any]) -> None:
    width = max(len(rule.code) for rule in rules)
    rank = ""
    for rule in rules:
        if rule.rank != rank:
            rank = rule.rank
            click.echo(f"{rank}:")
        click.echo(f"  {rule.code:{width}}  {rule.title}")


@command.command("lecture")
@_output
@as_json
def lecture(output: Path | None, as_json: bool) -> None:
    r"""Work out the lecture's numbers again; ends with 1 if one of them differs.

    First the result, then each number of the slides beside ours, equal or not at the precision
    that the slides print, then the 5-7-4-3 example, every step of it. -o writes the example as
    .html, .md or .txt.

    \b
    steepest explain lecture
    steepest explain lecture -o lecture.html
    """
    from steepest.explain.lecture import SLIPS, checks, lecture_ledger, print_lecture

    ledger, found = lecture_ledger(), checks()
    different = [check for check in found if not check.equal]
    if output is not None:
        ledger.save(output)
    if as_json:
        print_json(
            {
                "equal": not different,
                "checks": [check.to_dict() for check in found],
                "slips": list(SLIPS),
                "ledger": ledger.to_dict(),
            }
        )
    else:
        print_lecture(ledger, found)
    if different or not ledger.agrees:
        raise click.exceptions.Exit(1)


@command.command("backprop")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(), required=False)
@click.option("--target", show_default="the one trained on", help="Column that holds the class.")
@click.option("--rows", default=4, show_default=True, help="The first so many rows are explained.")
@_output
@as_json
def backprop(
    run: Path, source: str | None, target: str | None, rows: int, output: Path | None, as_json: bool
) -> None:
    r"""Work out a forward and a backward pass through the net in the folder RUN.

    On the first rows of SOURCE, by default of the data that it was trained on. -o writes .html,
    .md or .txt.

    \b
    steepest explain backprop runs/churn new.csv --rows 2
    """
    from steepest.explain.backprop.from_run import backprop_of_run
    from steepest.run import load_run

    ledger = backprop_of_run(load_run(run), source, target=target, rows=rows)
    _show(ledger, output, as_json)


@command.command("graph")
@click.argument("expression")
@click.option("--at", required=True, help="The numbers of x: 2,3,-2")
@_output
@as_json
def graph(expression: str, at: str, output: Path | None, as_json: bool) -> None:
    r"""Draw the computational graph of EXPRESSION in x, with values and gradients.

    -o writes .svg or .txt; without it, the graph is printed as text.

    \b
    steepest explain graph "x[0]*x[1] + sin(x[0])" --at 2,3
    """
    import torch

    from steepest.explain import graph as draw
    from steepest.explain.graph.expression import function_of

    try:
        numbers = [float(part) for part in at.split(",")]
    except ValueError:
        raise click.BadParameter(f"{at!r} is not numbers, a,b,c", param_hint="--at") from None
    x = torch.tensor(numbers, dtype=torch.float64)
    _show(draw(function_of(expression), x), output, as_json)


@command.command("descent")
@click.argument("source", type=click.Path(), default="moons")
@recipe_options
@click.option(
    "--batch-sizes",
    default="full,8,1",
    show_default=True,
    help="The trainings side by side: full, or samples a step.",
)
@click.option("--frames", default=300, show_default=True, help="Pictures from begin to end.")
@click.option("--fps", default=20.0, show_default=True, help="Pictures in a second.")
@click.option("--plane", help="Two weights whose surface is drawn: 0.weight[0,0] 0.bias[0]")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file: .gif, .html, .mp4 (needs ffmpeg), or .png for the last frame.",
)
@as_json
def descent(
    source: str,
    batch_sizes: str,
    frames: int,
    fps: float,
    plane: str | None,
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Film gradient descent on SOURCE: line, moons, spiral, or data with one or two inputs.

    Full batch, minibatch and incremental update side by side, from the same weights, in equal
    numbers of samples seen.

    \b
    steepest explain descent line -o line.gif
    steepest explain descent points.csv --target class -o descent.html
    """
    from steepest.explain import descent as film
    from steepest.explain.descent.animation_writer import require_format
    from steepest.recipe import Recipe

    require_format(output)  # before the work
    settings = {name: value for name, value in options.items() if value is not None}
    recipe, data = None, source
    if source.endswith(".toml"):
        recipe = Recipe.read(source)
        data = recipe.data or "moons"
    sizes = [size if size == "full" else _whole(size) for size in batch_sizes.split(",")]
    weights = plane.split() if plane else None
    if weights is not None and len(weights) != 2:
        raise click.BadParameter("name two weights with a space between", param_hint="--plane")
    made = film(
        data,
        recipe=recipe,
        batch_sizes=sizes,
        frames=frames,
        plane=None if weights is None else (weights[0], weights[1]),
        **settings,
    )
    made.save(output, fps=fps)
    if as_json:
        ends = [
            {"name": p.name, "steps": int(p.steps[-1]), "loss": float(p.losses[-1])}
            for p in made.paths
        ]
        print_json({"file": str(output), "frames": len(made), "paths": ends})
    else:
        click.echo(output)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither full nor a whole number", param_hint="--batch-sizes"
        ) from None


def _show(explained: Any, output: Path | None, as_json: bool) -> None:
    """Write the file if there is to be one, else print: as JSON, or as text."""
    if output is not None:
        explained.save(output)
    if as_json:
        print_json(explained.to_dict())
    elif output is not None:
        click.echo(output)
    else:
        _print(explained)


def _print(explained: Any) -> None:
    from rich.console import Console

    # Formulas hold square brackets, which are no markup here.
    Console(highlight=False, markup=False).print(explained)
