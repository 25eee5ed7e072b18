"""Every setting of a run: one frozen dataclass, checked when it is made, to and from TOML."""

import math
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import tomli_w

from steepest.errors import RecipeError, did_you_mean

ACTIVATIONS = ("tanh", "sigmoid", "relu", "leaky_relu", "gelu", "silu", "identity")
INITS = ("auto", "xavier", "he", "normal", "uniform", "zeros", "ones")
SCALINGS = ("auto", "standardise", "minmax", "pixels", "none")
ENGINES = ("auto", "native", "torch")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "lbfgs")
SCHEDULES = ("constant", "step", "multistep", "exponential", "cosine", "one_cycle", "plateau")
LOSSES = ("cross_entropy", "focal", "multilabel")
SAMPLINGS = ("shuffle", "weighted")

# The learning rate where none is given: each optimiser's usual one.
_USUAL_LR = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "lbfgs": 1.0}
# What a group of parameters may have of its own.
GROUP_SETTINGS = ("lr_scale", "weight_decay", "l1", "l2")

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
    "solver": "optimizer",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "lr_scheduler": "schedule",
    "lr_schedule": "schedule",
    "scheduler": "schedule",
    "warmup_steps": "warmup",
    "gradient_clip_val": "clip_norm",
    "max_grad_norm": "clip_norm",
    "accumulate_grad_batches": "accumulate",
    "gradient_accumulation_steps": "accumulate",
    "drop_path": "stochastic_depth",
    "n_iter_no_change": "patience",
    "class_weights": "class_weight",
    "ema_decay": "ema",
    "mixup_alpha": "mixup",
    "cutmix_alpha": "cutmix",
}


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_names(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) for name in value)


def _is_interval(value: object) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
    return pair and value[0] < value[1]  # type: ignore[index]


def _is_share_or_file(value: object) -> bool:
    return isinstance(value, str) or (_is_number(value) and 0 <= value < 1)  # type: ignore[operator]


def _are_weights(values: Any) -> bool:
    return len(values) > 0 and all(_is_number(value) and value >= 0 for value in values)


def _is_class_weight(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and _are_weights(value.values())
    return value == "balanced" or (isinstance(value, tuple) and _are_weights(value))


def _are_groups(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(pattern, str)
        and isinstance(own, dict)
        and all(name in GROUP_SETTINGS for name in own)
        and _are_weights(own.values())
        for pattern, own in value.items()
    )


class Rule(NamedTuple):
    """What a setting must be: the test, and in words."""

    holds: Callable[[Any], bool]
    expected: str

    def or_none(self) -> "Rule":
        return Rule(lambda value: value is None or self.holds(value), self.expected)


def _one_of(names: tuple[str, ...]) -> Rule:
    return Rule(lambda value: value in names, "one of " + ", ".join(names))


def _whole(least: int) -> Rule:
    return Rule(lambda v: _is_int(v, least), f"a whole number of at least {least}")


_TEXT = Rule(lambda v: isinstance(v, str), "a string").or_none()
_SWITCH = Rule(lambda v: isinstance(v, bool), "true or false")
_POSITIVE = Rule(lambda v: _is_number(v) and v > 0, "a number above 0")
_AT_LEAST_0 = Rule(lambda v: _is_number(v) and v >= 0, "a number of at least 0")
_BELOW_1 = Rule(lambda v: _is_number(v) and 0 <= v < 1, "a number of at least 0 and below 1")
_PART = Rule(_is_share_or_file, "a share of at least 0 and below 1, or the path of a file")


def _setting(default: Any, help: str, rule: Rule) -> Any:  # noqa: A002
    return field(default=default, metadata={"help": help, "rule": rule})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run. Equal recipe, data and engine give equal weights.

    Each field is a keyword here, a key of recipe.toml and an option of `steepest train`
    (`batch_size` is `--batch-size`). Raises RecipeError that lists all mistakes at once.
    """

    data: str | None = _setting(
        None, "file, folder or name of the data, where no object is given", _TEXT
    )
    target: str | None = _setting(None, "column that holds the class", _TEXT)
    ignore: tuple[str, ...] = _setting(
        (), "columns to leave out, a,b,c", Rule(_is_names, "a list of column names")
    )
    image_size: int | None = _setting(
        None, "resize the images of a folder to this many pixels", _whole(1).or_none()
    )
    validation: float | str = _setting(0.1, "share of the training rows, or a file", _PART)
    test: float | str = _setting(0.0, "share of the training rows, or a file", _PART)
    scaling: str = _setting(
        "auto", "auto, standardise, minmax, pixels (/255) or none", _one_of(SCALINGS)
    )
    scaling_range: tuple[float, ...] = _setting(
        (0.0, 1.0),
        "what minmax scales to, l,u [0,1]",
        Rule(_is_interval, "two numbers, the lower first"),
    )

    hidden: tuple[int, ...] | None = _setting(
        None,
        "widths of the hidden layers, 64,64 [100]",
        Rule(
            lambda v: isinstance(v, tuple) and all(_is_int(n, 1) for n in v),
            "a list of widths of at least 1",
        ).or_none(),
    )
    activation: str | None = _setting(
        None, ", ".join(ACTIVATIONS) + " [relu]", _one_of(ACTIVATIONS).or_none()
    )
    init: str | None = _setting(None, ", ".join(INITS) + " [auto]", _one_of(INITS).or_none())
    dropout: float = _setting(0.0, "share of hidden units dropped in each step", _BELOW_1)
    batch_norm: bool = _setting(False, "normalise each hidden unit over the minibatch", _SWITCH)
    layer_norm: bool = _setting(False, "normalise the hidden units of each row", _SWITCH)
    residual: bool = _setting(False, "blocks that add to their input, x + f(x)", _SWITCH)
    stochastic_depth: float = _setting(
        0.0, "share of rows whose last residual block is left out", _BELOW_1
    )

    optimizer: str = _setting("sgd", ", ".join(OPTIMIZERS), _one_of(OPTIMIZERS))
    lr: float | Literal["auto"] | None = _setting(
        None,
        "learning rate, or auto to find one [0.1; adam, adamw, rmsprop 0.001; lbfgs 1]",
        Rule(lambda v: v == "auto" or _POSITIVE.holds(v), "a number above 0, or 'auto'").or_none(),
    )
    momentum: float = _setting(0.0, "momentum of SGD and RMSprop, 0 to below 1", _BELOW_1)
    nesterov: bool = _setting(False, "Nesterov's form of the momentum", _SWITCH)
    betas: tuple[float, ...] = _setting(
        (0.9, 0.999),
        "decay of Adam's two averages [0.9,0.999]",
        Rule(
            lambda v: isinstance(v, tuple) and len(v) == 2 and all(map(_BELOW_1.holds, v)),
            "two numbers of at least 0 and below 1",
        ),
    )
    rms_decay: float = _setting(0.99, "decay of RMSprop's average", _BELOW_1)
    eps: float = _setting(1e-8, "added to the root that Adam and RMSprop divide by", _POSITIVE)
    weight_decay: float = _setting(
        0.0, "adds this times the weight to its gradient; with adamw to its step", _AT_LEAST_0
    )
    l1: float = _setting(0.0, "adds this times the sum of |w| to the loss", _AT_LEAST_0)
    l2: float = _setting(0.0, "adds this times the sum of w squared to the loss", _AT_LEAST_0)
    penalise_biases: bool = _setting(False, "l1 and l2 count biases too", _SWITCH)
    groups: dict[str, dict[str, float]] | None = _setting(
        None,
        'settings of parameters by name, {"0.*": {"lr_scale": 0.1}}',
        Rule(
            _are_groups,
            "a table of patterns with numbers of at least 0 for " + ", ".join(GROUP_SETTINGS),
        ).or_none(),
    )
    clip_norm: float | None = _setting(
        None, "scale the gradient down to this Euclidean norm", _POSITIVE.or_none()
    )
    clip_value: float | None = _setting(
        None, "cut each number of the gradient to this size", _POSITIVE.or_none()
    )
    accumulate: int = _setting(1, "minibatches whose gradients make one update", _whole(1))

    schedule: str = _setting("constant", ", ".join(SCHEDULES), _one_of(SCHEDULES))
    warmup: float = _setting(
        0,
        "steps (or share of the run) in which the learning rate grows from near 0",
        Rule(
            lambda v: _BELOW_1.holds(v) or _is_int(v, 1),
            "a whole number of steps, or a share of at least 0 and below 1",
        ),
    )
    gamma: float = _setting(
        0.1,
        "factor of step, multistep, exponential and plateau [0.1]",
        Rule(lambda v: _is_number(v) and 0 < v <= 1, "a number above 0 and at most 1"),
    )
    step_size: int = _setting(10, "epochs between two steps of schedule step", _whole(1))
    milestones: tuple[int, ...] = _setting(
        (),
        "epochs after which schedule multistep goes down, 10,15",
        Rule(
            lambda v: isinstance(v, tuple) and all(_is_int(n, 1) for n in v),
            "a list of epochs of at least 1",
        ),
    )
    restart_every: int | None = _setting(
        None, "epochs after which schedule cosine begins again", _whole(1).or_none()
    )
    min_lr: float = _setting(0.0, "where schedule cosine ends and plateau stops", _AT_LEAST_0)
    plateau_patience: int = _setting(
        3, "epochs without a better validation loss before schedule plateau goes down", _whole(0)
    )
    ema: float = _setting(
        0.0, "decay of the average of the weights that is evaluated and kept, 0.999", _BELOW_1
    )
    swa: float = _setting(
        0.0, "share of the epochs, at the end, whose weights are averaged", _BELOW_1
    )
    early_stopping: bool = _setting(False, "stop when the validation loss no longer falls", _SWITCH)
    patience: int = _setting(5, "epochs that early stopping waits for a better one", _whole(1))

    loss: str = _setting(
        "cross_entropy",
        "cross_entropy, focal, or multilabel: rows may have several classes or none",
        _one_of(LOSSES),
    )
    focal_gamma: float = _setting(2.0, "focusing exponent of the focal loss", _AT_LEAST_0)
    label_smoothing: float = _setting(0.0, "share of each target spread over all classes", _BELOW_1)
    class_weight: str | tuple[float, ...] | dict[str, float] | None = _setting(
        None,
        "balanced, or a weight of the loss for each class, 1,5",
        Rule(
            _is_class_weight,
            "'balanced', a list of numbers of at least 0, or a table of class names and numbers",
        ).or_none(),
    )
    pos_weight: float | None = _setting(
        None,
        "factor of the loss of rows that are of the class: the second of two, or each label",
        _POSITIVE.or_none(),
    )
    sampling: str = _setting(
        "shuffle", "shuffle, or weighted: draw rows by class weight", _one_of(SAMPLINGS)
    )

    mixup: float = _setting(0.0, "alpha of mixup's Beta distribution; 0 for none", _AT_LEAST_0)
    cutmix: float = _setting(0.0, "alpha of cutmix's Beta distribution; 0 for none", _AT_LEAST_0)
    cutout: int = _setting(0, "side in pixels of the square that cutout sets to 0", _whole(0))
    shift: int = _setting(0, "pixels by which images move at random, zeros following", _whole(0))
    crop: int = _setting(0, "pixels of reflected border that random crops take in", _whole(0))
    flip: bool = _setting(False, "mirror images left to right, half of them", _SWITCH)

    batch_size: int | Literal["full"] = _setting(
        32,
        "rows in a minibatch, or full",
        Rule(lambda v: v == "full" or _is_int(v, 1), "a whole number of at least 1, or 'full'"),
    )
    epochs: int = _setting(10, "passes over the training rows", _whole(1))
    steps: int | None = _setting(
        None, "stop after this many steps, before the epochs are over", _whole(1).or_none()
    )
    seed: int = _setting(
        0,
        "decides the split, the first weights, the order and the masks",
        Rule(lambda v: _is_int(v, 0) and v < 2**63, "a whole number from 0 to 2**63 - 1"),
    )

    engine: str = _setting("auto", "auto, native or torch", _one_of(ENGINES))
    threads: int | None = _setting(None, "threads of the engine", _whole(1).or_none())
    device: str | None = _setting(
        None, "cpu, cuda, cuda:1 ...; the model's own where not given", _TEXT
    )
    check: bool = _setting(True, "look for faults before the first step; errors stop it", _SWITCH)
    checkpoint_every: float = _setting(
        60.0, "seconds between two checkpoints in the run's folder", _POSITIVE
    )
    keep_checkpoints: int = _setting(2, "checkpoints that are kept, the newest", _whole(1))
    log_every: int | None = _setting(
        None, "steps between two rows of the record [20 an epoch]", _whole(1).or_none()
    )

    def __new__(cls, **settings: Any) -> Self:
        """Refuse unknown names here, where the message can say what was meant."""
        raise_together([_unknown(name) for name in settings if name not in FIELDS])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        mistakes = []
        for setting in fields(self):
            name, value, rule = setting.name, getattr(self, setting.name), setting.metadata["rule"]
            if isinstance(value, list):
                value = tuple(value)
                object.__setattr__(self, name, value)
            if not rule.holds(value):
                mistakes.append(f"{name} must be {rule.expected}, but is {value!r}")
        if not mistakes:
            mistakes = [text for holds, text in _TOGETHER if not holds(self)]
        raise_together(mistakes)

    def replace(self, **settings: Any) -> "Recipe":
        """A copy with these settings changed."""
        raise_together([_unknown(name) for name in settings if name not in FIELDS])
        return replace(self, **settings)

    @property
    def base_lr(self) -> float:
        """The learning rate that the schedule starts from: `lr`, or the optimiser's usual one."""
        return self.lr if isinstance(self.lr, (int, float)) else _USUAL_LR[self.optimizer]

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
    (
        lambda r: r.momentum == 0 or r.optimizer in ("sgd", "rmsprop"),
        "momentum belongs to sgd and rmsprop; adam and adamw have betas",
    ),
    (
        lambda r: not r.nesterov or r.optimizer == "sgd",
        "nesterov is a form of the momentum of sgd",
    ),
    (
        lambda r: not (r.batch_norm and r.layer_norm),
        "batch_norm and layer_norm take the same place in the net; choose one",
    ),
    (
        lambda r: r.stochastic_depth == 0 or r.residual,
        "stochastic_depth leaves out residual blocks, so it needs residual = true",
    ),
    (
        lambda r: r.schedule != "multistep" or bool(r.milestones),
        "schedule multistep needs milestones, the epochs after which the learning rate falls",
    ),
    (
        lambda r: r.schedule != "one_cycle" or r.warmup == 0,
        "schedule one_cycle has a warm-up of its own: leave out warmup",
    ),
    (
        lambda r: r.restart_every is None or r.schedule == "cosine",
        "restart_every belongs to schedule cosine",
    ),
    (
        lambda r: r.optimizer != "lbfgs" or r.batch_size == "full",
        "lbfgs needs the gradient of all rows: set batch_size to 'full'",
    ),
    (
        lambda r: r.optimizer != "lbfgs" or (r.accumulate == 1 and r.mixup == r.cutmix == 0),
        "lbfgs needs the same loss in every evaluation: it goes with neither accumulate nor mixup "
        "nor cutmix",
    ),
    (
        lambda r: r.clip_norm is None or r.clip_value is None,
        "clip_norm and clip_value both bound the gradient; choose one",
    ),
    (
        lambda r: r.sampling != "weighted" or r.class_weight is not None,
        "sampling weighted draws rows by class_weight: set class_weight, 'balanced' for instance",
    ),
    (
        lambda r: r.loss != "multilabel" or r.sampling == "shuffle",
        "sampling weighted draws rows by their one class: it does not go with loss multilabel",
    ),
    (
        lambda r: r.loss != "multilabel" or r.class_weight != "balanced",
        "balanced class weights are for one class in a row: with loss multilabel give numbers, or "
        "pos_weight",
    ),
    (
        lambda r: not (r.early_stopping and r.swa > 0),
        "swa averages the last epochs and early_stopping goes back to one: choose one",
    ),
    (
        lambda r: not (r.ema > 0 and r.swa > 0),
        "ema and swa are both averages of the weights; choose one",
    ),
    (
        lambda r: r.loss != "focal" or r.label_smoothing == r.mixup == r.cutmix == 0,
        "the focal loss is defined for whole targets: it goes with neither label_smoothing nor "
        "mixup nor cutmix",
    ),
]
