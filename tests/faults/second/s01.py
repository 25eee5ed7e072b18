"""S01: an LSTM without batch_first gets (rows, times, pixels): it reads along the batch."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_rows

FAULT = Fault(
    "BATCH_MIXING",
    consequence=("OVERFIT", "CAPACITY_TOO_LOW"),
    repair="batch_first=True",
)


class RowReader(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 48, batch_first=batch_first)
        self.fc = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = RowReader(batch_first=healthy)  # the fault
    rows = loaders(digit_rows(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=10)
