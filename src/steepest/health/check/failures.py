"""What the user's own forward or loss raises on the first batch, and why."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from steepest.health.check.context import CheckContext
from steepest.health.check.rules.facts import labels_out_of_range
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.registry import EVERYTHING, make_finding, rule
from steepest.health.replay.replay import first_tensor


class Failure(NamedTuple):
    """stage: "forward" or "loss". error: what was raised there."""

    stage: str
    error: BaseException


@rule(
    "FORWARD_FAILS",
    "the model cannot take the first batch",
    rank="program",
    place=10,
    severity="error",
    explains=EVERYTHING,
)
@rule(
    "LOSS_FAILS",
    "the loss cannot take outputs and targets",
    rank="program",
    place=20,
    severity="error",
    explains=EVERYTHING,
)
def finding_of_failure(failure: Failure, context: CheckContext) -> Finding:
    """What the user's own forward or loss raised, with its cause where it is known."""
    stage, error = failure
    x, y = context.probe.x, context.probe.target
    reason = " ".join(str(error).split())[:200]
    shapes = f"inputs {_shape(x)}, targets {_shape(y)}"
    out = _out_of_range(context, reason) if stage == "loss" else None
    if out is not None:
        return out
    cause, fix = _cause(reason, x, y, stage)
    raw = context.train.batches[0]
    # Of more than a pair the loop may make something else, as pairs of rows do.
    pair = not isinstance(raw, (tuple, list)) or len(raw) == 2
    plain = isinstance(y, Tensor) and len(context.probe.args) == 1 and pair
    what = "the model" if stage == "forward" else "the loss"
    return make_finding(
        "FORWARD_FAILS" if stage == "forward" else "LOSS_FAILS",
        f"{what} raises on the first batch: {cause}",
        fix,
        (Evidence(f"{type(error).__name__}: {reason}", "a loss", shapes),),
        confidence="fact" if plain else "suspected",
        severity="error" if plain else "info",
    )


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def _out_of_range(context: CheckContext, reason: str) -> Finding | None:
    """Labels that the outputs do not have."""
    y = context.labels
    if y is None or "out of bounds" not in reason:
        return None
    clone = context.setup.copy()
    assert clone is not None
    with torch.no_grad():
        z = first_tensor(clone.outputs(context.batches[0]))
    C = z.shape[1] if z is not None and z.ndim > 1 else 0
    wrong = sorted({label for label in y.tolist() if not 0 <= label < C})
    return labels_out_of_range(wrong, C) if wrong and C else None


def _cause(reason: str, x: Tensor | None, y: Any, stage: str) -> tuple[str, str]:
    """A known cause behind a message of torch, and its fix."""
    if "mat1 and mat2 shapes cannot be multiplied" in reason or "Given groups" in reason:
        shape = tuple(x.shape) if x is not None else ()
        flat = math.prod(shape[1:]) if shape else 0
        fix = (
            f"nn.Flatten() first, and nn.Linear({flat}, ...)"
            if len(shape) > 2
            else (f"nn.Linear({shape[-1] if shape else '...'}, ...) as the first layer")
        )
        return f"inputs of shape {shape} do not fit the first layer that meets them", fix
    if "same dtype" in reason or "expected scalar type" in reason or "must match" in reason[:60]:
        if stage == "forward" and x is not None:
            return f"inputs are {x.dtype}, the weights are not", "x = x.float()"
        dtype = y.dtype if isinstance(y, Tensor) else type(y).__name__
        return f"targets are {dtype}", "y = y.long() for class indices, y.float() for BCE"
    if "Target size" in reason or "target size" in reason.lower():
        return "targets and outputs have different shapes", "y = y.float().unsqueeze(1)"
    if "Long" in reason or "not implemented for 'Int'" in reason or "Byte" in reason:
        return "the targets' type does not fit the loss", "y = y.long()"
    return reason, "mend this before training; the message is that of the first batch"
