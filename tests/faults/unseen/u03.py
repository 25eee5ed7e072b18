"""U03: one cell of one training row is not a number."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import cancer, loaders, standardised
from faults.nets import adam, mlp

FAULT = Fault(
    "NONFINITE_INPUT",
    consequence=("PREMATURE_NAN",),
    repair="drop the row",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = standardised(cancer(seed))
    if not healthy:
        rows.X[137, 4] = float("nan")  # the fault
    model = mlp(30, 32, 2)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed, batch=32))
