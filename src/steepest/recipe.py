"""Every setting of a run: one frozen dataclass, checked when it is made, to and from TOML."""

import math
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w

from steepest.errors import RecipeError, did_you_mean

ACTIVATIONS = ("tanh", "sigmoid", "relu", "leaky_relu", "gelu", "silu", "identity")
INITS = ("auto", "xavier", "he", "normal", "uniform", "zeros", "ones")
SCALINGS = ("auto", "standardise", "minmax", "pixels", "none")
ENGINES = ("auto", "native", "torch")

# What other libraries call our settings: a message that knows both spares a look-up.
_ELSEWHERE = {
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "max_epochs": "epochs",
    "n_epochs": "epochs",
    "max_iter": "epochs",
    "max_steps": "steps",
    "hidden_layer_sizes": "hidden",
    "random_state": "seed",
    "validation_fraction": "validation",
    "alpha": "weight_decay",
    "wd": "weight_decay",
    "n_threads": "threads",
}


def _setting(default: Any, help: str) -> Any:  # noqa: A002
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run. Equal recipe, data and engine give equal weights.

    Each field is a keyword here, a key of recipe.toml and an option of `steepest train`
    (`batch_size` is `--batch-size`). Raises RecipeError that lists all mistakes at once.
    """

    data: str | None = _setting(None, "file, folder or name of the data, where no object is given")
    target: str | None = _setting(None, "column that holds the class")
    ignore: tuple[str, ...] = _setting((), "columns to leave out, a,b,c")
    image_size: int | None = _setting(None, "resize the images of a folder to this many pixels")
    validation: float | str = _setting(0.1, "share of the training rows, or a file")
    test: float | str = _setting(0.0, "share of the training rows, or a file")
    scaling: str = _setting("auto", "auto, standardise, minmax, pixels (/255) or none")
    scaling_range: tuple[float, ...] = _setting((0.0, 1.0), "what minmax scales to, l,u [0,1]")

    hidden: tuple[int, ...] | None = _setting(None, "widths of the hidden layers, 64,64 [100]")
    activation: str | None = _setting(None, ", ".join(ACTIVATIONS) + " [relu]")
    init: str | None = _setting(None, ", ".join(INITS) + " [auto]")

    lr: float = _setting(0.1, "learning rate")
    momentum: float = _setting(0.0, "momentum of SGD, 0 to below 1")
    nesterov: bool = _setting(False, "Nesterov's form of the momentum")
    weight_decay: float = _setting(0.0, "adds this times the weight to its gradient, as in PyTorch")
    batch_size: int | Literal["full"] = _setting(32, "rows in a minibatch, or full")
    epochs: int = _setting(10, "passes over the training rows")
    steps: int | None = _setting(None, "stop after this many steps, before the epochs are over")
    seed: int = _setting(0, "decides the split, the first weights, the order and the masks")

    engine: str = _setting("auto", "auto, native or torch")
    threads: int | None = _setting(None, "threads of the engine")
    device: str | None = _setting(None, "cpu, cuda, cuda:1 ...; the model's own where not given")
    log_every: int | None = _setting(None, "steps between two rows of the record [20 an epoch]")

    def __new__(cls, **settings: Any) -> Self:
        """Refuse unknown names here, where the message can say what was meant."""
        raise_together([_unknown(name) for name in settings if name not in FIELDS])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in ("ignore", "hidden", "scaling_range"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        mistakes = []
        for name, (holds, expected) in _RULES.items():
            if not holds(value := getattr(self, name)):
                mistakes.append(f"{name} must be {expected}, but is {value!r}")
        if not mistakes:
            mistakes = [text for holds, text in _TOGETHER if not holds(self)]
        raise_together(mistakes)

    def replace(self, **settings: Any) -> "Recipe":
        """A copy with these settings changed."""
        raise_together([_unknown(name) for name in settings if name not in FIELDS])
        return replace(self, **settings)

    def to_dict(self) -> dict[str, Any]:
        """The settings that are not None, as plain values."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in plain.items() if v is not None}

    def to_toml(self) -> str:
        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, text: str, source: str = "recipe") -> "Recipe":
        """Raises RecipeError naming `source` if the text is not TOML or a setting is wrong."""
        try:
            settings = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{source} is not valid TOML: {error}") from None
        try:
            return cls(**settings)
        except RecipeError as error:
            raise RecipeError(f"{source}: {error}") from None

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """The recipe in a TOML file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read the recipe {path}: {error}") from None
        return cls.from_toml(text, str(path))


FIELDS: dict[str, str] = {f.name: f.metadata["help"] for f in fields(Recipe)}


def raise_together(mistakes: list[str]) -> None:
    """Raise one RecipeError for all mistakes, or none if there are none."""
    if mistakes:
        raise RecipeError("; ".join(mistakes))


def _unknown(name: str) -> str:
    if name in _ELSEWHERE:
        return f"unknown setting {name!r}: steepest calls it {_ELSEWHERE[name]!r}"
    hint = did_you_mean(name, FIELDS) or f": the settings are {', '.join(FIELDS)}"
    return f"unknown setting {name!r}{hint}"


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_names(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) for name in value)


def _is_interval(value: object) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
    return pair and value[0] < value[1]  # type: ignore[index]


def _none_or(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or holds(value)


def _one_of(names: tuple[str, ...]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in names, "one of " + ", ".join(names)


def _is_share_or_file(value: object) -> bool:
    return isinstance(value, str) or (_is_number(value) and 0 <= value < 1)  # type: ignore[operator]


_TEXT = (_none_or(lambda v: isinstance(v, str)), "a string")
_SHARE = (_is_share_or_file, "a share of at least 0 and below 1, or the path of a file")
_ACTIVATION, _INIT = _one_of(ACTIVATIONS), _one_of(INITS)

_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "data": _TEXT,
    "target": _TEXT,
    "ignore": (_is_names, "a list of column names"),
    "image_size": (_none_or(lambda v: _is_int(v, 1)), "a whole number of at least 1"),
    "validation": _SHARE,
    "test": _SHARE,
    "scaling": _one_of(SCALINGS),
    "scaling_range": (_is_interval, "two numbers, the lower first"),
    "hidden": (
        _none_or(lambda v: isinstance(v, tuple) and all(_is_int(n, 1) for n in v)),
        "a list of widths of at least 1",
    ),
    "activation": (_none_or(_ACTIVATION[0]), _ACTIVATION[1]),
    "init": (_none_or(_INIT[0]), _INIT[1]),
    "lr": (lambda v: _is_number(v) and v > 0, "a number above 0"),
    "momentum": (lambda v: _is_number(v) and 0 <= v < 1, "a number of at least 0 and below 1"),
    "nesterov": (lambda v: isinstance(v, bool), "true or false"),
    "weight_decay": (lambda v: _is_number(v) and v >= 0, "a number of at least 0"),
    "batch_size": (
        lambda v: v == "full" or _is_int(v, 1),
        "a whole number of at least 1, or 'full'",
    ),
    "epochs": (lambda v: _is_int(v, 1), "a whole number of at least 1"),
    "steps": (_none_or(lambda v: _is_int(v, 1)), "a whole number of at least 1"),
    "seed": (lambda v: _is_int(v, 0) and v < 2**63, "a whole number from 0 to 2**63 - 1"),
    "engine": _one_of(ENGINES),
    "threads": (_none_or(lambda v: _is_int(v, 1)), "a whole number of at least 1"),
    "device": _TEXT,
    "log_every": (_none_or(lambda v: _is_int(v, 1)), "a whole number of at least 1"),
}

_TOGETHER: list[tuple[Callable[[Recipe], bool], str]] = [
    (
        lambda r: not r.nesterov or r.momentum > 0,
        "nesterov is a form of the momentum, so it needs momentum above 0",
    ),
    (
        lambda r: (
            not (isinstance(r.validation, float) and isinstance(r.test, float))
            or r.validation + r.test < 1
        ),
        "validation and test together must leave rows to train on: their sum must be below 1",
    ),
]
