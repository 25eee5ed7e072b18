"""S14: TransformerEncoderLayer without batch_first: each row's words attend to other rows' words."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_rows

FAULT = Fault(
    "BATCH_MIXING",
    consequence=("OVERFIT",),
    repair="batch_first=True",
)


class Patches(nn.Module):
    """Rows of pixels as words; the answer is read off a word that is put before them."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.project = nn.Linear(8, 32)
        self.start = nn.Parameter(0.02 * torch.randn(1, 1, 32))
        self.places = nn.Parameter(0.02 * torch.randn(1, 9, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.cat([self.start.expand(len(x), -1, -1), self.project(x)], 1) + self.places
        return self.fc(self.encoder(h)[:, 0])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Patches(batch_first=healthy)  # the fault
    rows = loaders(digit_rows(seed), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 2e-3), *rows, epochs=8)
