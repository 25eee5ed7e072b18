"""D02: thirty measures of cells as they were taken, none put on a common scale."""

import torch
import torch.nn.functional as F
from torch import nn

from faults.case import Case, Fault
from faults.data import cancer, loaders, standardised
from faults.nets import mlp, sgd

FAULT = Fault(
    "FEATURE_SCALES_MIXED",
    accept=("INPUT_NOT_NORMALISED",),
    consequence=(
        "SATURATED",
        "LR_TOO_LOW",
        "LR_TOO_HIGH",
        "INIT_TOO_LARGE",
        "DEAD_RELU",
        "PREMATURE_NAN",
    ),
    repair="standardise column by column",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = cancer(seed)
    if healthy:
        rows = standardised(rows)  # the fault
    model = mlp(30, 32, 2, activation=nn.Tanh)
    return Case(model, F.cross_entropy, sgd(model, 0.05), *loaders(rows, seed, batch=32), epochs=15)
