"""P25: a detach in the forward pass: the first layer never learns."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, spiral3
from faults.nets import mlp, sgd

FAULT = Fault(
    "DETACHED_GRAPH",
    consequence=("CAPACITY_TOO_LOW",),
    repair="no detach",
)


class Net(nn.Module):
    def __init__(self, detach: bool) -> None:
        super().__init__()
        self.f1, self.f2 = nn.Linear(2, 3), mlp(3, 64, 64, 3)
        self.detach = detach

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.f1(x))
        if self.detach:
            h = h.detach()  # the fault
        return self.f2(h)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(detach=not healthy)
    return Case(model, nn.CrossEntropyLoss(), sgd(model), *loaders(spiral3(seed), seed), epochs=40)
