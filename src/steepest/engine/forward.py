"""A model's outputs for many rows, without a trace: for evaluation and prediction."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from steepest.data import Inputs
from steepest.engine.inference import native_outputs
from steepest.engine.rows import Rows

_BYTES_A_BLOCK = 16 * 2**20


def forward(model: nn.Module, inputs: Inputs) -> Tensor:
    """The outputs in evaluation mode, (N, ...), on the CPU and without a graph.

    By the native kernels where they run the model, whichever engine trained it, else by torch.
    """
    outputs = native_outputs(model, inputs)
    if outputs is not None:
        return outputs
    like = reference_parameter(model)
    whole, start = None, 0
    with module_mode(model, training=False), torch.no_grad():
        for some in _blocks(inputs, like):
            found = model(some)
            if whole is None:
                # All at once: outputs kept in between the blocks' inputs keep the heap from
                # taking these again, and it grew by as much as all inputs together.
                whole = torch.empty((len(inputs), *found.shape[1:]), dtype=found.dtype)
            whole[start : start + len(some)] = found
            start += len(some)
    if whole is None:
        raise ValueError("there are no rows to feed the model")
    return whole


def _blocks(inputs: Inputs, like: Tensor) -> Iterator[Tensor]:
    """All rows as tensors of this one's device and type, some at a time."""
    rows = Rows(inputs, like)
    block = max(1, min(4096, _BYTES_A_BLOCK // max(1, 4 * math.prod(inputs.shape))))
    for start in range(0, len(rows), block):
        yield rows[torch.arange(start, min(start + block, len(rows)), device=like.device)]


@contextmanager
def statistics_from(model: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Within the block batch norm that has seen no minibatch has the statistics of these rows.

    Its own, mean 0 and variance 1, are of no rows: what a net gives in evaluation mode by them is
    nothing that a training ever computes. The model's own buffers are not written to.
    """
    fresh = [m for m in model.modules() if isinstance(m, _BatchNorm) and _is_fresh(m)]
    before = [(norm, norm.momentum, norm._buffers.copy()) for norm in fresh]
    try:
        for norm in fresh:
            norm.momentum = None  # the mean over all blocks
            norm._buffers.update((k, b.clone()) for k, b in norm._buffers.items() if b is not None)
        with module_mode(model, training=False), torch.no_grad():
            for norm in fresh:
                norm.training = True
            if fresh:
                with single_values_kept_apart(model):
                    for some in _blocks(inputs, reference_parameter(model)):
                        model(some)
        yield
    finally:
        for norm, momentum, buffers in before:
            norm.momentum = momentum
            norm._buffers.update(buffers)


def _is_fresh(norm: _BatchNorm) -> bool:
    seen = norm.num_batches_tracked
    return norm.running_mean is not None and seen is not None and int(seen) == 0


def reference_parameter(model: nn.Module) -> Tensor:
    """The tensor whose device and floating type the inputs follow: the first floating one."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor
    return torch.empty(0)


def input_dtype(model: nn.Module) -> type[np.floating[Any]]:
    """The type in which rows are kept for the model: float64 where it computes in it."""
    return np.float64 if reference_parameter(model).dtype == torch.float64 else np.float32


@contextmanager
def module_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put all modules in training or evaluation mode; afterwards each has its own mode again."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in before:
            module.training = was_training


@contextmanager
def single_values_kept_apart(model: nn.Module) -> Iterator[list[str]]:
    """Of one value there is no spread: batch norm then uses its running statistics, unchanged.

    PyTorch refuses such a minibatch, one row for BatchNorm1d or one row of 1 x 1 pixels for
    BatchNorm2d. Gives the names of the modules that met one within the block.
    """
    apart: list[str] = []
    norms: dict[nn.Module, str] = {
        m: name for name, m in model.named_modules() if isinstance(m, _BatchNorm)
    }
    modes = {norm: norm.training for norm in norms}

    def before(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        if norm.training and x.ndim > 1 and x.numel() == x.shape[1]:
            apart.append(norms[norm])
            norm.training = False

    def after(norm: nn.Module, inputs: object, outputs: object) -> None:
        norm.training = modes[norm]

    handles = [norm.register_forward_pre_hook(before) for norm in norms]
    handles += [norm.register_forward_hook(after, always_call=True) for norm in norms]
    try:
        yield apart
    finally:
        for handle in handles:
            handle.remove()
