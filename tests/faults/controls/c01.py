"""C01: logistic regression: one linear layer, and nothing is missing."""

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Linear(64, 10)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(digits8(seed), seed))
