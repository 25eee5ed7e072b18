"""What numbers a model gives whatever its inputs and parameters: any, or probabilities alone.

The graph of the outputs shows a softmax or a sigmoid only where it is the last operation. The
numbers show every other way to write one: probabilities stay in [0, 1], and rows of them sum to 1,
whatever the parameters are, while the logits of a net leave that range when its last layer moves,
be it zero, rectified or small at first.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

# "rows": each in [0, 1] and together 1. "each": in [0, 1]. "ones": always 1. "any": other numbers.
Range = Literal["rows", "each", "ones", "any"]

# Of the parameters: the deviation of what is added to them, by their own size. Each of the
# directions is taken forwards and backwards: a rectified output is 0 in one of the two.
_AMOUNTS = (0.1, 1.0, 10.0, 1000.0)
_DIRECTIONS = 6
_LEAST_SIZE = 0.1
_LARGE = 100.0


def range_of(outputs: Tensor) -> Range | None:
    """The narrowest range that these outputs lie in; None if none is finite, or several are all 0.

    outputs: (N, C) or (N,).
    """
    z = outputs.detach().double().reshape(len(outputs), -1)
    z = z[z.isfinite().all(dim=1)]
    if z.shape[1] > 1:
        z = z[(z != 0).any(dim=1)]  # what was divided by a sum that underflowed
    if not len(z):
        return None
    slack = 0.02 if outputs.dtype in (torch.float16, torch.bfloat16) else 1e-4
    if bool((z < 0).any() or (z > 1 + slack).any()):
        return "any"
    if bool((z == 1).all()):
        return "ones"
    in_sum = z.shape[1] > 1 and bool(((z.sum(dim=1) - 1).abs() <= slack).all())
    return "rows" if in_sum else "each"


@torch.no_grad()
def lasting_range(model: nn.Module, batch: Tensor) -> Range | None:
    """The range that a model's outputs keep, for large inputs and for other parameters.

    batch: some rows, (N, ...). The model is in evaluation mode; its parameters are changed and put
    back. None if too few of the outputs were finite and between the bounds to tell.
    """
    found: set[Range | None] = set()
    inside = 0
    for outputs in _outputs(model, batch):
        found.add(range_of(outputs))
        if "any" in found:
            return "any"
        inside += bool(((outputs > 0) & (outputs < 1)).any())
    if found <= {"ones", None}:
        return "ones" if "ones" in found else None
    if inside < _DIRECTIONS:
        return None
    return "rows" if found <= {"rows", None} else "each"


def _outputs(model: nn.Module, batch: Tensor) -> Iterator[Tensor]:
    """For the rows, for these rows made large, and with other parameters."""
    if batch.is_floating_point():
        for factor in (1.0, _LARGE, -_LARGE):
            yield from _tried(model, batch * factor)
    generator = torch.Generator().manual_seed(0)
    parameters = [p for p in model.parameters() if p.is_floating_point()]
    for _ in range(_DIRECTIONS):
        noise = [torch.randn(p.shape, generator=generator).to(p) for p in parameters]
        for amount in _AMOUNTS:
            for sign in (1, -1):
                with _moved(parameters, noise, sign * amount):
                    yield from _tried(model, batch)


def _tried(model: nn.Module, batch: Tensor) -> Iterator[Tensor]:
    try:
        outputs = model(batch)
    except (RuntimeError, ValueError, ArithmeticError):
        return  # a model may refuse numbers that it would never see
    if isinstance(outputs, Tensor):
        yield outputs


@contextmanager
def _moved(parameters: Sequence[Tensor], noise: Sequence[Tensor], amount: float) -> Iterator[None]:
    """Within the block the parameters lie elsewhere; afterwards they have their bits again."""
    before = [p.clone() for p in parameters]
    try:
        for p, direction in zip(parameters, noise, strict=True):
            size = p.square().mean().sqrt().clamp(min=_LEAST_SIZE)
            p.add_(amount * size * direction)
        yield
    finally:
        for p, values in zip(parameters, before, strict=True):
            p.copy_(values)
