"""C05: tanh and Xavier's initialisation."""

import torch
from torch import nn

from faults.case import Case
from faults.data import loaders, spiral3
from faults.nets import mlp, sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = mlp(2, 64, 64, 3, activation=nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(spiral3(seed), seed), epochs=20)
