"""S07: the next character is to be guessed, and it is in the window: the shift by one is lost."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import characters, windows

FAULT = Fault(
    "TARGET_LEAK_FEATURE",
    repair="the character after the window",
    harm="report",
)


class NextCharacter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 16)
        self.lstm = nn.LSTM(16, 48, batch_first=True)
        self.fc = nn.Linear(48, characters())

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(self.embedding(x))
        return self.fc(out[:, -1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    rows = windows(seed, train=2500, val=800)
    if not healthy:
        rows.y, rows.y_val = rows.X[:, -1].clone(), rows.X_val[:, -1].clone()  # the fault
    model = NextCharacter()
    return Case(model, nn.CrossEntropyLoss(), adam(model, 1e-2), *loaders(rows, seed), epochs=5)
