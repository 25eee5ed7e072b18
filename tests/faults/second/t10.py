"""T10: 100 classes and a slow start: plain descent stays near log 100 for the first two epochs."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders
from faults.real import digit_pairs


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12 * 32, 128),
        nn.ReLU(),
        nn.Linear(128, 100),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    rows = loaders(digit_pairs(seed), seed, batch=32)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=10)
