"""X05: group norms, batches of two images, and one step of the optimizer for eight of them."""

from typing import Any

import torch
from torch import Tensor, nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam

EVERY = 8


class Accumulate:
    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, case: Case, batch: Any) -> Tensor:
        x, y = batch
        loss = case.loss_fn(case.model(x), y)
        (loss / EVERY).backward()
        self.seen += 1
        if self.seen % EVERY == 0:
            case.optimizer.step()
            case.optimizer.zero_grad()
        return loss.detach()


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.GroupNorm(8, 32),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    rows = loaders(images8(seed), seed, batch=2)
    optimizer = adam(model, 3e-3)
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, optimizer, *rows, epochs=4, train_step=Accumulate())
