"""V03: an optimizer of one's own: the sign of the gradient."""

from typing import Any

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import mlp


class SignDescent(torch.optim.Optimizer):
    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad.sign())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 48, 10)
    optimizer = SignDescent(model.parameters(), 5e-4)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(digits8(seed), seed))
