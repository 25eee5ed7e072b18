"""The recipe's fields as options, and output as JSON: what several commands share."""

import json
import math
from collections.abc import Callable
from typing import Any

import click

from steepest.cli.help import SettingOption
from steepest.recipe import (
    ACTIVATIONS,
    ENGINES,
    INITS,
    LOSSES,
    OPTIMIZERS,
    SAMPLINGS,
    SCALINGS,
    SCHEDULES,
    default_text,
    settings_by_group,
)

as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object on standard output; null for numbers that JSON lacks (NaN, inf).",
)


class _Parsed(click.ParamType[Any]):
    """A value that a function reads; ValueError means that it does not fit."""

    def __init__(self, name: str, parse: Callable[[str], Any], metavar: str) -> None:
        self.name = name
        self.metavar = metavar
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError:
            self.fail(f"{value!r} is not {self.name}", param, ctx)


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",")) if text.strip() else ()


def _share_or_file(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _rate(text: str) -> float | str:
    return text if text == "auto" else float(text)


def _steps_or_share(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def _class_weight(text: str) -> str | tuple[float, ...]:
    return text if text == "balanced" else tuple(float(part) for part in text.split(","))


_WIDTHS = _Parsed("whole numbers, a,b", _widths, "N,N")
_RATE = _Parsed("a number or auto", _rate, "X|auto")
_STEPS = _Parsed("steps or a share", _steps_or_share, "N|SHARE")
_CLASS_WEIGHT = _Parsed("balanced or numbers, a,b", _class_weight, "X,X")
_TABLE = _Parsed("a table in JSON", json.loads, "JSON")
_NAMES = _Parsed("names", lambda text: tuple(map(str.strip, text.split(","))), "A,B")
_RANGE = _Parsed("two numbers", lambda text: tuple(map(float, text.split(","))), "X,X")
_SHARE = _Parsed("share or file", _share_or_file, "SHARE|FILE")
_BATCH = _Parsed("a whole number or full", lambda t: t if t == "full" else int(t), "N|full")

_METAVARS: dict[Any, str] = {str: "NAME", int: "N", float: "X"}

_TYPES: dict[str, click.ParamType[Any] | type] = {
    "ignore": _NAMES,
    "validation": _SHARE,
    "test": _SHARE,
    "scaling": click.Choice(SCALINGS),
    "scaling_range": _RANGE,
    "hidden": _WIDTHS,
    "activation": click.Choice(ACTIVATIONS),
    "init": click.Choice(INITS),
    "optimizer": click.Choice(OPTIMIZERS),
    "lr": _RATE,
    "betas": _RANGE,
    "groups": _TABLE,
    "schedule": click.Choice(SCHEDULES),
    "warmup": _STEPS,
    "milestones": _WIDTHS,
    "loss": click.Choice(LOSSES),
    "class_weight": _CLASS_WEIGHT,
    "sampling": click.Choice(SAMPLINGS),
    "batch_size": _BATCH,
    "engine": click.Choice(ENGINES),
    **dict.fromkeys(("target", "device"), str),
    **dict.fromkeys(("image_size", "accumulate", "step_size", "restart_every"), int),
    **dict.fromkeys(("plateau_patience", "patience", "cutout", "shift", "crop"), int),
    **dict.fromkeys(("epochs", "steps", "seed", "threads", "log_every"), int),
    **dict.fromkeys(("checkpoint_steps", "checkpoint_epochs", "keep_checkpoints"), int),
    **dict.fromkeys(("dropout", "stochastic_depth", "momentum", "rms_decay", "eps"), float),
    **dict.fromkeys(("weight_decay", "l1", "l2", "clip_norm", "clip_value", "gamma"), float),
    **dict.fromkeys(("min_lr", "ema", "swa", "focal_gamma", "label_smoothing"), float),
    **dict.fromkeys(("pos_weight", "mixup", "cutmix", "checkpoint_every"), float),
    **dict.fromkeys(("batch_norm", "layer_norm", "residual", "nesterov"), bool),
    **dict.fromkeys(("penalise_biases", "early_stopping", "flip"), bool),
    **dict.fromkeys(("stop_at_nonfinite", "check", "health"), bool),
}


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each field of the recipe but `data`; one that is not given is None."""
    settings = [setting for group in settings_by_group().values() for setting in group]
    for setting in reversed([setting for setting in settings if setting.name != "data"]):
        name, kind = setting.name, _TYPES[setting.name]
        flag = "--" + name.replace("_", "-")
        option = click.option(
            f"{flag}/--no-{flag[2:]}" if kind is bool else flag,
            name,
            type=None if kind is bool else kind,
            cls=SettingOption,
            metavar=_metavar(kind),
            default=None,
            help=setting.metadata["help"],
            group=setting.metadata["group"],
            default_text=default_text(setting),
        )
        command = option(command)
    return command


def _metavar(kind: click.ParamType[Any] | type) -> str:
    """What a value looks like; the names that a choice allows are in its help."""
    if isinstance(kind, _Parsed):
        return kind.metavar
    return "NAME" if isinstance(kind, click.Choice) else _METAVARS.get(kind, "")


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
