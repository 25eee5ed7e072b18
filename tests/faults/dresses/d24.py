"""D24: 120 noisy waves, a GRU with room to spare, 50 epochs."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "OVERFIT",
    repair="stop where the validation loss is least",
    earliest="when it starts",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = waves3(seed, train=120, noise=1.2)
    model = Recurrent(width=64)
    epochs = 8 if healthy else 50  # the fault
    return Case(
        model,
        nn.CrossEntropyLoss(),
        adam(model, 0.01),
        *loaders(rows, seed, batch=32),
        epochs=epochs,
    )
