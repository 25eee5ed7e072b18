"""`steepest check`."""

import runpy
from pathlib import Path
from typing import Any

import click

from steepest.cli.help import Command
from steepest.cli.options import as_json, print_json, recipe_options
from steepest.cli.train import recipe_of
from steepest.cli.verdict import end_with, reasons_of, strict, verdict_of
from steepest.errors import DataError

_NAMES = ("model", "loss_fn", "optimizer", "train_loader", "val_loader")


@click.command("check", cls=Command)
@click.argument("source", type=click.Path())
@recipe_options
@click.option(
    "--seconds", type=float, default=2.0, show_default=True, help="Time for the experiments."
)
@strict
@as_json
def command(source: str, seconds: float, strict: bool, as_json: bool, **options: Any) -> None:
    r"""Look for faults before training: the cause first, with its evidence and its fix.

    SOURCE is what `train` takes, or a Python file that has model, loss_fn, optimizer, train_loader
    and, if there is one, val_loader, or a function make() that returns them: as a tuple in this
    order, a dict, or an object. Ends with 1 if there is a finding of severity error.

    \b
    steepest check customers.csv --target churned --lr 0.5
    steepest check recipe.toml
    steepest check training.py
    """
    findings = (
        _of_file(source, seconds) if source.endswith(".py") else _of_plan(source, seconds, options)
    )
    verdict = verdict_of(reasons_of(findings, strict=strict))
    if as_json:
        found = [f.to_dict() for f in findings]
        print_json({"findings": found, "triage": list(findings.triage), "verdict": verdict})
    else:
        click.echo(str(findings))
    end_with(verdict)


def _of_plan(source: str, seconds: float, options: dict[str, Any]) -> Any:
    recipe = recipe_of(source, options)

    from steepest.training.preflight import preflight
    from steepest.training.preparation import prepare

    return preflight(prepare(None, None, recipe), seconds, thorough=True)


def _of_file(source: str, seconds: float) -> Any:
    from steepest.health import check

    if not Path(source).is_file():
        raise DataError(f"{source} does not exist")
    try:
        names = runpy.run_path(source, run_name="__steepest_check__")
    except SystemExit:
        raise DataError(
            f"{source} exits while it is read: put what trains under __main__"
        ) from None
    found = _objects(names, source)
    objects: list[Any] = [found.get(name) for name in _NAMES]
    return check(*objects, seconds=seconds)


def _objects(names: dict[str, Any], source: str) -> dict[str, Any]:
    """The five objects by name. Raises DataError if model or loss_fn is missing."""
    make = names.get("make")
    if callable(make):
        made = _call(make)
        if isinstance(made, (tuple, list)):
            names = dict(zip(_NAMES, made, strict=False))
        elif isinstance(made, dict):
            names = made
        else:
            names = {name: getattr(made, name, None) for name in _NAMES}
    missing = [name for name in _NAMES[:2] if names.get(name) is None]
    if missing:
        raise DataError(
            f"{source} has no {' and no '.join(missing)}: give {', '.join(_NAMES)} as variables, "
            "or a function make() that returns them"
        )
    return names


def _call(make: Any) -> Any:
    """make(), or make(0) if it wants a seed."""
    import inspect

    needed = [
        p
        for p in inspect.signature(make).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return make(0) if needed else make()
