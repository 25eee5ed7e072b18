"""T17: residual convolutions whose branches are multiplied by gains that start at 0 (ReZero)."""

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders
from faults.nets import sgd
from faults.real import fashion


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * self.conv2(torch.relu(self.conv1(x)))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        *(Block(16) for _ in range(3)),
        nn.AvgPool2d(7),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaders(fashion(seed), seed, 32), epochs=8
    )
