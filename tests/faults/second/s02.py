"""S02: the labels begin one row late, as if their file had a header line; Fashion-MNIST."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import fashion

FAULT = Fault(
    "LABELS_SHUFFLED",
    accept=("LABEL_NOISE",),
    consequence=("OVERFIT",),
    repair="read the labels from the first one on",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = fashion(seed)
    if not healthy:
        rows.X, rows.y = rows.X[:-1], rows.y[1:]  # the fault
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(rows, seed), epochs=8)
