"""Whether a loss spreads outputs and targets over each other: (N, 1) and (N,) give (N, N)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from steepest.health.foreign import foreign
from steepest.health.replay.replay import tensors_in


class Spread(NamedTuple):
    """The first operation that did it. Shapes of the two and of what came of them."""

    operation: str
    outputs: tuple[int, ...]
    targets: tuple[int, ...]
    result: tuple[int, ...]


class _Listening(TorchFunctionMode):
    """Follows what is made of the outputs and of the targets alone, through each torch function.

    Only of these two kinds together: a loss of pairs spreads outputs over outputs, on purpose.
    """

    def __init__(self, outputs: Tensor, targets: Tensor) -> None:
        super().__init__()
        self.found: Spread | None = None
        self._rows = len(outputs)
        # The tensors themselves are kept, so that no id is given twice.
        self._origin = {id(outputs): (outputs, "outputs"), id(targets): (targets, "targets")}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = list(tensors_in((args, kwargs or {})))
        if isinstance(result, Tensor):
            origins = {self._origin[id(t)][1] for t in given if id(t) in self._origin}
            if len(origins) == 1:
                self._origin[id(result)] = result, origins.pop()
            elif origins:
                self._compare(func, given, result)
        return result

    def _compare(self, func: Any, given: list[Tensor], result: Tensor) -> None:
        n = self._rows
        shapes = {}
        for t in given:
            if id(t) in self._origin:
                shapes[self._origin[id(t)][1]] = tuple(t.shape)
        a, b = shapes["outputs"], shapes["targets"]
        if {a, b} == {(n,), (n, 1)} and tuple(result.shape) == (n, n) and self.found is None:
            self.found = Spread(getattr(func, "__name__", "an operation"), a, b, (n, n))


def spread(loss_fn: Callable[..., Any], z: Tensor, target: Tensor) -> Spread | None:
    """Call the loss, and tell the first operation that spreads outputs over targets.

    z: (N,) or (N, 1) outputs. target: (N,) or (N, 1). Raises what the loss raises.
    """
    outputs, targets = z.detach().clone(), target.detach().clone()
    listening = _Listening(outputs, targets)
    with listening, torch.no_grad(), foreign:
        loss_fn(outputs, targets)
    return listening.found
