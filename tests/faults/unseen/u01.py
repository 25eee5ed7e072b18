"""U01: hidden layers in a Python list: model.parameters() does not know them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, spiral3
from faults.nets import adam

FAULT = Fault(
    "UNREGISTERED_LAYERS",
    accept=("PARAMS_NOT_IN_OPTIMISER",),
    consequence=("CAPACITY_TOO_LOW", "LR_TOO_LOW", "VANISHING_GRADIENT", "INIT_TOO_SMALL"),
    repair="nn.ModuleList",
)


class Net(nn.Module):
    def __init__(self, registered: bool) -> None:
        super().__init__()
        layers = [nn.Linear(2, 16), *(nn.Linear(16, 16) for _ in range(2))]
        self.layers = nn.ModuleList(layers) if registered else layers  # the fault
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(registered=healthy)
    return Case(model, F.cross_entropy, adam(model, 0.01), *loaders(spiral3(seed), seed), epochs=15)
