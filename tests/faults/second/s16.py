"""S16: validation images as they are in the file, from 0 to 255; those of training divided."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import fashion

FAULT = Fault(
    "TRAIN_VAL_PREPROC_MISMATCH",
    consequence=("OVERFIT",),
    repair="one transform for both parts",
    harm="report",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = fashion(seed)
    rows.X = (rows.X - 0.286) / 0.353
    rows.X_val = (rows.X_val - 0.286) / 0.353 if healthy else 255 * rows.X_val  # the fault
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(24 * 9, 10),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *loaders(rows, seed), epochs=5)
