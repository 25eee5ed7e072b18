"""The recipe's fields as options, and output as JSON: what several commands share."""

import json
import math
from collections.abc import Callable
from typing import Any

import click

from steepest.cli.help import SettingOption
from steepest.recipe import Values, default_text, setting_of, settings_by_group

as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object on standard output; null for numbers that JSON lacks (NaN, inf).",
)


class _Value(click.ParamType[Any]):
    """The value of a setting, read from text; ValueError means that it does not fit."""

    def __init__(self, values: Values) -> None:
        self.name = values.metavar
        self._values = values

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._values.parse(value)
        except ValueError:
            self.fail(f"{value!r} is not {self._values.expected}", param, ctx)


class _Name(click.Choice[str]):
    """A setting of a few names; one that is said in another way now is answered with that."""

    def __init__(self, values: Values) -> None:
        super().__init__(values.names)
        self._values = values

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return super().get_invalid_choice_message(value, ctx) + self._values.now(value)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each field of the recipe but `data`; one that is not given is None."""
    fields = [field for group in settings_by_group().values() for field in group]
    for field in reversed([field for field in fields if field.name != "data"]):
        name, setting, values = field.name, setting_of(field), setting_of(field).values
        flag = "--" + name.replace("_", "-")
        option = click.option(
            f"{flag}/--no-{flag[2:]}" if values.switch else flag,
            name,
            type=None if values.switch else _type(values),
            cls=SettingOption,
            metavar=values.metavar,
            default=None,
            help=setting.help,
            group=setting.group,
            default_text=default_text(field),
        )
        command = option(command)
    return command


def _type(values: Values) -> click.ParamType[Any]:
    return _Name(values) if values.names else _Value(values)


def _loggers(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[Any, ...]:
    if not given:
        return ()
    from steepest.loggers import logger_from

    return tuple(map(logger_from, given))


log = click.option(
    "--log",
    "loggers",
    metavar="NAME:PLACE",
    multiple=True,
    callback=_loggers,
    help="Also tell a tracker, or several: tensorboard:FOLDER, mlflow:URI (sqlite:///mlflow.db), "
    "wandb:PROJECT (offline), trackio:PROJECT.",
)

weights = click.option(
    "--weights",
    type=click.Choice(["final", "best"]),
    default="final",
    show_default=True,
    help="Those that the run ended with, or of the epoch with the lowest validation loss.",
)


def print_json(value: Any) -> None:
    """One JSON object on standard output; numbers that JSON lacks (NaN, inf) become null."""
    click.echo(json.dumps(_finite(value), indent=1, default=str))


def _finite(value: Any) -> Any:
    match value:
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value
