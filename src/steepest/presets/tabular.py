"""The preset for tables: many small nets at once, on two views of the columns.

docs/presets/tabular.md says why each value is what it is.
"""

import itertools
from typing import Any

from steepest.presets.preset import Meeting, Preset
from steepest.recipe import Recipe

MEMBERS, EPOCHS, PATIENCE, BINS = 8, 60, 15, 24
# Below so many rows the least and the greatest value of a column, which the normal quantile puts at
# -5.2 and 5.2, would be outliers among few: there the numbers are scaled by median and quartiles.
ENOUGH_RANKS = 100
_HIDDEN = (256, 256)
# The minibatch grows with the rows: a dozen steps an epoch where rows are few, cheap epochs where
# there are many. (most rows, rows of a minibatch)
_BATCHES = ((128, 8), (256, 16), (512, 32), (1_024, 64), (8_192, 128), (110_000, 256))
_LARGEST_BATCH = 512
# What all epochs of all nets may cost, in floating-point operations: half a minute or so on two
# cores. Above it there are fewer epochs, then fewer nets.
_BUDGET = 5e12
_FEWEST_EPOCHS, _FEWEST_MEMBERS = 10, 4
# All bins of all columns together: beyond so many inputs the first layer outgrows the net.
_MOST_BINS, _FEWEST_BINS = 4096, 4


def bins_for(numeric: int) -> int:
    """Bins of each column; 0 where there are too many columns for bins, or none at all."""
    bins = min(BINS, _MOST_BINS // max(1, numeric))
    return bins if numeric and bins >= _FEWEST_BINS else 0


def _decide(met: Meeting, recipe: Recipe) -> dict[str, Any]:
    members = recipe.members or MEMBERS
    hidden = _HIDDEN if recipe.hidden is None else recipe.hidden
    batch = next((batch for most, batch in _BATCHES if met.rows <= most), _LARGEST_BATCH)
    bins = bins_for(met.numeric)
    inputs = met.columns + met.numeric * bins / 2  # the mean of the two views
    widths = [inputs, *hidden, met.classes]
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    an_epoch = 6 * weights * met.rows
    epochs = round(_BUDGET / max(1, an_epoch * members))
    if epochs < _FEWEST_EPOCHS and recipe.members is None:
        affordable = round(_BUDGET / (an_epoch * _FEWEST_EPOCHS))
        members = min(MEMBERS, max(_FEWEST_MEMBERS, affordable // 2 * 2))
    return {
        "members": members,
        "hidden": _HIDDEN,
        "activation": "silu",
        "dropout": 0.15,
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "batch_size": batch,
        "epochs": min(EPOCHS, max(_FEWEST_EPOCHS, epochs)),
        "early_stopping": True,
        "patience": PATIENCE,
        "bins": bins or 1,
        "validation": 0.0,
    }


TABULAR = Preset("tabular", _decide)
