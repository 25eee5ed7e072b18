"""P17: the loss summed over the batch: every gradient is 128 times as long."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "SUM_REDUCTION",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "EXPLODING_GRADIENT"),
    repair='reduction="mean"',
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    loss = nn.CrossEntropyLoss(reduction="mean" if healthy else "sum")  # the fault
    return Case(model, loss, sgd(model), *loaders(digits8(seed), seed, batch=128))
