"""C29: a GRU that reads noisy waves."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Recurrent()
    return Case(
        model, nn.CrossEntropyLoss(), adam(model, 0.01), *loaders(waves3(seed), seed), epochs=12
    )
