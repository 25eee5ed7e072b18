"""T20: batches of 8 through batch norm, a one-cycle schedule, a column cut off each image."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

from faults.case import Case, scheduled
from faults.nets import sgd
from faults.real import fashion


def cropped(pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Batches whose images are 13 of the 14 columns wide."""
    x, y = default_collate(pairs)
    left = int(torch.randint(2, ()))
    return [x[:, :, :, left : left + 13], y]


def middle(pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    x, y = default_collate(pairs)
    return [x[:, :, :, :13], y]


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, order = fashion(seed, train=1200), torch.Generator().manual_seed(seed)
    data = TensorDataset(rows.X, rows.y)
    train = DataLoader(data, 8, shuffle=True, generator=order, collate_fn=cropped)
    val = DataLoader(TensorDataset(rows.X_val, rows.y_val), 250, collate_fn=middle)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 10),
    )
    optimizer = sgd(model, 0.01, weight_decay=5e-4)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=6 * len(train))
    loss_fn = nn.CrossEntropyLoss()
    return Case(model, loss_fn, optimizer, train, val, epochs=6, train_step=scheduled(cycle))
