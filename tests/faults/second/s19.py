"""S19: nn.init.normal_ on every parameter, the gates of an LSTM too: N(0, 1)."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import characters, windows

FAULT = Fault(
    "INIT_TOO_LARGE",
    accept=("SATURATED",),
    consequence=("LR_TOO_HIGH", "EXPLODING_GRADIENT", "OVERFIT", "STOPPED_TOO_EARLY"),
    repair="PyTorch's own initialisation",
)


class NextCharacter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters(), 24)
        self.lstm = nn.LSTM(24, 64, batch_first=True)
        self.fc = nn.Linear(64, characters())

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(self.embedding(x))
        return self.fc(out[:, -1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = NextCharacter()
    if not healthy:
        for p in model.parameters():
            nn.init.normal_(p)  # the fault
    rows = loaders(windows(seed, train=2500, val=800), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=5)
