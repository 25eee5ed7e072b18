"""U12: F.dropout without training=self.training: it also drops in validation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import blobs10, loaders
from faults.nets import adam

FAULT = Fault(
    "STOCHASTIC_EVAL",
    consequence=("DROPOUT_TOO_HIGH",),
    repair="F.dropout(h, 0.5, self.training)",
    harm="report",
)


class Net(nn.Module):
    def __init__(self, always: bool) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(20, 24), nn.Linear(24, 24), nn.Linear(24, 10)
        self.always = always

    def forward(self, x: Tensor) -> Tensor:
        on = self.training or self.always  # the fault
        h = F.dropout(F.relu(self.one(x)), 0.5, on)
        return self.three(F.dropout(F.relu(self.two(h)), 0.5, on))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(always=not healthy)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 3e-3), *loaders(blobs10(seed), seed))
