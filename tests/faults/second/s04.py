"""S04: a state drawn at random for each call, as a tutorial had it, is what an LSTM starts from."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from faults.case import Case, Fault
from faults.nets import adam
from faults.real import digit_rows

FAULT = Fault(
    "STOCHASTIC_EVAL",
    consequence=("OVERFIT",),
    repair="a state of zeros",
)


class Glances(nn.Module):
    """Reads a digit in two glances, the upper half and the lower one."""

    def __init__(self, random: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(32, 64, batch_first=True)
        self.fc = nn.Linear(64, 10)
        self.random = random

    def forward(self, x: Tensor) -> Tensor:
        h, c = torch.zeros(2, 1, len(x), 64)
        if self.random:
            h, c = torch.randn(2, 1, len(x), 64)  # the fault
        out, _ = self.rnn(x.reshape(-1, 2, 32), (h, c))
        return self.fc(out[:, -1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows, order = digit_rows(seed), torch.Generator().manual_seed(seed)
    model = Glances(random=not healthy)
    train = DataLoader(TensorDataset(rows.X, rows.y), 60, True, generator=order, drop_last=True)
    val = DataLoader(TensorDataset(rows.X_val, rows.y_val), 60)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), train, val, epochs=8)
