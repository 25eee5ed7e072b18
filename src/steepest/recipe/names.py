"""What other libraries call our settings: a message that knows both spares a look-up."""

from collections.abc import Collection, Iterable

from steepest.errors import did_you_mean
from steepest.recipe.strange import shown

_MOST_UNKNOWN = 10
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
    "filters": "channels",
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
    "health": "watch",
    "stop_at_nonfinite": "stop_on_nan",
    "terminate_on_nan": "stop_on_nan",
    "cutmix_alpha": "cutmix",
    "dtype": "precision",
    "amp": "precision",
    "bf16": "precision",
}


def setting_called(name: str) -> str | None:
    """Our name of a setting that other libraries call `name`, or None."""
    return _ELSEWHERE.get(name)


def unknown_names(names: Iterable[str], known: Collection[str]) -> list[str]:
    """What a message says of each name that is not known; of a strange file the first few will do.

    Each is compared with all known ones, which takes a millisecond.
    """
    strange = [name for name in names if name not in known]
    shown = [unknown(name, known) for name in strange[:_MOST_UNKNOWN]]
    further = len(strange) - len(shown)
    return [*shown, f"and {further} further unknown settings"] if further else shown


def unknown(name: str, known: Iterable[str]) -> str:
    """What a message says of a setting that does not exist. known: those that do."""
    if name in _ELSEWHERE:
        return f"unknown setting {name!r}: steepest calls it {_ELSEWHERE[name]!r}"
    hint = did_you_mean(name, known) or f": the settings are {', '.join(known)}"
    return f"unknown setting {shown(name)}{hint}"
