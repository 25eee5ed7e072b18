"""U09: images stored as (height, width, colour) are viewed as (colour, height, width)."""

import torch
import torch.nn.functional as F
from torch import nn

from faults.case import Case, Fault
from faults.data import Rows, loaders, split
from faults.nets import adam

FAULT = Fault(
    "IMAGE_LAYOUT_SCRAMBLED",
    consequence=("OVERFIT",),
    repair="permute in place of view",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = blotches3(seed)
    if not healthy:
        rows.X = rows.X.permute(0, 2, 3, 1).reshape(-1, 3, 8, 8)  # the fault
        rows.X_val = rows.X_val.permute(0, 2, 3, 1).reshape(-1, 3, 8, 8)  # the fault
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(rows, seed), epochs=12)


def blotches3(seed: int) -> Rows:
    """Smooth blotches in three colour maps; the class is which two of the maps agree."""
    torch.manual_seed(seed)
    y = torch.randint(3, (1500,))
    smooth = F.avg_pool2d(torch.randn(1500, 3, 12, 12), 5, stride=1) * 5
    for c in range(3):
        rows = y == c
        smooth[rows, (c + 1) % 3] = smooth[rows, c] + 0.3 * torch.randn(int(rows.sum()), 8, 8)
    return split(smooth, y, 1200)
