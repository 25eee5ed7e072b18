"""Every setting of a run, once: its default, help, values, and what it needs to have an effect.

From these fields the command line, the docs, the refusals and what a run may go on with are made.
Those of the data and the net are in model_settings.py, those of the training here.
"""

from dataclasses import Field, dataclass, fields
from typing import Any, Literal

from steepest.recipe.choices import (
    ADAMS,
    BEST_BY,
    ENGINES,
    FACTOR_SCHEDULES,
    FIRST_ORDER,
    LOSSES,
    OPTIMIZERS,
    PRECISIONS,
    SAMPLINGS,
    SCHEDULES,
    TASKS,
    USUAL_LR,
)
from steepest.recipe.model_settings import ModelSettings
from steepest.recipe.setting import GROUPS, Setting, needs, needs_any, setting_of, under
from steepest.recipe.values import (
    AT_LEAST_0,
    BATCH,
    BELOW_1,
    CLASS_WEIGHT,
    DECAYS,
    FACTOR,
    GROUPS_OF_PARAMETERS,
    POSITIVE,
    RATE,
    SEED,
    STEPS_OR_SHARE,
    SWITCH,
    TEXT,
    one_of,
    whole,
    whole_numbers,
)

_regularisation = under("Regularisation", rules_out_preset=True)
_augmentation = under("Augmentation", rules_out_preset=True)
_of_images = under("Augmentation")  # whoever gives one of these has the preset for images with it
_optimizer, _loss = (under(name, rules_out_preset=True) for name in ("Optimizer", "Loss"))
_run = under("Run")
_schedule = under("Schedule of the learning rate", resumable=True, rules_out_preset=True)
_checks = under("Checks", resumable=True)
_output = under("Record and checkpoints", resumable=True, affects_result=False)


@dataclass(frozen=True, kw_only=True)
class Settings(ModelSettings):
    """The fields of a recipe, by their headings."""

    optimizer: str = _optimizer("sgd", ", ".join(OPTIMIZERS), one_of(OPTIMIZERS))
    lr: float | Literal["auto"] | None = _optimizer(
        None,
        "learning rate, or auto to find one",
        RATE.or_none(),
        unset=", ".join(f"{name} {rate:g}" for name, rate in USUAL_LR.items()),
        resumable=True,
    )
    momentum: float = _optimizer(
        0.0,
        "momentum of SGD and RMSprop, 0 to below 1",
        BELOW_1,
        needs(optimizer=("sgd", "rmsprop")),
    )
    nesterov: bool = _optimizer(
        False,
        "Nesterov's form of the momentum",
        SWITCH,
        needs(optimizer=("sgd",)),
        needs_any("momentum"),
    )
    betas: tuple[float, ...] = _optimizer(
        (0.9, 0.999),
        "decay of Adam's two averages, a,b",
        DECAYS,
        needs(optimizer=(*ADAMS, "muon")),
    )
    rms_decay: float = _optimizer(
        0.99, "decay of RMSprop's average", BELOW_1, needs(optimizer=("rmsprop",))
    )
    eps: float = _optimizer(
        1e-8,
        "added to the root that Adam and RMSprop divide by",
        POSITIVE,
        needs(optimizer=(*ADAMS, "rmsprop", "muon")),
    )
    muon_momentum: float = _optimizer(
        0.95, "momentum of Muon, in Nesterov's form", BELOW_1, needs(optimizer=("muon",))
    )
    adamw_lr_scale: float = _optimizer(
        0.05,
        "factor of lr for what Muon leaves to AdamW: all but the hidden weights",
        POSITIVE,
        needs(optimizer=("muon",)),
    )
    weight_decay: float = _regularisation(
        0.0,
        "adds this times the weight to its gradient; with adamw and muon to its step",
        AT_LEAST_0,
        needs(optimizer=FIRST_ORDER),
    )
    l1: float = _regularisation(0.0, "adds this times the sum of |w| to the loss", AT_LEAST_0)
    l2: float = _regularisation(0.0, "adds this times the sum of w squared to the loss", AT_LEAST_0)
    penalise_biases: bool = _regularisation(
        False, "l1 and l2 count biases too", SWITCH, needs_any("l1", "l2")
    )
    groups: dict[str, dict[str, float]] | None = _optimizer(
        None,
        'settings of parameters by name or role, {"0.*": {"lr_scale": 0.1}, "biases": ...}',
        GROUPS_OF_PARAMETERS.or_none(),
    )
    clip_norm: float | None = _optimizer(
        None, "scale the gradient down to this Euclidean norm", POSITIVE.or_none()
    )
    clip_value: float | None = _optimizer(
        None, "cut each number of the gradient to this size", POSITIVE.or_none()
    )
    accumulate: int = _optimizer(1, "minibatches whose gradients make one update", whole(1))

    schedule: str = _schedule("constant", ", ".join(SCHEDULES), one_of(SCHEDULES))
    warmup: float = _schedule(
        0,
        "steps (or share of the run) in which the learning rate grows from near 0",
        STEPS_OR_SHARE,
    )
    gamma: float = _schedule(
        0.1,
        "factor of step, multistep, exponential and plateau",
        FACTOR,
        needs(schedule=("step", "multistep", "exponential", "plateau")),
    )
    step_size: int = _schedule(
        10, "epochs between two steps of schedule step", whole(1), needs(schedule=("step",))
    )
    milestones: tuple[int, ...] = _schedule(
        (),
        "epochs after which schedule multistep goes down, 10,15",
        whole_numbers("epochs"),
        needs(schedule=("multistep",)),
    )
    restart_every: int | None = _schedule(
        None,
        "epochs after which schedule cosine begins again",
        whole(1).or_none(),
        needs(schedule=("cosine",)),
    )
    min_lr: float = _schedule(
        0.0,
        "where schedules cosine, flat_cos and coslog4 end and plateau stops",
        AT_LEAST_0,
        needs(schedule=("cosine", "flat_cos", "coslog4", "plateau")),
    )
    plateau_patience: int = _schedule(
        3,
        "epochs without a better validation loss before schedule plateau goes down",
        whole(0),
        needs(schedule=("plateau",)),
    )
    weight_decay_schedule: str = _regularisation(
        "constant",
        "what weight decay is multiplied by: " + ", ".join(FACTOR_SCHEDULES),
        one_of(FACTOR_SCHEDULES),
        needs_any("weight_decay"),
    )
    dropout_schedule: str = _regularisation(
        "constant",
        "what the shares of dropout are multiplied by, in your own modules too",
        one_of(FACTOR_SCHEDULES),
    )
    ema: float = _regularisation(
        0.0, "decay of the average of the weights that is evaluated and kept, 0.999", BELOW_1
    )
    swa: float = _regularisation(
        0.0, "share of the epochs, at the end, whose weights are averaged", BELOW_1
    )
    best_by: str = _regularisation(
        "loss",
        "what the best epoch is the best by, on the validation part: " + ", ".join(BEST_BY),
        one_of(BEST_BY),
    )
    early_stopping: bool = _regularisation(
        False,
        "stop when the validation part no longer does better, by best_by",
        SWITCH,
        resumable=True,
    )
    patience: int = _regularisation(
        5,
        "epochs that early stopping waits for a better one",
        whole(1),
        needs_any("early_stopping"),
        resumable=True,
    )

    task: str = _loss(
        "auto",
        "multiclass, binary, or multilabel: rows may have several classes or none; auto takes one "
        "class in a row, as many as there are",
        one_of(TASKS),
    )
    loss: str = _loss(
        "cross_entropy",
        "cross_entropy or focal",
        one_of(LOSSES, moved={"multilabel": "task = 'multilabel'"}),
    )
    focal_gamma: float = _loss(
        2.0, "focusing exponent of the focal loss", AT_LEAST_0, needs(loss=("focal",))
    )
    label_smoothing: float = _regularisation(
        0.0, "share of each target spread over all classes", BELOW_1
    )
    label_smoothing_schedule: str = _regularisation(
        "constant",
        "what label_smoothing is multiplied by",
        one_of(FACTOR_SCHEDULES),
        needs_any("label_smoothing"),
    )
    class_weight: str | tuple[float, ...] | dict[str, float] | None = _loss(
        None,
        'balanced, or a weight of the loss for each class, 1,5 or {"yes": 5}',
        CLASS_WEIGHT.or_none(),
        rules_out_preset=False,
    )
    pos_weight: float | None = _loss(
        None,
        "factor of the loss of rows that are of the class: the second of two, or each label",
        POSITIVE.or_none(),
        rules_out_preset=False,
    )
    sampling: str = _run(
        "shuffle",
        "shuffle; blocks, for data larger than memory; weighted: draw rows by class weight",
        one_of(SAMPLINGS),
        rules_out_preset=True,
    )

    mixup: float = _augmentation(0.0, "alpha of mixup's Beta distribution; 0 for none", AT_LEAST_0)
    cutmix: float = _of_images(0.0, "alpha of cutmix's Beta distribution; 0 for none", AT_LEAST_0)
    cutout: int = _of_images(0, "side in pixels of the square that cutout sets to 0", whole(0))
    shift: int = _of_images(0, "pixels by which images move at random, zeros following", whole(0))
    crop: int = _of_images(0, "pixels of reflected border that random crops take in", whole(0))
    flip: bool = _of_images(False, "mirror images left to right, half of them", SWITCH)

    batch_size: int | Literal["full"] = _run(
        32, "rows in a minibatch, or full", BATCH, rules_out_preset=True
    )
    epochs: int = _run(10, "passes over the training rows", whole(1), resumable=True)
    steps: int | None = _run(
        None,
        "stop after this many steps, before the epochs are over",
        whole(1).or_none(),
        resumable=True,
        rules_out_preset=True,
    )
    members: int | None = _run(
        None,
        "nets that are trained at once and give their mean",
        whole(1).or_none(),
        unset="1, or as many as the preset has",
    )
    time_limit: float | None = _run(
        None,
        "seconds that training may take: it is planned to end by then, and does",
        POSITIVE.or_none(),
        resumable=True,
        resumable_with_members=True,
    )
    seed: int = _run(0, "decides the split, the first weights, the order and the masks", SEED)

    engine: str = _run("auto", "auto, native or torch", one_of(ENGINES), resumable=True)
    precision: str = _run(
        "float32",
        "of the products of linear layers: float32, or bf16, whose factors are rounded to bfloat16",
        one_of(PRECISIONS),
    )
    threads: int | None = _run(
        None,
        "threads of the engine",
        whole(1).or_none(),
        unset="as many as the work is worth",
        resumable=True,
        resumable_with_members=True,
    )
    device: str | None = _run(
        None,
        "cpu, cuda, cuda:1 ...",
        TEXT,
        unset="the model's own",
        resumable=True,
        rules_out_preset=True,
    )
    check: bool = _checks(
        True, "look for faults before the first step; errors stop it", SWITCH, affects_result=False
    )
    watch: bool = _checks(
        True, "look for faults while it trains, and say why", SWITCH, affects_result=False
    )
    checkpoint_every: float = _output(
        60.0,
        "seconds between two checkpoints in the run's folder",
        POSITIVE,
        resumable_with_members=True,
    )
    checkpoint_steps: int | None = _output(
        None, "steps between two checkpoints, besides", whole(1).or_none()
    )
    checkpoint_epochs: int | None = _output(
        None, "epochs between two checkpoints, besides", whole(1).or_none()
    )
    keep_checkpoints: int = _output(
        2,
        "checkpoints that are kept: the newest, and the best weights beside them",
        whole(1),
        resumable_with_members=True,
    )
    stop_on_nan: bool = _checks(
        True, "end the run when the loss or a weight is NaN or infinite", SWITCH
    )
    log_every: int | None = _output(
        None, "steps between two rows of the record", whole(1).or_none(), unset="20 rows an epoch"
    )


# By name, in the order of the fields.
SETTINGS: dict[str, Setting] = {setting.name: setting_of(setting) for setting in fields(Settings)}


def settings_by_group() -> dict[str, list[Field[Any]]]:
    """The settings under their headings, in the order in which they are shown."""
    by_group: dict[str, list[Field[Any]]] = {group: [] for group in GROUPS}
    for setting in fields(Settings):
        by_group[setting_of(setting).group].append(setting)
    return by_group
