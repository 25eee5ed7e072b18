"""P22: weight decay of 0.5: the weights shrink faster than they learn."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "WEIGHT_DECAY_TOO_LARGE",
    consequence=("INIT_TOO_SMALL", "VANISHING_GRADIENT", "LR_TOO_LOW"),
    repair="weight_decay=0",
    earliest="step 100",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    decay = 0.0 if healthy else 0.5  # the fault
    return Case(
        model,
        nn.CrossEntropyLoss(),
        sgd(model, weight_decay=decay),
        *loaders(blobs10(seed), seed),
    )
