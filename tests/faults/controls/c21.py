"""C21: a frozen backbone of random features: only the head is trained, on purpose."""

import torch
from torch import nn

from faults.case import Case
from faults.data import digits8, loaders
from faults.nets import sgd


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10))
    model[0].requires_grad_(False)
    return Case(model, nn.CrossEntropyLoss(), sgd(model[2], lr=0.05), *loaders(digits8(seed), seed))
