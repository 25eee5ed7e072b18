"""The preset for the lecture's own training."""

from typing import Any

from steepest.presets.preset import Meeting, Preset
from steepest.recipe import Recipe


def _decide(met: Meeting, recipe: Recipe) -> dict[str, Any]:
    """One net, plain gradient descent."""
    return {
        "members": 1,
        "hidden": (100,),
        "activation": "tanh",
        "optimizer": "sgd",
        "lr": 0.1,
        "batch_size": 32,
        "epochs": 10,
    }


LECTURE = Preset("lecture", _decide)
