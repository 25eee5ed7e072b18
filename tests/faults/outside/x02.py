"""X02: hidden units that are -1 or 1, with a straight-through gradient of somebody's own."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import clouds4, loaders
from faults.nets import adam


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() <= 1)


class Binary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm1 = nn.Linear(12, 256, bias=False), nn.BatchNorm1d(256)
        self.fc2, self.norm2 = nn.Linear(256, 128, bias=False), nn.BatchNorm1d(128)
        self.out = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = Sign.apply(self.norm1(self.fc1(x)))
        return self.out(Sign.apply(self.norm2(self.fc2(h))))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Binary()
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *loaders(clouds4(seed), seed))
