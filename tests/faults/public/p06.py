"""P06: rows sorted by label, and a loader that keeps the order."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "UNSHUFFLED_SORTED",
    consequence=("LR_TOO_HIGH",),
    repair="shuffle=True",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = blobs10(seed)
    rows.keep(rows.y.argsort(stable=True))
    model = mlp(20, 64, 64, 10)
    shuffle = healthy  # the fault
    return Case(
        model, nn.CrossEntropyLoss(), sgd(model, lr=0.05), *loaders(rows, seed, shuffle=shuffle)
    )
