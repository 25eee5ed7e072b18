"""C27: a small convolutional net with Adam."""

import torch
from torch import nn

from faults.case import Case
from faults.data import images8, loaders
from faults.nets import adam, conv_net


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = conv_net()
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(images8(seed), seed))
