"""D11: nine sigmoids called as functions on images of digits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import images8, loaders
from faults.nets import sgd

FAULT = Fault(
    "VANISHING_GRADIENT",
    accept=("INIT_TOO_SMALL",),
    consequence=("INPUT_IGNORED", "SATURATED", "LR_TOO_LOW"),
    repair="ReLU",
)


class Net(nn.Module):
    def __init__(self, vanishing: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(9))
        self.head, self.vanishing = nn.Linear(64, 10), vanishing
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers:
            x = torch.sigmoid(layer(x)) if self.vanishing else F.relu(layer(x))  # the fault
        return self.head(x)


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(vanishing=not healthy)
    return Case(model, F.cross_entropy, sgd(model, 0.02), *loaders(images8(seed), seed))
