"""P05: 600 of the 1,000 validation rows are training rows."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, tab12
from faults.nets import adam, mlp

FAULT = Fault(
    "TRAIN_VAL_LEAK",
    repair="validate on rows that training never sees",
    harm="report",
    also=("OVERFIT",),
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = tab12(seed, train=1000)
    if not healthy:
        rows.X_val = torch.cat([rows.X[:600], rows.X_val[:400]])  # the fault
        rows.y_val = torch.cat([rows.y[:600], rows.y_val[:400]])  # the fault
    model = mlp(12, 256, 256, 2)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed), epochs=60)
