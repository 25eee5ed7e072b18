"""D06: images sorted by class in batches of 16, a convolutional net."""

import torch
import torch.nn.functional as F

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import conv_net, sgd

FAULT = Fault(
    "UNSHUFFLED_SORTED",
    consequence=("LR_TOO_HIGH",),
    repair="shuffle=True",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = images8(seed)
    rows.keep(rows.y.argsort(stable=True))
    model = conv_net()
    shuffle = healthy  # the fault
    return Case(
        model,
        F.cross_entropy,
        sgd(model, lr=0.02),
        *loaders(rows, seed, batch=16, shuffle=shuffle),
        epochs=6,
    )
