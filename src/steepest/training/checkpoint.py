"""Checkpoints: all that a training needs to go on as if it had never stopped.

A checkpoint is two files in the run's folder, checkpoints/step-000000001234.safetensors and .json
(see run/tensors.py).
"""

import hashlib
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from steepest.data import PreparedPart
from steepest.engine import LayerStats, OptimizerState, StepStats
from steepest.errors import RunError, SteepestError
from steepest.files import DAMAGE, PART, Folder, make_folder, open_folder, write_errors
from steepest.recipe import Recipe
from steepest.run import BEST, CHECKPOINTS, STEP, read_tensors, write_tensors

_ROWS_LOOKED_AT = 4096
_LARGEST_COUNT = 2**53  # the largest up to which JSON of any writer is exact
# A name in safetensors: parameter names hold dots, so the parts are told apart by slashes.
_SEPARATOR = "/"
_Read = TypeVar("_Read")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after a step.

    step: steps that are done. epoch_stats, interval: sums over the steps of the epoch, and of the
    interval of the record, that are under way. seconds: spent so far. lr: what the schedule starts
    from. best_epoch, best_loss, best_cost: of the best epoch. epochs_averaged: of stochastic weight
    averaging. data: the fingerprint of the training rows. model, optimizer, best, mean: tensors by
    name. scheduler: whether the learning rates came from a scheduler of torch.
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
    optimizer: OptimizerState
    best_epoch: int = -1
    best_loss: float = math.inf
    best_cost: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    epochs_averaged: int = 0
    mean: dict[str, Tensor] = field(default_factory=dict)
    scheduler: bool = False


class Checkpoints:
    """Writes the checkpoints of one run when they are due, and keeps the last few and the best.

    Due: every `checkpoint_every` seconds, looked at between calls of the engine, and after every
    `checkpoint_steps` steps and `checkpoint_epochs` epochs of the recipe. first: called before one
    is written; it puts the record on disk, which may be ahead of the checkpoint but never behind.
    """

    def __init__(self, run: Path, recipe: Recipe, first: Callable[[], None]) -> None:
        self._folder = run / CHECKPOINTS
        self._recipe = recipe
        self._first = first
        self._since = time.monotonic()
        self._written = -1
        self._best_epoch = -1

    def is_due(self, step: int) -> bool:
        """Whether one should be written after this step."""
        every = self._recipe.checkpoint_steps
        by_step = every is not None and step % every == 0 and step != self._written
        return by_step or time.monotonic() - self._since >= self._recipe.checkpoint_every

    def is_due_after_epoch(self, epoch: int) -> bool:
        every = self._recipe.checkpoint_epochs
        return every is not None and (epoch + 1) % every == 0

    def next_step(self, step: int) -> int | None:
        """The next step after this one at which `checkpoint_steps` asks for a checkpoint."""
        every = self._recipe.checkpoint_steps
        return None if every is None else (step // every + 1) * every

    def write(self, checkpoint: Checkpoint) -> None:
        """Write it, then remove the oldest beyond those to keep. Raises RunError if it cannot."""
        self.put(checkpoint.step, _tensors(checkpoint), _describe(checkpoint))
        if checkpoint.best_epoch > self._best_epoch:
            about = {"epoch": checkpoint.best_epoch, "val_loss": checkpoint.best_loss}
            write_tensors(self._folder / BEST, plain_tensors(checkpoint.best), about)
            self._best_epoch = checkpoint.best_epoch

    def put(self, step: int, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Write a checkpoint of any kind, then remove the oldest. Raises RunError if it cannot."""
        self._first()
        make_folder(self._folder)
        write_tensors(self._folder / f"step-{step:012d}", tensors, about)
        with write_errors(self._folder), open_folder(self._folder, follow=False) as folder:
            for old in _steps(folder)[: -self._recipe.keep_checkpoints]:
                folder.remove(f"{old}.json")  # first: half a checkpoint is none
                folder.remove(f"{old}.safetensors")
        self._since, self._written = time.monotonic(), step


def remove_partial_files(run: Path) -> None:
    """Remove what a process that was killed has left half written. Only under the run's lock.

    Nothing but plain files under names that are written here, and never behind a link.
    """
    with write_errors(run):
        with open_folder(run) as folder:
            _remove_parts(folder)
        with suppress(FileNotFoundError), open_folder(run / CHECKPOINTS, follow=False) as folder:
            _remove_parts(folder)
            there = set(folder.files())
            for name in there:
                stem, ending = os.path.splitext(name)
                ours = ending == ".safetensors" and (STEP.fullmatch(stem) or stem == BEST)
                if ours and f"{stem}.json" not in there:
                    folder.remove(name)


def _remove_parts(folder: Folder) -> None:
    for name in filter(PART.fullmatch, folder.files()):
        folder.remove(name)


def newest(run: Path) -> Checkpoint:
    """The newest whole checkpoint of a run's folder.

    One that a crash or a fault of the disk has damaged is passed over for the one before it.
    Raises RunError if there is none.
    """
    return newest_readable(run, _read)


def newest_readable(run: Path, read: Callable[[Path], _Read]) -> _Read:
    """What `read` makes of the newest checkpoint that it can read. Raises RunError for none."""
    damages = []
    for stem in reversed(_all_steps(run / CHECKPOINTS)):
        try:
            return read(run / CHECKPOINTS / stem)
        except (*DAMAGE, SafetensorError, SteepestError) as error:
            damages.append(f"{stem}: {error}")
    found = f"; damaged: {'; '.join(damages)}" if damages else ""
    raise RunError(f"{run} has no checkpoint to go on from{found}")


def fingerprint(train: PreparedPart) -> str:
    """A hash of the training rows: shape, type, targets, scaling, up to 4096 rows throughout."""
    inputs, targets, weights = train
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{inputs.shape} {inputs.array.dtype} {len(inputs)}".encode())
    digest.update(np.ascontiguousarray(targets).tobytes())
    if weights is not None:
        digest.update(weights.tobytes())
    for part in (inputs.scaler.offset, inputs.scaler.factor, inputs.scaler.shift):
        digest.update(np.ascontiguousarray(part).tobytes())
    some = np.unique(
        np.linspace(0, len(inputs) - 1, min(len(inputs), _ROWS_LOOKED_AT)).astype(np.int64)
    )
    rows = some if inputs.rows is None else inputs.rows[some]
    digest.update(np.ascontiguousarray(inputs.array[rows]).tobytes())
    return digest.hexdigest()


def _steps(folder: Folder) -> list[str]:
    """The names of its checkpoints without their endings, the oldest first."""
    stems = (name.removesuffix(".json") for name in folder.files() if name.endswith(".json"))
    return sorted(filter(STEP.fullmatch, stems), key=lambda stem: int(stem.removeprefix("step-")))


def _all_steps(path: Path) -> list[str]:
    try:
        with open_folder(path, follow=False) as folder:
            return _steps(folder)
    except OSError:
        return []


def _tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    groups: dict[str, dict[str, Tensor]] = {
        "model": checkpoint.model,
        "best": checkpoint.best,
        "mean": checkpoint.mean,
        "optimizer": {
            f"{name}{_SEPARATOR}{key}": tensor
            for name, kept in checkpoint.optimizer.items()
            for key, tensor in kept.items()
        },
    }
    named = (
        (f"{group}{_SEPARATOR}{name}", tensor)
        for group, tensors in groups.items()
        for name, tensor in tensors.items()
    )
    return plain_tensors(dict(named))


def plain_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies as the format wants them: on the CPU, contiguous, none sharing memory."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
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
        "best_cost": checkpoint.best_cost if checkpoint.best_epoch >= 0 else None,
        "epochs_averaged": checkpoint.epochs_averaged,
        "scheduler": checkpoint.scheduler,
    }


def count(described: dict[str, Any], name: str, least: int = 0) -> int:
    """A count. Raises ValueError for what no run writes."""
    value = described[name]
    if type(value) is not int or not least <= value <= _LARGEST_COUNT:
        raise ValueError(f"{name} is {value!r:.40}, which is no count")
    return value


def number(described: dict[str, Any], name: str) -> float:
    """A number, which may be NaN. Raises ValueError for what no run writes."""
    value = described[name]
    if type(value) not in (int, float):
        raise ValueError(f"{name} is {value!r:.40}, which is no number")
    return float(value)


def stats_of(described: dict[str, Any]) -> StepStats:
    """Sums over steps. Raises ValueError for what no run writes."""
    return StepStats(
        steps=count(described, "steps"),
        rows=count(described, "rows"),
        loss_sum=number(described, "loss_sum"),
        correct=count(described, "correct"),
        layers=tuple(_layer_stats(layer) for layer in described["layers"]),
    )


def best_loss_of(described: dict[str, Any]) -> float:
    """Infinite as long as no epoch was the best. Raises ValueError for what no run writes."""
    return math.inf if described["best_loss"] is None else number(described, "best_loss")


def best_cost_of(described: dict[str, Any]) -> float:
    """As `best_loss_of`; in checkpoints from before best_by the cost was the loss."""
    if described.get("best_cost") is None:
        return best_loss_of(described)
    return number(described, "best_cost")


def optimizer_state(tensors: dict[str, Tensor]) -> OptimizerState:
    """What an optimizer keeps, from tensors that are called PARAMETER/WHAT."""
    state: OptimizerState = {}
    for name, tensor in tensors.items():
        parameter, _, key = name.rpartition(_SEPARATOR)
        state.setdefault(parameter, {})[key] = tensor
    return state


def _layer_stats(described: dict[str, Any]) -> LayerStats:
    if "idle" in described:  # what it was called in the first checkpoints of this layout
        described = described | {"inactive": described["idle"]}
    numbers = [field.name for field in fields(LayerStats) if field.name != "name"]
    return LayerStats(str(described["name"]), **{n: number(described, n) for n in numbers})


def pack(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A checkpoint as a description and tensors, for another process."""
    return _describe(checkpoint), _tensors(checkpoint)


def _read(path: Path) -> Checkpoint:
    tensors, described = read_tensors(path)
    return unpack(described, tensors, path.name)


def unpack(described: dict[str, Any], tensors: dict[str, Tensor], where: str) -> Checkpoint:
    """What `pack` made of a checkpoint. where: it comes from, for messages."""
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "mean": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(_SEPARATOR)
        groups[group][rest] = tensor
    optimizer = optimizer_state(groups.pop("optimizer"))
    return Checkpoint(
        step=count(described, "step"),
        epoch_stats=stats_of(described["epoch_stats"]),
        interval=stats_of(described["interval"]),
        seconds=number(described, "seconds"),
        lr=number(described, "lr"),
        recipe=Recipe.from_toml(described["recipe"], where),
        architecture=described["architecture"],
        data=str(described["data"]),
        optimizer=optimizer,
        best_epoch=count(described, "best_epoch", -1),
        best_loss=best_loss_of(described),
        best_cost=best_cost_of(described),
        epochs_averaged=count(described, "epochs_averaged"),
        scheduler=bool(described["scheduler"]),
        **groups,
    )
