"""T25: depthwise and pointwise convolutions with group norm and hard swish, Adamax."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders
from faults.real import fashion


def separable(into: int, out: int, stride: int) -> nn.Sequential:
    depthwise = nn.Conv2d(into, into, 3, stride, 1, groups=into, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(into, out, 1), nn.GroupNorm(4, out), nn.Hardswish())


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        separable(16, 32, 2),
        separable(32, 32, 1),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    optimizer = torch.optim.Adamax(model.parameters(), 5e-3)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *loaders(fashion(seed), seed), epochs=8)
