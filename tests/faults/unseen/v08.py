"""V08: a net that was trained before goes on with a small rate."""

import torch
from torch import nn

from faults.case import Case, run
from faults.data import images8, loaders
from faults.nets import adam, conv_net, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    rows, model = images8(seed), conv_net()
    run(Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(rows, seed), epochs=6))
    torch.manual_seed(seed)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 1e-3), *loaders(rows, seed + 50), epochs=6)
