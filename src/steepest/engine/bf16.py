"""Products of bfloat16 in the torch engine: what the native one does in src/native/bf16.h.

The three products of a linear layer, X W^T, dZ W and dZ^T X, have their factors rounded to bfloat16
(8 bits of mantissa) and are summed up in the model's own type. All else stays as it is: the weights
that the optimizer moves, activations, normalisations, the loss.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode


class Bf16Products(TorchFunctionMode):
    """Within it `torch.nn.functional.linear` takes products of bfloat16."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """As torch calls it, for each of its functions."""
        if func is linear:
            return _linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
    product: Tensor = _Product.apply(input, weight)  # type: ignore[no-untyped-call]
    return product if bias is None else product + bias


def _rounded(values: Tensor) -> Tensor:
    return values.to(torch.bfloat16).to(values.dtype)


class _Product(torch.autograd.Function):
    """X W^T, of (..., in) and (out, in)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x, weight = _rounded(x), _rounded(weight)
        ctx.save_for_backward(x, weight)
        return linear(x, weight)

    @staticmethod
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dz = _rounded(dz)
        dx = dz @ weight if ctx.needs_input_grad[0] else None
        dw = dz.flatten(0, -2).T @ x.flatten(0, -2) if ctx.needs_input_grad[1] else None
        return dx, dw
