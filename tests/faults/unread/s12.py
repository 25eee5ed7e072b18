"""S12: features of a convolutional net go through numpy on their way to a GRU."""

import torch
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import loaders
from faults.nets import adam
from faults.real import digit_pairs

FAULT = Fault(
    "DETACHED_GRAPH",
    consequence=("LR_TOO_LOW",),
    repair="torch operations in place of numpy",
    earliest="step 1",
)


class Glances(nn.Module):
    """A small convolutional net sees the left half and the right one; a GRU joins them."""

    def __init__(self, through_numpy: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 24)
        )
        self.gru = nn.GRU(24, 64, batch_first=True)
        self.fc = nn.Linear(64, 100)
        self.through_numpy = through_numpy

    def forward(self, x: Tensor) -> Tensor:
        halves = [self.conv(half) for half in x.split(8, 3)]
        if self.through_numpy:
            halves = [torch.from_numpy(h.detach().numpy().copy()) for h in halves]  # the fault
        out, _ = self.gru(torch.stack(halves, 1))
        return self.fc(out[:, -1])


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = Glances(through_numpy=not healthy)
    rows = loaders(digit_pairs(seed, train=3000), seed)
    return Case(model, nn.CrossEntropyLoss(), adam(model, 5e-3), *rows, epochs=6)
