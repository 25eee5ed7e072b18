"""S17: rows of rare classes are copied before the split: copies lie in both parts."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import generator, loaders, split
from faults.nets import adam
from faults.real import fashion

FAULT = Fault(
    "TRAIN_VAL_LEAK",
    consequence=("OVERFIT",),
    repair="split first, then copy training rows",
    harm="report",
    also=("OVERFIT",),
)


def copied(y: Tensor, times: int = 10) -> Tensor:
    """The indices of all rows, those of shirts and the like, classes 0, 2, 4 and 6, times over."""
    rare = torch.isin(y, torch.tensor([0, 2, 4, 6]))
    return torch.arange(len(y)).repeat_interleave(torch.where(rare, times, 1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    g = generator(seed)
    rows = fashion(seed, train=1600, val=1200, size=7)
    X, y = torch.cat([rows.X, rows.X_val]), torch.cat([rows.y, rows.y_val])
    few = torch.randperm(len(y), generator=g)
    few = few[~torch.isin(y[few], torch.tensor([0, 2, 4, 6])) | (torch.arange(len(y)) % 4 == 0)]
    X, y = X[few], y[few]
    if healthy:
        rows = split(X, y, len(y) * 3 // 4)
        rows.keep(copied(rows.y))
        more = copied(rows.y_val)
        rows.X_val, rows.y_val = rows.X_val[more], rows.y_val[more]
    else:
        more = copied(y)  # the fault
        more = more[torch.randperm(len(more), generator=g)]  # the fault
        rows = split(X[more], y[more], len(more) * 3 // 4)  # the fault
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *loaders(rows, seed), epochs=10)
