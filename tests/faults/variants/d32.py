"""D32: a MultiStepLR whose first milestone multiplies Adam's rate by 300."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import adam, mlp

FAULT = Fault(
    "LR_ROSE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "LEARNING_LOST"),
    repair="a gamma below 1",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(20, 64, 64, 10)
    optimizer = adam(model, 2e-3)
    gamma = 0.3 if healthy else 300.0  # the fault
    fall = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4], gamma)
    rows = loaders(blobs10(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=8, scheduler=fall)
