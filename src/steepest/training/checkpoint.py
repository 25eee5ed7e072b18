"""Checkpoints: all that a training needs to go on as if it had never stopped.

A checkpoint is two files in the run's folder, checkpoints/step-000000001234.safetensors and .json.
The second is written last and holds a checksum of the first: a checkpoint is there when both are,
whole.
"""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from steepest.engine import LayerStats, OptimiserState, Plan, StepStats
from steepest.errors import RunError
from steepest.files import write_atomically
from steepest.recipe import Recipe

FOLDER = "checkpoints"
_VERSION = 1
_ROWS_LOOKED_AT = 4096
# A name in safetensors: parameter names hold dots, so the parts are told apart by slashes.
_SEPARATOR = "/"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after a step.

    step: steps that are done. epoch_stats, interval: sums over the steps of the epoch, and of the
    interval of the record, that are under way. seconds: spent so far. lr: what the schedule starts
    from. best_epoch, best_loss: of early stopping. epochs_averaged: of stochastic weight averaging.
    data: the fingerprint of the training rows. model, optimiser, best, mean: tensors by name.
    scheduler: whether the learning rates came from a scheduler of torch.
    """

    step: int
    epoch_stats: StepStats
    interval: StepStats
    seconds: float
    lr: float
    recipe: Recipe
    architecture: dict[str, Any] | None
    data: str
    model: dict[str, Tensor]
    optimiser: OptimiserState
    best_epoch: int = -1
    best_loss: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    epochs_averaged: int = 0
    mean: dict[str, Tensor] = field(default_factory=dict)
    scheduler: bool = False


class Checkpoints:
    """Writes the checkpoints of one run when they are due, and keeps the last few.

    Due: every `checkpoint_every` seconds of the recipe, looked at between calls of the engine.
    """

    def __init__(self, run: Path, recipe: Recipe) -> None:
        self._folder = run / FOLDER
        self._seconds = recipe.checkpoint_every
        self._keep = recipe.keep_checkpoints
        self._since = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._since >= self._seconds

    def write(self, checkpoint: Checkpoint) -> None:
        """Write it, then remove the oldest beyond those to keep. Raises RunError if it cannot."""
        self._folder.mkdir(exist_ok=True)
        name = self._folder / f"step-{checkpoint.step:012d}"
        content = save(_tensors(checkpoint))
        described = _describe(checkpoint) | {"sha256": hashlib.sha256(content).hexdigest()}
        write_atomically(name.with_suffix(".safetensors"), content)
        write_atomically(name.with_suffix(".json"), json.dumps(described, indent=1).encode())
        for old in _found(self._folder)[: -self._keep]:
            old.unlink(missing_ok=True)  # the description first: half a checkpoint is none
            old.with_suffix(".safetensors").unlink(missing_ok=True)
        self._since = time.monotonic()


def newest(run: Path) -> Checkpoint:
    """The newest whole checkpoint of a run's folder.

    One that a crash or a fault of the disk has damaged is passed over for the one before it.
    Raises RunError if there is none.
    """
    damages = []
    for path in reversed(_found(run / FOLDER)):
        try:
            return _read(path)
        except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
            damages.append(f"{path.name}: {error}")
    found = f"; damaged: {'; '.join(damages)}" if damages else ""
    raise RunError(f"{run} has no checkpoint to go on from{found}")


def fingerprint(plan: Plan) -> str:
    """A hash of the training rows: shape, type, targets, scaling, up to 4096 rows throughout."""
    digest = hashlib.blake2b(digest_size=16)
    inputs = plan.inputs
    digest.update(f"{inputs.array.shape[1:]} {inputs.array.dtype} {plan.rows}".encode())
    digest.update(np.ascontiguousarray(plan.targets).tobytes())
    for part in (inputs.scaler.offset, inputs.scaler.factor, inputs.scaler.shift):
        digest.update(np.ascontiguousarray(part).tobytes())
    some = np.unique(
        np.linspace(0, plan.rows - 1, min(plan.rows, _ROWS_LOOKED_AT)).astype(np.int64)
    )
    rows = some if inputs.rows is None else inputs.rows[some]
    digest.update(np.ascontiguousarray(inputs.array[rows]).tobytes())
    return digest.hexdigest()


def _found(folder: Path) -> list[Path]:
    """The descriptions of checkpoints, the oldest first."""
    return sorted(folder.glob("step-*.json"))


def _tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    groups: dict[str, dict[str, Tensor]] = {
        "model": checkpoint.model,
        "best": checkpoint.best,
        "mean": checkpoint.mean,
        "optimiser": {
            f"{name}{_SEPARATOR}{key}": tensor
            for name, kept in checkpoint.optimiser.items()
            for key, tensor in kept.items()
        },
    }
    return {
        f"{group}{_SEPARATOR}{name}": tensor.detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    }


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "step": checkpoint.step,
        "epoch_stats": asdict(checkpoint.epoch_stats),
        "interval": asdict(checkpoint.interval),
        "seconds": checkpoint.seconds,
        "lr": checkpoint.lr,
        "recipe": checkpoint.recipe.to_toml(),
        "architecture": checkpoint.architecture,
        "data": checkpoint.data,
        "best_epoch": checkpoint.best_epoch,
        "best_loss": checkpoint.best_loss if checkpoint.best_epoch >= 0 else None,
        "epochs_averaged": checkpoint.epochs_averaged,
        "scheduler": checkpoint.scheduler,
    }


def _stats(described: dict[str, Any]) -> StepStats:
    layers = tuple(LayerStats(**layer) for layer in described["layers"])
    return StepStats(**{**described, "layers": layers})


def _read(path: Path) -> Checkpoint:
    described = json.loads(path.read_text(encoding="utf-8"))
    if described["version"] != _VERSION:
        raise ValueError(f"it is of version {described['version']}, and {_VERSION} is read here")
    content = path.with_suffix(".safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise ValueError("its tensors do not have the checksum that was written")
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "mean": {}, "optimiser": {}}
    for name, tensor in load(content).items():
        group, _, rest = name.partition(_SEPARATOR)
        groups[group][rest] = tensor
    optimiser: OptimiserState = {}
    for name, tensor in groups.pop("optimiser").items():
        parameter, _, key = name.rpartition(_SEPARATOR)
        optimiser.setdefault(parameter, {})[key] = tensor
    best_loss = described["best_loss"]
    return Checkpoint(
        step=int(described["step"]),
        epoch_stats=_stats(described["epoch_stats"]),
        interval=_stats(described["interval"]),
        seconds=float(described["seconds"]),
        lr=float(described["lr"]),
        recipe=Recipe.from_toml(described["recipe"], path.name),
        architecture=described["architecture"],
        data=str(described["data"]),
        optimiser=optimiser,
        best_epoch=int(described["best_epoch"]),
        best_loss=math.inf if best_loss is None else float(best_loss),
        epochs_averaged=int(described["epochs_averaged"]),
        scheduler=bool(described["scheduler"]),
        **groups,
    )
