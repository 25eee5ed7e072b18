"""P01: pixels of 0 to 255, fed as they are."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "INPUT_NOT_NORMALISED",
    consequence=(
        "LR_TOO_HIGH",
        "DEAD_RELU",
        "INIT_TOO_LARGE",
        "PREMATURE_NAN",
        "EXPLODING_GRADIENT",
    ),
    repair="standardise with the training part's mean and deviation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = digits8(seed)
    if not healthy:
        rows.X, rows.X_val = rows.X * 255, rows.X_val * 255  # the fault
    model = mlp(64, 128, 10)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(rows, seed))
