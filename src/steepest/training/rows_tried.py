"""How a model takes its rows: whether it looks up their values, and what to do where it cannot.

Both are found by trying: a few rows are given to the model as they came, before they are scaled.
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steepest.data import Inputs, Preprocessing, Samples, Scaler
from steepest.engine import (
    Origin,
    Rows,
    Trial,
    input_dtype,
    may_look_up,
    reference_parameter,
    require_taken,
    try_batch,
    try_extremes,
)
from steepest.errors import DataError

# So many rows are tried, or two of large ones.
_ROWS_TRIED, _VALUES_TRIED = 8, 2**14
_NOT_TRIED = Trial((), None)
# Convolutions by how many dimensions of a row they slide over.
_CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}


@dataclass(frozen=True)
class Taken:
    """How a model takes rows.

    scaling: what is done with them. integers: whether they stay integers. looked_up: whether the
    model takes their values for indices. notes: what the user should know, in sentences.
    """

    scaling: str
    integers: bool = False
    looked_up: bool = False
    notes: tuple[str, ...] = ()


def how_taken(model: nn.Module, train: Samples, scaling: str) -> Taken:
    """Try some rows as they came. Values that are looked up are not scaled by scaling "auto".

    Raises DataError for bytes that can only be looked up as integers: they are kept for pictures.
    """
    integral = isinstance(train.inputs, np.ndarray) and train.inputs.dtype.kind in "iu"
    may = may_look_up(model) or (integral and scaling == "none")
    if not (may and len(train)):
        return Taken(scaling)
    bytes_ = isinstance(train.inputs, np.ndarray) and train.inputs.dtype == np.uint8
    whole = _try(model, train, integers=True) if integral else _NOT_TRIED
    real = _try(model, train, integers=False)
    as_numbers = real.by_value and real.error is None
    if whole.by_value and not (as_numbers and (bytes_ or whole.error is not None)):
        found, integers = whole, True
    else:
        found, integers = real, integral and whole.error is None and not (bytes_ or real.by_value)
    if not found.by_value:
        return Taken(
            scaling, integers and scaling == "none", notes=_undecided(found, integral, scaling)
        )
    if scaling not in ("auto", "none"):
        return Taken(scaling, notes=(f"scaling = {scaling!r} changes {_said(found)}",))
    if integers and bytes_:
        raise DataError(
            f"{train.source}: an Embedding of the model takes these rows for indices, and bytes "
            "are read as pictures: pass them as X.astype('int64')"
        )
    notes = (f"rows are left as they are, not scaled: there are {_said(found)}",)
    return Taken("none", integers, True, notes if scaling == "auto" else ())


def require_in_range(model: nn.Module, inputs: Inputs, samples: Samples) -> None:
    """Raise DataError naming the first row with a value that the model looks up in vain."""
    trial = try_extremes(model, inputs)
    if trial.wrong or trial.error:
        require_taken(model, inputs, samples.source, samples.rows)


def _try(model: nn.Module, train: Samples, *, integers: bool) -> Trial:
    """The trial of some rows, neither scaled nor changed; the model is left as it was."""
    if any(map(is_lazy, (*model.parameters(), *model.buffers()))):
        model = copy.deepcopy(model)  # a first batch gives the parameters their shapes
    few = max(2, min(_ROWS_TRIED, _VALUES_TRIED // max(1, math.prod(train.inputs.shape[1:]))))
    some = train.take(np.linspace(0, len(train) - 1, min(len(train), few)).astype(np.int64))
    if isinstance(some.inputs, pl.DataFrame):
        inputs = Preprocessing.fit(train, "none").prepare(some, input_dtype(model))
    else:
        rows = some.inputs if some.rows is None else some.inputs[some.rows]
        kind = np.dtype(np.int64 if integers else input_dtype(model))
        inputs = Inputs(rows.astype(kind), None, Scaler())
    like = reference_parameter(model)
    return try_batch(model, Rows(inputs, like)[torch.arange(len(inputs), device=like.device)])


def _said(trial: Trial) -> str:
    table = next(look.table for look in trial.lookups if look.origin is Origin.VALUE)
    return f"values among them that the model takes for indices of its {table}"


def _undecided(trial: Trial, integral: bool, scaling: str) -> tuple[str, ...]:
    """A sentence where indices are computed from the rows, so that they may be meant unscaled."""
    origins = {lookup.origin for lookup in trial.lookups}
    if scaling != "auto" or not (Origin.ROUNDED in origins or (origins and integral)):
        return ()
    how = "rounding" if Origin.ROUNDED in origins else "a search"
    return (
        f"the model takes for indices what it computes from the rows by {how}: whether they are to "
        "be scaled before could not be told, so they are; scaling = 'none' leaves them as they are",
    )


def advice(model: nn.Module, batch: Tensor) -> str:
    """What to do where a model cannot take a batch, as far as its modules tell; else nothing."""
    modules = list(model.modules())
    first = next((m for m in modules if isinstance(m, (*_CONVOLUTIONS, nn.Linear))), None)
    shape = tuple(batch.shape[1:])
    said = None
    if isinstance(first, nn.Linear):
        if len(shape) > 1 and first.in_features == math.prod(shape):
            said = f"rows have shape {shape}: begin the model with nn.Flatten()"
    elif first is not None:
        said = _for_convolution(first, shape)
    if said is not None:
        return f"; {said}"
    if batch.is_floating_point() and any(isinstance(m, nn.Embedding) for m in modules):
        return (
            "; an Embedding needs integers that are not scaled: pass an array of them, "
            "np.asarray(X, dtype='int64'), with scaling = 'none'"
        )
    return ""


def _for_convolution(first: nn.Module, shape: tuple[int, ...]) -> str | None:
    """How rows of this shape become such as a convolution takes, (channels, ...)."""
    kind, sides = next((k, d) for k, d in _CONVOLUTIONS.items() if isinstance(first, k))
    channels = int(first.in_channels) or 1  # type: ignore[arg-type]  # 0 where it is lazy
    takes = f"the model's {kind.__name__} takes rows of shape"
    if len(shape) == 1:
        size = _side(shape[0] // channels, sides)
        known = channels * size**sides == shape[0]
        wanted = ", ".join(map(str, (channels, *[size] * sides))) if known else f"{channels}, ..."
        return (
            f"each row is {shape[0]} numbers in a line, and {takes} ({wanted}): pass "
            f"X.reshape(-1, {wanted}), or begin the model with nn.Unflatten(1, ({wanted}))"
        )
    if len(shape) == sides:
        wanted = ", ".join(map(str, (channels, *shape)))
        how = f"pass X[:, None], or begin the model with nn.Unflatten(1, (1, {shape[0]}))"
        lacking = f"rows have shape {shape}, and {takes} ({wanted})"
        return f"{lacking}: {how}" if channels == 1 else lacking
    if len(shape) == sides + 1 and shape[-1] == channels != shape[0]:
        wanted = ", ".join(map(str, (channels, *shape[:-1])))
        return (
            f"rows have shape {shape}, channels last, and {takes} ({wanted}), channels first: pass "
            "np.moveaxis(X, -1, 1)"
        )
    return None


def _side(values: int, sides: int) -> int:
    """The side of a square or cube of so many values, if there is one; else of a smaller one."""
    return math.isqrt(values) if sides == 2 else round(values ** (1 / sides))
