"""A saved architecture without its numbers: its sizes are known before anything is allocated."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steepest.errors import ModelError
from steepest.nn.architecture import DAMAGE, build, reason_of

# What one row may become inside a net: this many numbers in any case (4 MiB), or so many for each
# number of the row and of the weights. A layer of 1024 channels on images stays within it.
_ALWAYS, _FOR_EACH = 2**20, 1024
_FLOATING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def outline(description: dict[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """The module that `describe` described, on the meta device, with the types of these tensors.

    tensors: its state as it lies in a file. Raises ModelError unless names, shapes and types are
    those of the description.
    """
    with torch.device("meta"):
        model = build(description)
    state = model.state_dict()
    expected = {name: _kind(tensor) for name, tensor in state.items()}
    found = {name: _kind(tensor) for name, tensor in tensors.items()}
    if expected != found:
        name = min(expected.keys() ^ found.keys(), default=None) or next(
            n for n in expected if expected[n] != found[n]
        )
        raise ModelError(
            f"the weights do not fit the saved architecture: {name} is "
            f"{found.get(name, 'missing')} in the file and {expected.get(name, 'missing')} there"
        )
    typed = {name: torch.empty_like(t, device="meta") for name, t in tensors.items()}
    model.load_state_dict(typed, assign=True)
    return model


def outputs_of(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[int, ...]:
    """The shape of an outline's outputs for two rows of this shape, without computing them.

    Raises ModelError if it does not take such rows, or if something on the way would be far larger
    than row and weights together.
    """
    try:
        rows = torch.empty(2, *shape, dtype=dtype, device="meta")
        with _Largest() as largest, torch.no_grad():
            outputs = tuple(model.eval()(rows).shape)
    except DAMAGE as error:
        raise ModelError(
            f"the saved model does not take rows of shape {shape}: {reason_of(error)}"
        ) from None
    weights = sum(tensor.numel() for tensor in model.state_dict().values())
    most = max(_ALWAYS, _FOR_EACH * (weights + math.prod(shape)))
    if largest.numbers > 2 * most:
        raise ModelError(
            f"the saved model would make {largest.numbers // 2:,} numbers of one row of shape "
            f"{shape}, with {weights:,} weights: no trained classifier does"
        )
    return outputs


class _Largest(TorchFunctionMode):
    """numbers: of the largest tensor that a function of torch has given within the block."""

    numbers = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(one, Tensor):
                self.numbers = max(self.numbers, one.numel())
        return found


def _kind(tensor: Tensor) -> str:
    """Shape and type; a model may be of any type that torch computes in."""
    kind = "floating" if tensor.dtype in _FLOATING else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} of shape {tuple(tensor.shape)}"
