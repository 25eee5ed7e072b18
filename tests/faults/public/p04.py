"""P04: the validation labels come from another list of classes."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "VAL_LABELS_MISMATCH",
    consequence=("OVERFIT",),
    repair="number the classes of both parts by one list",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = digits8(seed)
    if not healthy:
        rows.y_val = (rows.y_val + 3) % 10  # the fault
    model = mlp(64, 64, 64, 10)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(rows, seed))
