"""`steepest`: finds the command, imports it only then, and turns errors into exit codes."""

import io
import sys
import warnings
from importlib import import_module
from typing import Any, NoReturn

import click

from steepest.cli.help import Group
from steepest.cli.verdict import EXIT_CODES, FOUND, INTERRUPTED, MISTAKE
from steepest.errors import HealthError, SteepestError

# Command -> its line in `steepest --help`. Each lives in steepest.cli.<command>.
_COMMANDS = {
    "train": "Train a classifier on a file, a folder or a data set by name.",
    "resume": "Go on with a run from its newest checkpoint.",
    "check": "Look for faults before training: a recipe, data, or a Python file.",
    "find-lr": "Suggest a learning rate by a range test.",
    "sweep": "Train many times, with other settings and other seeds.",
    "evaluate": "Measure a trained run on labelled rows.",
    "predict": "Predict the class of new rows.",
    "explain": "Explain backpropagation, a graph, a descent, or a health rule.",
    "report": "Write a report of a run or a sweep: one HTML file.",
    "export": "Write a run's classifier as a file that other programs read: ONNX, .pt2, a card.",
    "runs": "List the runs and sweeps in a folder.",
    "compare": "Show what differs between runs, or trials of sweeps.",
    "board": "Watch runs and sweeps in the browser, while they train and after.",
}


def _keep_lines(command: click.Command) -> click.Command:
    r"""Make the \b of a raw docstring click's own mark: the lines below it stay as they are."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for inner in getattr(command, "commands", {}).values():
        _keep_lines(inner)
    return command


class _LazyGroup(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"steepest.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return _keep_lines(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, but from the table: listing the commands imports none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="steepest")
def _steepest() -> None:
    r"""Train neural-network classifiers by gradient descent.

    \b
    steepest train fashion-mnist --hidden 100 --activation tanh --epochs 3
    steepest train customers.csv --target churned --out runs/churn
    steepest evaluate runs/churn test.csv
    steepest predict runs/churn new.csv -o predictions.csv
    """


_keep_lines(_steepest)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _steepest.main(arguments, prog_name="steepest", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except SteepestError as error:
        print(f"error: {error}", file=sys.stderr)
        code = FOUND if isinstance(error, HealthError) else MISTAKE
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code or 0)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """One plain line instead of a place in our code."""
    print(f"note: {message}", file=sys.stderr)
