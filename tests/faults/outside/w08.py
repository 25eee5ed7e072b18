"""W08: a batch (rows, times, features) into an LSTM that was not told batch_first."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders, waves3

FAULT = Fault(
    "BATCH_MIXING",
    repair="batch_first=True",
)


class Classifier(nn.Module):
    def __init__(self, batch_first: bool, hidden: int = 32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=batch_first)
        self.fc = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Classifier(batch_first=healthy)  # the fault
    optimizer = torch.optim.RMSprop(model.parameters(), 3e-3)
    rows = loaders(waves3(seed, train=1200, noise=0.3), seed, batch=30)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=15)
