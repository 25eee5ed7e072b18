"""P19: a learning rate of a millionth."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "LR_TOO_LOW",
    consequence=("STOPPED_TOO_EARLY",),
    repair="a learning rate of 0.1",
    earliest="step 200",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    lr = 0.1 if healthy else 1e-6  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model, lr, 0), *loaders(digits8(seed), seed))
