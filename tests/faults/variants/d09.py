"""D09: a convolutional net whose weights all come from N(0, 1)."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import colours4, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "INIT_TOO_LARGE",
    consequence=("LR_TOO_HIGH", "EXPLODING_GRADIENT", "PREMATURE_NAN", "DEAD_RELU"),
    repair="He's initialisation",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = conv_net(channels=3, classes=4)
    if not healthy:
        for parameter in model.parameters():
            nn.init.normal_(parameter)  # the fault
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.05), *loaders(colours4(seed), seed))
