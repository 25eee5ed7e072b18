"""W07: the new head of a frozen backbone is put in after the optimizer took the old one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faults.case import Case, Fault
from faults.data import Rows, images8, loaders
from faults.nets import adam

FAULT = Fault(
    "PARAMS_NOT_IN_OPTIMISER",
    accept=("NO_STEP",),
    repair="make the optimizer after the head",
)


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.adaptive_avg_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


def chosen(rows: Rows, low: int) -> Rows:
    """The five digits from low on, numbered from 0."""
    at, at_val = ((y >= low) & (y < low + 5) for y in (rows.y, rows.y_val))
    return Rows(rows.X[at], rows.y[at] - low, rows.X_val[at_val], rows.y_val[at_val] - low)


def pretrained(seed: int) -> Backbone:
    """Trained on the digits 0 to 4."""
    model = Backbone()
    optimizer = adam(model, 3e-3)
    batches, _ = loaders(chosen(images8(seed), 0), seed)
    for _ in range(3):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


def make(seed: int, healthy: bool = False) -> Case:
    torch.manual_seed(seed)
    model = pretrained(seed)
    model.requires_grad_(False)
    old, new = model.fc.requires_grad_(True), nn.Linear(128, 5)
    if healthy:
        old = new
    optimizer = torch.optim.SGD(old.parameters(), 0.02, momentum=0.9)  # the fault
    model.fc = new
    rows = loaders(chosen(images8(seed), 5), seed, batch=32)
    return Case(model, nn.CrossEntropyLoss(), optimizer, *rows, epochs=6)
