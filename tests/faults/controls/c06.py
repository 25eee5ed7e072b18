"""C06: activations called as functions: the model has no activation modules."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import loaders, spiral3
from faults.nets import adam


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.three(F.gelu(self.two(F.gelu(self.one(x)))))


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Net()
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *loaders(spiral3(seed), seed))
