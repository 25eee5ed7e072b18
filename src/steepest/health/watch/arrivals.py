"""Whether a backward pass was one of training: whether it left gradients in the parameters.

Not every one is. An attack takes the gradient of the inputs, a penalty that of the gradient, and
what they leave in the parameters is cleared before the pass that the step follows.
"""

import torch
from torch import Tensor, nn

from steepest.health.watch.optimizer_trace import holds_gradient

_SENTINELS = 8  # parameters that are looked at

Mark = tuple[tuple[int, int] | None, ...]


class Arrivals:
    """The gradients of a few of a model's parameters, spread over its depth."""

    def __init__(self, model: nn.Module) -> None:
        held = [p for p in model.parameters() if p.requires_grad]
        places = torch.linspace(0, len(held) - 1, min(_SENTINELS, len(held))).long().tolist()
        self._sentinels = [held[i] for i in places]

    def mark(self) -> Mark:
        """Which gradients are there now."""
        return tuple(map(_state, self._sentinels))

    def since(self, mark: Mark) -> bool:
        """Whether gradients have come since then that are still there, and not 0."""
        if not self._sentinels:
            return True
        pairs = zip(self._sentinels, mark, strict=True)
        return any(_state(p) not in (None, then) and holds_gradient(p) for p, then in pairs)


def _state(p: Tensor) -> tuple[int, int] | None:
    return None if p.grad is None else (id(p.grad), p.grad._version)
