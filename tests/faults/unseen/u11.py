"""U11: pixels from 0 to 1 divided by 255 once more."""

import torch
import torch.nn.functional as F
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "INPUT_TOO_SMALL",
    accept=("INPUT_NOT_NORMALISED",),
    consequence=("LR_TOO_LOW", "INPUT_IGNORED", "INIT_TOO_SMALL"),
    repair="divide once",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    if not healthy:
        rows.X, rows.X_val = rows.X / 255, rows.X_val / 255  # the fault
    model = nn.Sequential(nn.Flatten(), *mlp(64, 64, 10))
    return Case(model, F.cross_entropy, sgd(model, 0.05), *loaders(rows, seed))
