"""Optimisers for replays, without torch.optim, whose first use takes seconds."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba, ICLR 2015).

    param_groups: as torch.optim has them, with what a replay may change: lr and weight_decay.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ) -> None:
        trainable = [p for p in parameters if p.requires_grad]
        group = {"params": trainable, "lr": lr, "betas": betas, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = [group]
        self.decoupled = decoupled
        self.steps = 0
        self.means = [torch.zeros_like(p) for p in trainable]
        self.squares = [torch.zeros_like(p) for p in trainable]

    def zero_grad(self) -> None:
        for p in self.param_groups[0]["params"]:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        group = self.param_groups[0]
        a, b = group["betas"]
        for p, mean, square in zip(group["params"], self.means, self.squares, strict=True):
            if p.grad is None:
                continue
            g = p.grad
            if group["weight_decay"] and self.decoupled:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            elif group["weight_decay"]:
                g = g + group["weight_decay"] * p
            mean.lerp_(g, 1 - a)
            square.mul_(b).addcmul_(g, g, value=1 - b)
            scale = (square / (1 - b**self.steps)).sqrt_().add_(1e-8)
            p.addcdiv_(mean, scale, value=-group["lr"] / (1 - a**self.steps))


class SGD:
    """Gradient descent with momentum, as torch.optim.SGD."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
    ) -> None:
        trainable = [p for p in parameters if p.requires_grad]
        group = {"params": trainable, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        self.param_groups: list[dict[str, Any]] = [group]
        self.nesterov = nesterov
        self.velocities: list[Tensor | None] = [None] * len(trainable)

    def zero_grad(self) -> None:
        for p in self.param_groups[0]["params"]:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        group = self.param_groups[0]
        for k, p in enumerate(group["params"]):
            if p.grad is None:
                continue
            g = p.grad + group["weight_decay"] * p if group["weight_decay"] else p.grad
            if group["momentum"]:
                v = self.velocities[k]
                v = g.clone() if v is None else v.mul_(group["momentum"]).add_(g)
                self.velocities[k] = v
                g = g + group["momentum"] * v if self.nesterov else v
            p.sub_(g, alpha=group["lr"])
