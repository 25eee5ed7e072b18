"""D34: a one-cycle schedule whose highest rate is 100 times too high."""

import torch
from torch import nn

from faults.case import Case, Fault, scheduled
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "LR_ROSE",
    consequence=("LR_TOO_HIGH", "PREMATURE_NAN", "DEAD_RELU", "LEARNING_LOST"),
    repair="a lower max_lr",
    earliest="after the rise",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    optimizer = sgd(model)
    top = 0.1 if healthy else 10.0  # the fault
    loader, val = loaders(images8(seed), seed)
    steps = 15 * len(loader)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, top, total_steps=steps + 1, div_factor=25 * top / 0.1
    )
    return Case(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        loader,
        val,
        train_step=scheduled(cycle),
        epochs=15,
    )
