"""Settings that do not go together, and those that have no effect beside the others."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import fields

from steepest.errors import Mistake
from steepest.recipe.setting import setting_of
from steepest.recipe.settings import Settings

# What a net for rows of numbers may have.
_OF_ROWS = (
    *("layer_norm", "parametric_activation", "scaling_layer", "batch_ensemble"),
    *("numeric_embedding", "category_embedding"),
)


def without_effect(recipe: Settings) -> Iterator[Mistake]:
    """What is wrong: a setting that was given a value and has no meaning beside the others."""
    settings = fields(recipe)
    values = {field.name: getattr(recipe, field.name) for field in settings}
    for field in settings:
        if values[field.name] == field.default:
            continue
        for needs in setting_of(field).needs:
            if not needs.met(values):
                yield Mistake(needs.otherwise(field.name, values), (field.name,))


def conflicts(recipe: Settings) -> Iterator[Mistake]:
    """Each pair of settings that does not go together."""
    return (Mistake(text, settings) for holds, settings, text in _TOGETHER if not holds(recipe))


def _has_equal_widths(hidden: tuple[int, ...] | None) -> bool:
    return any(one == other for one, other in itertools.pairwise(hidden or ()))


def _given_to_groups(recipe: Settings, *settings: str) -> bool:
    return any(name in own for own in (recipe.groups or {}).values() for name in settings)


_TOGETHER: list[tuple[Callable[[Settings], bool], tuple[str, ...], str]] = [
    (
        lambda r: (
            not (isinstance(r.validation, float) and isinstance(r.test, float))
            or r.validation + r.test < 1
        ),
        ("validation", "test"),
        "validation and test together must leave rows to train on: their sum must be below 1",
    ),
    (
        lambda r: not (r.batch_norm and r.layer_norm),
        ("batch_norm", "layer_norm"),
        "batch_norm and layer_norm take the same place in the net; choose one",
    ),
    (
        lambda r: not (r.batch_ensemble and r.batch_norm),
        ("batch_ensemble", "batch_norm"),
        "batch_norm has one mean for all members of batch_ensemble: choose layer_norm, or one of "
        "the two",
    ),
    (
        lambda r: r.numeric_embedding is None or r.scaling != "piecewise",
        ("numeric_embedding", "scaling"),
        "numeric_embedding and scaling piecewise both make several numbers of one; choose one",
    ),
    (
        lambda r: not r.parametric_activation or r.activation != "identity",
        ("parametric_activation", "activation"),
        "parametric_activation learns how much of the activation a unit takes, and of identity "
        "nothing is left: choose another activation",
    ),
    (
        lambda r: r.schedule != "multistep" or bool(r.milestones),
        ("schedule", "milestones"),
        "schedule multistep needs milestones, the epochs after which the learning rate falls",
    ),
    (
        lambda r: r.schedule != "one_cycle" or r.warmup == 0,
        ("schedule", "warmup"),
        "schedule one_cycle has a warm-up of its own: leave out warmup",
    ),
    (
        lambda r: r.optimizer != "lbfgs" or r.batch_size == "full",
        ("optimizer", "batch_size"),
        "lbfgs needs the gradient of all rows: set batch_size to 'full'",
    ),
    (
        lambda r: r.optimizer != "lbfgs" or (r.accumulate == 1 and r.mixup == r.cutmix == 0),
        ("optimizer", "accumulate", "mixup", "cutmix"),
        "lbfgs needs the same loss in every evaluation: it goes with neither accumulate nor mixup "
        "nor cutmix",
    ),
    (
        lambda r: r.clip_norm is None or r.clip_value is None,
        ("clip_norm", "clip_value"),
        "clip_norm and clip_value both bound the gradient; choose one",
    ),
    (
        lambda r: r.sampling != "weighted" or r.class_weight is not None,
        ("sampling", "class_weight"),
        "sampling weighted draws rows by class_weight: set class_weight, 'balanced' for instance",
    ),
    (
        lambda r: r.task != "multilabel" or r.sampling != "weighted",
        ("task", "sampling"),
        "sampling weighted draws rows by their one class: it does not go with task multilabel",
    ),
    (
        lambda r: r.task != "multilabel" or r.class_weight != "balanced",
        ("task", "class_weight"),
        "balanced class weights are for one class in a row: with task multilabel give numbers, or "
        "pos_weight",
    ),
    (
        lambda r: not (r.early_stopping and r.swa > 0),
        ("early_stopping", "swa"),
        "swa averages the last epochs and early_stopping goes back to one: choose one",
    ),
    (
        lambda r: not (r.ema > 0 and r.swa > 0),
        ("ema", "swa"),
        "ema and swa are both averages of the weights; choose one",
    ),
    (
        lambda r: r.loss != "focal" or r.label_smoothing == r.mixup == r.cutmix == 0,
        ("loss", "label_smoothing", "mixup", "cutmix"),
        "the focal loss is defined for whole targets: it goes with neither label_smoothing nor "
        "mixup nor cutmix",
    ),
    (
        lambda r: r.loss != "focal" or r.task != "multilabel",
        ("loss", "task"),
        "the focal loss is for one class in a row: it does not go with task multilabel",
    ),
    (
        lambda r: not r.residual or _has_equal_widths(r.hidden) or len(r.channels) > 1,
        ("residual", "hidden", "channels"),
        "residual adds a layer's input to its output: it needs two hidden layers of one width that "
        "follow each other, hidden = [100, 100] for instance, or two stages of channels",
    ),
    (
        lambda r: not (r.channels and any(getattr(r, name) for name in _OF_ROWS)),
        ("channels", *_OF_ROWS),
        f"channels describe a net for images, which has none of {', '.join(_OF_ROWS)}: leave out "
        "one of the two",
    ),
    (
        lambda r: r.optimizer != "lbfgs" or not _given_to_groups(r, "lr_scale", "weight_decay"),
        ("optimizer", "groups"),
        "lbfgs has one learning rate and no weight decay: groups may have l1 and l2 with it",
    ),
]
