"""What a logger is told of a run: flat names and numbers, the same for every tracker."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from steepest.classifier import Score
from steepest.engine import LayerStats
from steepest.run import EpochFinished, IntervalFinished, RunStarted

_LAYER = [field.name for field in fields(LayerStats) if field.name != "name"]


def settings_row(event: RunStarted) -> dict[str, Any]:
    """The recipe's settings, and what was decided from the data, as plain values."""
    decided = {
        "engine": event.engine,
        "rows": event.rows,
        "steps_per_epoch": event.steps_per_epoch,
        "total_steps": event.total_steps,
    }
    chosen = {name: _plain(value) for name, value in event.recipe.to_dict().items()}
    return {name: value for name, value in chosen.items() if value is not None} | decided


def first_row(event: RunStarted) -> dict[str, float]:
    """The losses that those of the training are held against."""
    return {"start/loss": event.initial_loss, "start/chance_loss": event.chance_loss}


def interval_row(event: IntervalFinished) -> dict[str, float]:
    """The numbers of an interval, and those of each layer if they were measured."""
    row = {
        "step/loss": event.stats.loss,
        "step/accuracy": event.stats.accuracy,
        "step/lr": event.lr,
    }
    for layer in event.stats.layers:
        row |= {f"layer/{layer.name}/{name}": getattr(layer, name) for name in _LAYER}
    return row


def epoch_row(event: EpochFinished) -> dict[str, float]:
    """The numbers of an epoch, those of the validation part if there is one."""
    row = {
        "epoch/epoch": float(event.epoch),
        "epoch/train_loss": event.train_loss,
        "epoch/train_acc": event.train_acc,
        "epoch/val_loss": event.val_loss,
        "epoch/val_acc": event.val_acc,
        "epoch/lr": event.lr,
        "epoch/seconds": event.seconds,
        **{f"epoch/val_{name}": value for name, value in event.metrics.items()},
    }
    return {name: value for name, value in row.items() if value is not None}


def score_row(scores: Mapping[str, Score]) -> dict[str, float]:
    """The last scores by part: `score/test_acc`."""
    row: dict[str, float] = {}
    for part, score in scores.items():
        row |= {f"score/{part}_loss": score.loss, f"score/{part}_acc": score.accuracy}
    return row


def _plain(value: Any) -> Any:
    """What every tracker shows: numbers, switches and text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
