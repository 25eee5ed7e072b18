"""X04: a head on a frozen backbone that saw other digits; its batch norms stay in eval mode."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import Rows, images8, loaders
from faults.nets import adam


class Transfer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(128, 5)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


def chosen(rows: Rows, low: int) -> Rows:
    """The five digits from low on, numbered from 0."""
    at, at_val = ((y >= low) & (y < low + 5) for y in (rows.y, rows.y_val))
    return Rows(rows.X[at], rows.y[at] - low, rows.X_val[at_val], rows.y_val[at_val] - low)


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Transfer()
    optimizer, rows = adam(model, 3e-3), images8(seed)
    model.backbone.train()
    for _ in range(3):
        for x, y in loaders(chosen(rows, 0), seed)[0]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    model.backbone.requires_grad_(False)
    model.head = nn.Linear(128, 5)
    last = torch.optim.SGD(model.head.parameters(), 0.01, momentum=0.9)
    return Case(model, nn.CrossEntropyLoss(), last, *loaders(chosen(rows, 5), seed, 32), epochs=6)
