"""The preset for images: one small convolutional net, as large as its time allows.

docs/presets/image.md says why each value is what it is.
"""

import math
from typing import Any

from steepest.nn import multiply_adds
from steepest.presets.preset import Meeting, Preset
from steepest.recipe import Recipe

# What all epochs may cost, in floating-point operations: nine minutes or so on two quiet cores.
_BUDGET = 4.5e13
# Channels of the first stage, each later one having twice as many: the widest for which the budget
# has so many epochs.
_WIDTHS, _ENOUGH_EPOCHS = (32, 24, 20, 16, 12, 8), 25
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 60
# Few rows make few steps an epoch: then there are more epochs, until there are so many steps.
_ENOUGH_STEPS, _MOST_EPOCHS_OF_FEW = 1_000, 200
# (most rows, rows of a minibatch)
_BATCHES, _LARGEST_BATCH = ((1_000, 16), (4_000, 32), (16_000, 64)), 128
# The learning rate of the largest minibatch; of smaller ones by the root of their rows.
_RATE = 0.012
# Images are halved by each stage; the last one should still have some pixels.
_SIDE_OF_THREE_STAGES, _SIDE_OF_TWO = 16, 8
# Images move by one pixel in so many of their side.
_SHIFT_ONE_IN, _SMALLEST_SHIFTED = 14, 12
# The validation part has no more rows than this, which tell an accuracy to half a per cent.
_MOST_HELD_OUT = 2_000
# The average of the weights looks back over this share of the steps.
_AVERAGED = 0.02


def _decide(met: Meeting, recipe: Recipe) -> dict[str, Any]:
    if met.image is None:
        return _flat(met)
    side = min(met.image[1:])
    stages = 3 if side >= _SIDE_OF_THREE_STAGES else 2 if side >= _SIDE_OF_TWO else 1
    nets = [tuple(width * 2**i for i in range(stages)) for width in _WIDTHS]
    held_out = _held_out(met.rows, recipe)
    rows = max(1, round(met.rows * (1 - held_out.get("validation", 0.0))))
    batch = next((batch for most, batch in _BATCHES if rows <= most), _LARGEST_BATCH)
    for channels in [recipe.channels] if recipe.channels else nets:
        # Forwards, to the inputs and to the weights; a product and a sum each.
        an_epoch = 6 * rows * multiply_adds(met.image, channels, met.classes, residual=True)
        affordable = int(_BUDGET / an_epoch)
        if affordable >= _ENOUGH_EPOCHS:
            break
    steps = -(-rows // batch)
    wanted = max(_MOST_EPOCHS, min(_MOST_EPOCHS_OF_FEW, -(-_ENOUGH_STEPS // steps)))
    epochs = max(_FEWEST_EPOCHS, min(wanted, affordable))
    return {
        **held_out,
        "members": 1,
        "channels": channels,
        "hidden": (),
        "activation": "relu",
        "batch_norm": True,
        **({"residual": True} if len(channels) > 1 else {}),
        "optimizer": "adamw",
        "lr": round(_RATE * math.sqrt(batch / _LARGEST_BATCH), 4),
        "weight_decay": 0.05,
        "schedule": "cosine",
        "warmup": 0.1,
        "label_smoothing": 0.1,
        "shift": side // _SHIFT_ONE_IN or int(side >= _SMALLEST_SHIFTED),
        "ema": round(1 - 1 / max(1.0, _AVERAGED * steps * epochs), 4),
        "batch_size": batch,
        "epochs": epochs,
    }


def _held_out(rows: int, recipe: Recipe) -> dict[str, float]:
    """The share of the validation part; one that was asked for is gone from the rows already."""
    share = recipe.validation
    if "validation" in recipe.given or isinstance(share, str):
        return {}
    return {"validation": round(min(share, _MOST_HELD_OUT / rows), 4)}


def _flat(met: Meeting) -> dict[str, Any]:
    """Rows that are no images: the recipe of examples/fashion.toml in fewer epochs."""
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
        "ema": 0.999,
        "batch_size": 128,
        "epochs": 40,
    }


IMAGE = Preset("image", _decide)
