"""P02: columns whose scales lie between 10^-3.6 and 10^3."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, tab12
from faults.nets import adam, mlp

FAULT = Fault(
    "FEATURE_SCALES_MIXED",
    accept=("INPUT_NOT_NORMALISED",),
    consequence=("SATURATED", "LR_TOO_LOW", "LR_TOO_HIGH", "INIT_TOO_LARGE"),
    repair="standardise column by column",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = tab12(seed)
    if not healthy:
        scales = 10 ** ((torch.arange(12) - 6) * 0.6)
        rows.X, rows.X_val = rows.X * scales, rows.X_val * scales  # the fault
    model = mlp(12, 64, 64, 2)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed))
