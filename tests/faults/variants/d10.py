"""D10: a second layer whose biases stand at -20, activations called as functions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, spiral3
from faults.nets import adam

FAULT = Fault(
    "DEAD_RELU",
    consequence=("INPUT_IGNORED", "VANISHING_GRADIENT", "INIT_TOO_SMALL", "DETACHED_GRAPH"),
    repair="biases that start at 0, He's initialisation",
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.three(F.relu(self.two(F.relu(self.one(x)))))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net()
    if not healthy:
        nn.init.constant_(model.two.bias, -20)  # the fault
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *loaders(spiral3(seed), seed))
