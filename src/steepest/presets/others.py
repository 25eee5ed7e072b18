"""The presets for images and for the lecture's own training."""

from typing import Any

from steepest.presets.preset import Meeting, Preset
from steepest.recipe import Recipe


def _image(met: Meeting, recipe: Recipe) -> dict[str, Any]:
    """The recipe of examples/fashion.toml in fewer epochs; its page is docs/toolbox/recipe.md."""
    return {
        "members": 1,
        "hidden": (512, 512),
        "activation": "relu",
        "batch_norm": True,
        "dropout": 0.3,
        "optimizer": "adamw",
        "lr": 2e-3,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "warmup": 0.05,
        "label_smoothing": 0.1,
        **({} if met.is_table else {"shift": 1}),
        "ema": 0.999,
        "batch_size": 128,
        "epochs": 40,
    }


def _lecture(met: Meeting, recipe: Recipe) -> dict[str, Any]:
    """The training of the lecture: one net, plain gradient descent."""
    return {
        "members": 1,
        "hidden": (100,),
        "activation": "tanh",
        "optimizer": "sgd",
        "lr": 0.1,
        "batch_size": 32,
        "epochs": 10,
    }


IMAGE = Preset("image", _image)
LECTURE = Preset("lecture", _lecture)
