"""D31: StepLR with a gamma of 10 where 0.1 was meant, a convolutional net."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "LR_ROSE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "LEARNING_LOST"),
    repair="a gamma below 1",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    optimizer = sgd(model, 0.02)
    gamma = 0.1 if healthy else 10.0  # the fault
    fall = torch.optim.lr_scheduler.StepLR(optimizer, 5, gamma)
    rows = loaders(images8(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=12, scheduler=fall)
