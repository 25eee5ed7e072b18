"""S26: attention's softmax over the rows of the batch in place of the places of a row."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import sgd
from faults.real import digit_rows

FAULT = Fault(
    "BATCH_MIXING",
    accept=("SOFTMAX_WRONG_DIM",),
    consequence=("OVERFIT", "LR_TOO_LOW"),
    repair="softmax(dim=1)",
)


class Pooling(nn.Module):
    """A GRU over the rows of a digit; its states are weighed by what they say of themselves."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 32, batch_first=True)
        self.score = nn.Linear(32, 1)
        self.fc = nn.Linear(32, 10)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.gru(x)
        weights = torch.softmax(self.score(h), dim=self.axis)
        return self.fc((weights * h).sum(1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Pooling(axis=1 if healthy else 0)  # the fault
    rows = loaders(digit_rows(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), sgd(model, 0.2), *rows, epochs=12)
