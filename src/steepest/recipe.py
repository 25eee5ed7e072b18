"""Every setting of a run: one frozen dataclass, checked when it is made, to and from TOML."""

import math
import tomllib
from collections.abc import Callable
from dataclasses import Field, asdict, dataclass, field, fields, replace
from functools import partial
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
SAMPLINGS = ("shuffle", "blocks", "weighted")

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
    "layers": "hidden",
    "units": "hidden",
    "random_state": "seed",
    "random_seed": "seed",
    "validation_fraction": "validation",
    "val_split": "validation",
    "val_size": "validation",
    "test_size": "test",
    "test_split": "test",
    "label": "target",
    "label_column": "target",
    "normalize": "scaling",
    "standardize": "scaling",
    "batch": "batch_size",
    "alpha": "weight_decay",
    "decay": "weight_decay",
    "wd": "weight_decay",
    "n_threads": "threads",
    "n_jobs": "threads",
    "gpu": "device",
    "criterion": "loss",
    "loss_fn": "loss",
    "loss_function": "loss",
    "solver": "optimizer",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "lr_scheduler": "schedule",
    "lr_schedule": "schedule",
    "scheduler": "schedule",
    "warmup_steps": "warmup",
    "gradient_clip_val": "clip_norm",
    "max_grad_norm": "clip_norm",
    "clip_grad_norm": "clip_norm",
    "grad_clip": "clip_norm",
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


def _setting(
    default: Any,
    help: str,  # noqa: A002
    rule: Rule,
    *,
    group: str,
    unset: str = "none",
) -> Any:
    """A field. group: the heading it is shown under. unset: what a default of None comes to."""
    metadata = {"help": help, "rule": rule, "group": group, "unset": unset}
    return field(default=default, metadata=metadata)


# The headings of the settings, in the order of `steepest train --help`.
GROUPS = (
    *("Data", "Net", "Run", "Optimiser", "Schedule of the learning rate", "Loss"),
    *("Regularisation", "Augmentation", "Checks", "Record and checkpoints"),
)
_data = partial(_setting, group="Data")
_net = partial(_setting, group="Net")
_regularisation = partial(_setting, group="Regularisation")
_optimiser = partial(_setting, group="Optimiser")
_schedule = partial(_setting, group="Schedule of the learning rate")
_loss = partial(_setting, group="Loss")
_augmentation = partial(_setting, group="Augmentation")
_run = partial(_setting, group="Run")
_checks = partial(_setting, group="Checks")
_output = partial(_setting, group="Record and checkpoints")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run. Equal recipe, data and engine give equal weights.

    Each field is a keyword here, a key of recipe.toml and an option of `steepest train`
    (`batch_size` is `--batch-size`). Raises RecipeError that lists all mistakes at once.
    """

    data: str | None = _data(
        None, "file, folder or name of the data, where no object is given", _TEXT
    )
    target: str | None = _data(
        None, "column that holds the class", _TEXT, unset="none; tables need one"
    )
    ignore: tuple[str, ...] = _data(
        (), "columns to leave out, a,b,c", Rule(_is_names, "a list of column names")
    )
    image_size: int | None = _data(
        None,
        "resize the images of a folder to this many pixels",
        _whole(1).or_none(),
        unset="the images' own",
    )
    validation: float | str = _data(0.1, "share of the training rows, or a file", _PART)
    test: float | str = _data(0.0, "share of the training rows, or a file", _PART)
    scaling: str = _data(
        "auto", "auto, standardise, minmax, pixels (/255) or none", _one_of(SCALINGS)
    )
    scaling_range: tuple[float, ...] = _data(
        (0.0, 1.0),
        "what minmax scales to, l,u",
        Rule(_is_interval, "two numbers, the lower first"),
    )

    hidden: tuple[int, ...] | None = _net(
        None,
        "widths of the hidden layers, 64,64",
        Rule(
            lambda v: isinstance(v, tuple) and all(_is_int(n, 1) for n in v),
            "a list of widths of at least 1",
        ).or_none(),
        unset="100",
    )
    activation: str | None = _net(
        None, ", ".join(ACTIVATIONS), _one_of(ACTIVATIONS).or_none(), unset="relu"
    )
    init: str | None = _net(None, ", ".join(INITS), _one_of(INITS).or_none(), unset="auto")
    dropout: float = _regularisation(0.0, "share of hidden units dropped in each step", _BELOW_1)
    batch_norm: bool = _net(False, "normalise each hidden unit over the minibatch", _SWITCH)
    layer_norm: bool = _net(False, "normalise the hidden units of each row", _SWITCH)
    residual: bool = _net(False, "blocks that add to their input, x + f(x)", _SWITCH)
    stochastic_depth: float = _regularisation(
        0.0, "share of rows whose last residual block is left out", _BELOW_1
    )

    optimizer: str = _optimiser("sgd", ", ".join(OPTIMIZERS), _one_of(OPTIMIZERS))
    lr: float | Literal["auto"] | None = _optimiser(
        None,
        "learning rate, or auto to find one",
        Rule(lambda v: v == "auto" or _POSITIVE.holds(v), "a number above 0, or 'auto'").or_none(),
        unset=", ".join(f"{name} {rate:g}" for name, rate in _USUAL_LR.items()),
    )
    momentum: float = _optimiser(0.0, "momentum of SGD and RMSprop, 0 to below 1", _BELOW_1)
    nesterov: bool = _optimiser(False, "Nesterov's form of the momentum", _SWITCH)
    betas: tuple[float, ...] = _optimiser(
        (0.9, 0.999),
        "decay of Adam's two averages, a,b",
        Rule(
            lambda v: isinstance(v, tuple) and len(v) == 2 and all(map(_BELOW_1.holds, v)),
            "two numbers of at least 0 and below 1",
        ),
    )
    rms_decay: float = _optimiser(0.99, "decay of RMSprop's average", _BELOW_1)
    eps: float = _optimiser(1e-8, "added to the root that Adam and RMSprop divide by", _POSITIVE)
    weight_decay: float = _regularisation(
        0.0, "adds this times the weight to its gradient; with adamw to its step", _AT_LEAST_0
    )
    l1: float = _regularisation(0.0, "adds this times the sum of |w| to the loss", _AT_LEAST_0)
    l2: float = _regularisation(
        0.0, "adds this times the sum of w squared to the loss", _AT_LEAST_0
    )
    penalise_biases: bool = _regularisation(False, "l1 and l2 count biases too", _SWITCH)
    groups: dict[str, dict[str, float]] | None = _optimiser(
        None,
        'settings of parameters by name, {"0.*": {"lr_scale": 0.1}}',
        Rule(
            _are_groups,
            "a table of patterns with numbers of at least 0 for " + ", ".join(GROUP_SETTINGS),
        ).or_none(),
    )
    clip_norm: float | None = _optimiser(
        None, "scale the gradient down to this Euclidean norm", _POSITIVE.or_none()
    )
    clip_value: float | None = _optimiser(
        None, "cut each number of the gradient to this size", _POSITIVE.or_none()
    )
    accumulate: int = _optimiser(1, "minibatches whose gradients make one update", _whole(1))

    schedule: str = _schedule("constant", ", ".join(SCHEDULES), _one_of(SCHEDULES))
    warmup: float = _schedule(
        0,
        "steps (or share of the run) in which the learning rate grows from near 0",
        Rule(
            lambda v: _BELOW_1.holds(v) or _is_int(v, 1),
            "a whole number of steps, or a share of at least 0 and below 1",
        ),
    )
    gamma: float = _schedule(
        0.1,
        "factor of step, multistep, exponential and plateau",
        Rule(lambda v: _is_number(v) and 0 < v <= 1, "a number above 0 and at most 1"),
    )
    step_size: int = _schedule(10, "epochs between two steps of schedule step", _whole(1))
    milestones: tuple[int, ...] = _schedule(
        (),
        "epochs after which schedule multistep goes down, 10,15",
        Rule(
            lambda v: isinstance(v, tuple) and all(_is_int(n, 1) for n in v),
            "a list of epochs of at least 1",
        ),
    )
    restart_every: int | None = _schedule(
        None, "epochs after which schedule cosine begins again", _whole(1).or_none()
    )
    min_lr: float = _schedule(0.0, "where schedule cosine ends and plateau stops", _AT_LEAST_0)
    plateau_patience: int = _schedule(
        3, "epochs without a better validation loss before schedule plateau goes down", _whole(0)
    )
    ema: float = _regularisation(
        0.0, "decay of the average of the weights that is evaluated and kept, 0.999", _BELOW_1
    )
    swa: float = _regularisation(
        0.0, "share of the epochs, at the end, whose weights are averaged", _BELOW_1
    )
    early_stopping: bool = _regularisation(
        False, "stop when the validation loss no longer falls", _SWITCH
    )
    patience: int = _regularisation(
        5, "epochs that early stopping waits for a better one", _whole(1)
    )

    loss: str = _loss(
        "cross_entropy",
        "cross_entropy, focal, or multilabel: rows may have several classes or none",
        _one_of(LOSSES),
    )
    focal_gamma: float = _loss(2.0, "focusing exponent of the focal loss", _AT_LEAST_0)
    label_smoothing: float = _regularisation(
        0.0, "share of each target spread over all classes", _BELOW_1
    )
    class_weight: str | tuple[float, ...] | dict[str, float] | None = _loss(
        None,
        "balanced, or a weight of the loss for each class, 1,5",
        Rule(
            _is_class_weight,
            "'balanced', a list of numbers of at least 0, or a table of class names and numbers",
        ).or_none(),
    )
    pos_weight: float | None = _loss(
        None,
        "factor of the loss of rows that are of the class: the second of two, or each label",
        _POSITIVE.or_none(),
    )
    sampling: str = _run(
        "shuffle",
        "shuffle; blocks, for data larger than memory; weighted: draw rows by class weight",
        _one_of(SAMPLINGS),
    )

    mixup: float = _augmentation(0.0, "alpha of mixup's Beta distribution; 0 for none", _AT_LEAST_0)
    cutmix: float = _augmentation(
        0.0, "alpha of cutmix's Beta distribution; 0 for none", _AT_LEAST_0
    )
    cutout: int = _augmentation(0, "side in pixels of the square that cutout sets to 0", _whole(0))
    shift: int = _augmentation(
        0, "pixels by which images move at random, zeros following", _whole(0)
    )
    crop: int = _augmentation(0, "pixels of reflected border that random crops take in", _whole(0))
    flip: bool = _augmentation(False, "mirror images left to right, half of them", _SWITCH)

    batch_size: int | Literal["full"] = _run(
        32,
        "rows in a minibatch, or full",
        Rule(lambda v: v == "full" or _is_int(v, 1), "a whole number of at least 1, or 'full'"),
    )
    epochs: int = _run(10, "passes over the training rows", _whole(1))
    steps: int | None = _run(
        None, "stop after this many steps, before the epochs are over", _whole(1).or_none()
    )
    seed: int = _run(
        0,
        "decides the split, the first weights, the order and the masks",
        Rule(lambda v: _is_int(v, 0) and v < 2**63, "a whole number from 0 to 2**63 - 1"),
    )

    engine: str = _run("auto", "auto, native or torch", _one_of(ENGINES))
    threads: int | None = _run(
        None, "threads of the engine", _whole(1).or_none(), unset="as many as the work is worth"
    )
    device: str | None = _run(None, "cpu, cuda, cuda:1 ...", _TEXT, unset="the model's own")
    health: bool = _checks(True, "look for faults while it trains, and say why", _SWITCH)
    check: bool = _checks(True, "look for faults before the first step; errors stop it", _SWITCH)
    checkpoint_every: float = _output(
        60.0, "seconds between two checkpoints in the run's folder", _POSITIVE
    )
    checkpoint_steps: int | None = _output(
        None, "steps between two checkpoints, besides", _whole(1).or_none()
    )
    checkpoint_epochs: int | None = _output(
        None, "epochs between two checkpoints, besides", _whole(1).or_none()
    )
    keep_checkpoints: int = _output(
        2, "checkpoints that are kept: the newest, and the best weights beside them", _whole(1)
    )
    stop_at_nonfinite: bool = _checks(
        True, "end the run when the loss or a weight is not finite", _SWITCH
    )
    log_every: int | None = _output(
        None, "steps between two rows of the record", _whole(1).or_none(), unset="20 rows an epoch"
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

    @classmethod
    def of(cls, recipe: Any, settings: dict[str, Any]) -> "Recipe":
        """The recipe, None for the defaults, with these settings changed.

        Raises RecipeError for what is no recipe, such as the y of train(model, X, y).
        """
        if recipe is not None and not isinstance(recipe, Recipe):
            raise RecipeError(
                f"the third argument is the recipe, but it is a {type(recipe).__name__}: X and y "
                "go together, train(model, (X, y)), settings by name, train(model, data, lr=0.1)"
            )
        if "y" in settings and "y" not in FIELDS:
            raise RecipeError("there is no setting 'y': X and y go together, train(model, (X, y))")
        return (recipe or cls()).replace(**settings)

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
        except (tomllib.TOMLDecodeError, RecursionError) as error:
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


def settings_by_group() -> dict[str, list[Field[Any]]]:
    """The settings under their headings, in the order in which they are shown."""
    return {group: [f for f in fields(Recipe) if f.metadata["group"] == group] for group in GROUPS}


FIELDS: dict[str, str] = {f.name: f.metadata["help"] for f in fields(Recipe)}


def default_text(setting: Field[Any]) -> str:
    """The default of a setting as it is written on the command line, or what its absence means."""
    match setting.default:
        case None | ():
            return str(setting.metadata["unset"])
        case bool() as on:
            return "on" if on else "off"
        case tuple() as items:
            return ",".join(f"{item:g}" for item in items)
        case float() as number:
            return f"{number:g}"
    return str(setting.default)


def setting_called(name: str) -> str | None:
    """Our name of a setting that other libraries call `name`, or None."""
    return _ELSEWHERE.get(name)


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
        lambda r: r.loss != "multilabel" or r.sampling != "weighted",
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
