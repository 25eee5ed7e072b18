"""The neutral optimizer of replays, without torch.optim, whose first use takes seconds."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Adam:
    """Adam with its usual settings (Kingma and Ba, ICLR 2015). param_groups: as torch.optim's."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        trainable = [p for p in parameters if p.requires_grad]
        group = {"params": trainable, "lr": lr, "betas": (0.9, 0.999), "weight_decay": 0.0}
        self.param_groups: list[dict[str, Any]] = [group]
        self.steps = 0
        self.means: list[Tensor] = []  # made at the first step: a copy is taken before it
        self.squares: list[Tensor] = []

    def zero_grad(self) -> None:
        for p in self.param_groups[0]["params"]:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        group = self.param_groups[0]
        if not self.steps:
            self.means = [torch.zeros_like(p) for p in group["params"]]
            self.squares = [torch.zeros_like(p) for p in group["params"]]
        self.steps += 1
        a, b = group["betas"]
        for p, mean, square in zip(group["params"], self.means, self.squares, strict=True):
            if p.grad is None:
                continue
            mean.lerp_(p.grad, 1 - a)
            square.mul_(b).addcmul_(p.grad, p.grad, value=1 - b)
            scale = (square / (1 - b**self.steps)).sqrt_().add_(1e-8)
            p.addcdiv_(mean, scale, value=-group["lr"] / (1 - a**self.steps))
