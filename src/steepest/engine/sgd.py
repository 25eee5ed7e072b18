"""Stochastic gradient descent with momentum, as torch.optim.SGD computes it, without its overhead.

Of a small net's step torch.optim takes a sixth for bookkeeping (docs/decisions/0004).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from steepest.engine.contract import OptimiserState


class SGD:
    """SGD over named parameters.

    For each parameter w with gradient g:
    g = g + weight_decay w;  v = momentum v + g  (v = g at first);  w = w - rate d,
    where d is v, or g + momentum v for Nesterov's form, or g without momentum.
    Parameters without a gradient in a step stay as they are.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self._parameters = dict(parameters)
        self._momentum = momentum
        self._nesterov = nesterov
        self._weight_decay = weight_decay
        self._velocity: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update the parameters from their gradients. rate: the learning rate of this step."""
        used = {name: p for name, p in self._parameters.items() if p.grad is not None}
        weights = list(used.values())
        if not weights:
            return
        directions = [w.grad for w in weights if w.grad is not None]
        if self._weight_decay:
            directions = list(torch._foreach_add(directions, weights, alpha=self._weight_decay))
        if self._momentum:
            directions = self._with_momentum(list(used), directions)
        torch._foreach_add_(weights, directions, alpha=-rate)

    def zero_grad(self) -> None:
        for parameter in self._parameters.values():
            parameter.grad = None

    def state(self) -> OptimiserState:
        """A copy of the velocities, by parameter."""
        return {name: {"momentum": v.clone()} for name, v in self._velocity.items()}

    def load(self, state: OptimiserState) -> None:
        self._velocity = {name: kept["momentum"].clone() for name, kept in state.items()}

    def _with_momentum(self, names: list[str], gradients: list[Tensor]) -> list[Tensor]:
        for name, gradient in zip(names, gradients, strict=True):
            if name not in self._velocity:  # zero makes the update below v = g, as PyTorch begins
                self._velocity[name] = torch.zeros_like(gradient)
        velocities = [self._velocity[name] for name in names]
        torch._foreach_mul_(velocities, self._momentum)
        torch._foreach_add_(velocities, gradients)
        if not self._nesterov:
            return velocities
        return list(torch._foreach_add(gradients, velocities, alpha=self._momentum))
