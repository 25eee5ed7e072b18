"""P18: a learning rate of 20."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "LR_TOO_HIGH",
    consequence=("DEAD_RELU", "PREMATURE_NAN", "EXPLODING_GRADIENT"),
    repair="a learning rate of 0.1",
    earliest="step 50",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    lr = 0.1 if healthy else 20.0  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model, lr, 0), *loaders(blobs10(seed), seed))
