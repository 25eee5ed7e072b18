"""C31: one hidden layer used three times, with tied weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case
from faults.data import blobs10, loaders
from faults.nets import adam


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.hidden, self.head = nn.Linear(20, 48), nn.Linear(48, 48), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x))
        for _ in range(3):
            h = F.relu(h + self.hidden(h))
        return self.head(h)


def make(seed: int) -> Case:
    torch.manual_seed(seed)
    model = Tied()
    return Case(model, nn.CrossEntropyLoss(), adam(model), *loaders(blobs10(seed), seed), epochs=6)
