"""P07: a weak signal, and 3 rows of class 1 in 100: the net says 0 to everything.

The twin has the same rows and weighs the classes; both are judged by the mean recall.
"""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, weak12
from faults.nets import mlp, sgd

FAULT = Fault(
    "CLASS_IMBALANCE_COLLAPSE",
    repair="weigh the classes by 1 / frequency",
    earliest="epoch 1",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = weak12(seed, train=12000)
    rows.keep((rows.y == 0) | (torch.rand(len(rows.y)) < 0.03))
    kept = (rows.y_val == 0) | (torch.rand(len(rows.y_val)) < 0.03)
    rows.X_val, rows.y_val = rows.X_val[kept], rows.y_val[kept]
    counts = rows.y.bincount().float()
    weight = counts.mean() / counts if healthy else None  # the fault
    loss, model = nn.CrossEntropyLoss(weight=weight), mlp(12, 64, 64, 2)
    return Case(model, loss, sgd(model, 0.002), *loaders(rows, seed), epochs=5, metric="balanced")
