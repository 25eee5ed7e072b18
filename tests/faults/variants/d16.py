"""D16: a GRU that gets (rows, times) where it wants (times, rows): it remembers other rows."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, waves3
from faults.nets import adam

FAULT = Fault(
    "BATCH_MIXING",
    consequence=("OVERFIT", "CAPACITY_TOO_LOW"),
    repair="batch_first=True",
)


class Net(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=batch_first)  # the fault
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0][:, -1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Net(batch_first=healthy)
    return Case(
        model, nn.CrossEntropyLoss(), adam(model, 0.01), *loaders(waves3(seed), seed), epochs=12
    )
