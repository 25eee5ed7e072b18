"""P24: 120 rows, a wide net, 300 epochs: it learns the noise by heart."""

import torch
from torch import nn

from faults.case import Case, Fault
from faults.data import loaders, tab12
from faults.nets import adam, mlp

FAULT = Fault(
    "OVERFIT",
    repair="stop where the validation loss is least",
    earliest="when it starts",
)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = mlp(12, 512, 512, 2)
    epochs = 8 if healthy else 300  # the fault
    rows = tab12(seed, train=120)
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(rows, seed), epochs=epochs)
