"""C28: convolutions with batch normalisation and a one-cycle schedule, a step a batch."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case, step
from faults.data import colours4, loaders
from faults.nets import sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    optimizer = sgd(model, lr=0.05)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8 * 13)

    def cycle_step(case: Case, batch: Any) -> Tensor:
        loss = step(case, batch)
        cycle.step()
        return loss

    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        *loaders(colours4(seed), seed),
        train_step=cycle_step,
        epochs=8,
    )
