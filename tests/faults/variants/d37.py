"""D37: ExponentialLR with a gamma of 1.6: the rate creeps up, epoch after epoch."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import digits8, loaders
from faults.nets import mlp, sgd

FAULT = Fault(
    "LR_ROSE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "LEARNING_LOST"),
    repair="a gamma below 1",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(64, 64, 64, 10)
    optimizer = sgd(model, 0.02)
    gamma = 0.95 if healthy else 1.6  # the fault
    creeping = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)
    rows = loaders(digits8(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=16, scheduler=creeping)
