"""V01: stochastic depth: whole blocks are skipped at random while training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import adam


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(20, 48), nn.Linear(48, 10)
        self.blocks = nn.ModuleList(nn.Linear(48, 48) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x))
        for block in self.blocks:
            if self.training and torch.rand(()) < 0.3:
                continue
            h = h + 0.5 * F.relu(block(h))
        return self.head(h)


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Net()
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(blobs10(seed), seed), epochs=6)
