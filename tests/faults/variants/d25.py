"""D25: the recurrent part runs without gradients: only the head learns."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import Recurrent, adam

FAULT = Fault(
    "DETACHED_GRAPH",
    consequence=("CAPACITY_TOO_LOW",),
    repair="no torch.no_grad() in the forward pass",
)


class Careful(Recurrent):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            _, last = self.gru(x)  # the fault
        return self.head(last[-1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Recurrent(width=12) if healthy else Careful(width=12)  # the fault
    return Case(
        model, nn.CrossEntropyLoss(), adam(model, 0.01), *loaders(waves3(seed), seed), epochs=12
    )
