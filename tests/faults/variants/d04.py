"""D04: validation labels the other way round, a binary net."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, moons2
from faults.nets import adam, mlp

FAULT = Fault(
    "VAL_LABELS_MISMATCH",
    consequence=("OVERFIT",),
    repair="number the classes of both parts by one list",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = moons2(seed)
    rows.y, rows.y_val = rows.y[:, None].float(), rows.y_val[:, None].float()
    if not healthy:
        rows.y_val = 1 - rows.y_val  # the fault
    model = mlp(2, 32, 32, 1)
    return Case(model, nn.BCEWithLogitsLoss(), adam(model, 5e-3), *loaders(rows, seed))
