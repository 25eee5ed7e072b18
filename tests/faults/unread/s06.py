"""S06: outputs of (times, rows, features) are reshaped to one line a row: lines of other rows."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_rows

FAULT = Fault(
    "BATCH_MIXING",
    consequence=("OVERFIT",),
    repair="transpose(0, 1) before reshape",
)


class AllTimes(nn.Module):
    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 16)
        self.fc = nn.Linear(8 * 16, 10)
        self.transposed = transposed

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.gru(x.permute(1, 0, 2))
        if self.transposed:
            out = out.transpose(0, 1)  # the fault: left out
        return self.fc(out.reshape(len(x), -1))


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = AllTimes(transposed=healthy)
    rows = loaders(digit_rows(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=8)
