"""The loss that fits a model's outputs, and its targets, checked."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from steepest.data import not_one_hot
from steepest.engine import process_state
from steepest.errors import ModelError, TargetError
from steepest.objective import Objective, Range, is_plain_to_see, lasting_range


def range_kept(model: nn.Module, outputs: Tensor, *inputs: Tensor) -> Range | None:
    """The range that the outputs keep, found on a copy; None where graph and numbers agree."""
    if outputs.ndim not in (1, 2) or len(inputs) != 1 or is_plain_to_see(outputs):
        return None
    with process_state():
        return lasting_range(copy.deepcopy(model).eval(), inputs[0].detach())


def objective_of(
    outputs: Tensor, y: Any, task: str, lasting: Range | None
) -> tuple[Objective, NDArray[np.int64]]:
    """The objective and checked targets for these outputs."""
    targets = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if outputs.ndim not in (1, 2):
        raise ModelError(
            f"the model must give (N, C) or (N,) outputs, but gives {tuple(outputs.shape)}"
        )
    width = 1 if outputs.ndim == 1 else outputs.shape[1]
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.shape[:1] != (len(outputs),) or targets.ndim > 2:
        raise TargetError(
            f"y must have one target for each of the {len(outputs)} rows, but has shape "
            f"{targets.shape}"
        )
    if not np.issubdtype(targets.dtype, np.number) and targets.dtype != bool:
        raise TargetError(f"y must be class indices 0, 1, ..., but is of {targets.dtype}")
    multilabel = task == "multilabel"
    if targets.ndim == 2 and not multilabel:
        row = not_one_hot(targets)
        if row is not None and (task != "auto" or not np.isin(targets, (0, 1)).all()):
            raise TargetError(f"row {row} of y is {targets[row].tolist()}, which is not one-hot")
        multilabel = row is not None
        targets = targets if multilabel else targets.argmax(axis=1)
    classes = 2 if width == 1 else width
    objective = Objective.of_outputs(outputs, classes, multilabel=multilabel, lasting=lasting)
    if task not in ("auto", objective.kind):
        raise ModelError(f"task {task!r} does not fit outputs of shape {tuple(outputs.shape)}")
    classes = 2 if objective.kind != "multiclass" else width
    wrong = (targets < 0) | (targets >= classes) | (targets % 1 != 0)
    if multilabel and targets.shape != tuple(outputs.shape):
        raise TargetError(f"y has shape {targets.shape}, the outputs {tuple(outputs.shape)}")
    if wrong.any():
        row = int(np.argwhere(wrong)[0, 0])
        raise TargetError(
            f"the target of row {row} is {targets[row]}, but must be one of 0 .. {classes - 1}"
        )
    return objective, targets.astype(np.int64)
